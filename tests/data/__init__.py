"""Tests of the relay's value; they start nothing."""
