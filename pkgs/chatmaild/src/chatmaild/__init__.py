"""The daemons of a chatmail relay, and the command line of its operator."""
