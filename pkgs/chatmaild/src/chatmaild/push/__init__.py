"""Push notifications: the notifier, its proxy, and a log that survives a crash."""
