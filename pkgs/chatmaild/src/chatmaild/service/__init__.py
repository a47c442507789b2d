"""What every daemon needs: start-up, systemd, sockets, HTTP both ways, counters."""
