"""Claims that run among the clients of a VM test, beside those of tests/relay."""
