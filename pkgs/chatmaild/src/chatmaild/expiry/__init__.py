"""How things end: old mail, full mailboxes, accounts that nobody uses."""
