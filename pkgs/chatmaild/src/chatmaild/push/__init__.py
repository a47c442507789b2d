"""Push notifications: which are due, the proxy, and the log that survives a crash."""
