"""The echo bot: an account that answers everyone, to try a new address with."""
