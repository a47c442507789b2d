"""Outgoing TLS: what Postfix must see of a server before it hands over mail."""
