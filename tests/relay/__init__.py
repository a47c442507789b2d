"""Claims about a running relay: what clients, other servers and its operator see of it."""
