"""DKIM signatures (RFC 6376): keys, signing, verifying."""
