"""How things end."""
