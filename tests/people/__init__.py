"""Helpers for the tests: users, their clients, strangers, and the messages between them."""
