"""Tests of the mail filter; they mirror its modules by name."""
