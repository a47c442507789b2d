"""The account book: schema, accounts, tokens, invites, outbox, marks, and what last night did."""
