"""Claims about the relay as a value; nothing is started."""
