"""The DNS records of a relay: lists, checks and publishes them."""
