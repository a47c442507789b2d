"""Outgoing TLS: which TLS Postfix must require of each destination."""
