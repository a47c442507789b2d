"""Dovecot's interfaces: dict protocol, doveadm, maildir names, password schemes, mailboxes."""
