"""How fast a relay is and what it costs: measured, printed as tables, never asserted."""
