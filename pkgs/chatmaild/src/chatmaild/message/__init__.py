"""Reading a message without guessing: MIME structure, addresses, OpenPGP packets."""
