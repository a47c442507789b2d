"""The DNS records of a relay: which it needs, what name servers have, and writing them."""
