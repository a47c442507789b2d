"""Tests of the harness itself: machines, network, DNS and CA, without a relay."""
