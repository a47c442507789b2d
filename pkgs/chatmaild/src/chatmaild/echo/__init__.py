"""The echo bot: an account that repeats every message, so that users can test a new address."""
