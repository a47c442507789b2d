"""The speed and the costs of a relay: measured and printed as tables, never asserted."""
