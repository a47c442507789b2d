"""The operator's command line, `chatmail`."""
