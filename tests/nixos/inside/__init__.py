"""Tests that run on the client of a VM test, in addition to those of tests/relay."""
