"""The web endpoint that hands out addresses."""
