"""Tests of the mail filter; their files are named after its modules."""
