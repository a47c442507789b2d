"""
Checks whether the relay works, by using its parts as their users do.

A check reports success only if it has tested the thing itself: it asked the daemon, read the file,
and compared it with what others see. Anything it cannot see is reported as unknown.
"""
