"""Postfix's interfaces: the milter and socketmap protocols, and the queue."""
