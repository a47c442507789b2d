"""Accounts: login and creation, METADATA, last login and new-mail events."""
