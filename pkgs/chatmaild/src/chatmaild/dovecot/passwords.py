"""
Password hashes in a scheme that Dovecot verifies itself: `{BLF-CRYPT}$2b$06$...`.

The cost of 6 (64 rounds, about 4 ms on a small server) is low on purpose. Clients generate random
passwords, so dictionary attacks do not work. And after an outage all clients of a relay log in
within a minute, on hardware as small as a Raspberry Pi.
"""

import re

import bcrypt

SCHEME = "{BLF-CRYPT}"
COST = 6
# bcrypt ignores all further bytes, so a longer password would be truncated silently.
MAX_PASSWORD_BYTES = 72

# bcrypt 4 panics on a truncated hash, and a cost of 31 would take days.
_STORED = re.compile(re.escape(SCHEME) + r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}", re.ASCII)


def usable(password: bytes) -> bool:
    """Return whether bcrypt uses the whole password: 1 to 72 bytes without NUL (see crypt(3))."""
    return 0 < len(password) <= MAX_PASSWORD_BYTES and b"\0" not in password


def hash_password(password: bytes) -> str:
    """
    Hash a `usable` password with a fresh salt.

    Raises:
        ValueError: the password is not usable.

    """
    if not usable(password):
        raise ValueError("a password must have 1 to 72 bytes and no NUL")
    return SCHEME + bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode("ascii")


def verify(password: bytes, stored: str) -> bool:
    """
    Compare in constant time.

    A hash of another scheme, e.g. of an account moved from another server, never matches. Dovecot
    has already compared it, without success, before it asks this daemon.
    """
    if not _STORED.fullmatch(stored) or not usable(password):
        return False
    return bcrypt.checkpw(password, stored.removeprefix(SCHEME).encode("ascii"))
