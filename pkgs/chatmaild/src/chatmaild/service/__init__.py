"""Common parts of all daemons: start-up, systemd, sockets, HTTP server and client, counters."""
