"""Postfix's protocols: the milter protocol."""
