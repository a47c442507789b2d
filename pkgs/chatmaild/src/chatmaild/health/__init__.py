"""
Whether the relay works: checks that look at its parts as their users do.

A check that finds nothing wrong has looked at the thing itself: it asked the daemon, read the file
and compared it with what others see. What it cannot see it reports as unknown.
"""
