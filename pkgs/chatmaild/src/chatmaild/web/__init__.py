"""The web endpoint: new addresses, deletion of accounts, and mail from other relays."""
