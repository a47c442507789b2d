"""Accounts: login and creation, METADATA, last login, new-mail events."""
