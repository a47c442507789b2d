"""Dovecot: dict protocol and server, doveadm, maildir names, password schemes, mailboxes."""
