"""The harness' own tests: machines, network, DNS, CA, without any relay."""
