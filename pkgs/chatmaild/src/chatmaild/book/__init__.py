"""The account book: schema, accounts, tokens, invites, outbox, marks and the last expiry run."""
