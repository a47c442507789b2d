"""What every daemon needs: start-up, systemd, sockets, HTTP server and client, counters."""
