"""The daemons of a chatmail relay, and the command line of its operator."""

__version__ = "0.1.0"
