"""Expiry: deletes old mail and unused accounts, and trims full mailboxes."""
