"""
Password hashes in the form Dovecot verifies by itself: `{BLF-CRYPT}$2b$06$...`.

Cost 6 (64 rounds, about 4 ms on a small server) is low on purpose. Chatmail passwords are made by
machines, so there is no dictionary to slow down; and after an outage every client of a relay logs
in within a minute, on hardware as small as a Raspberry Pi.
"""

import re

import bcrypt

SCHEME = "{BLF-CRYPT}"
COST = 6
# bcrypt reads no further; a longer password would be cut without anybody noticing.
MAX_PASSWORD_BYTES = 72

# bcrypt 4 panics on a hash cut short, and a cost of 31 would compute for days.
_STORED = re.compile(re.escape(SCHEME) + r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}", re.ASCII)


def usable(password: bytes) -> bool:
    """Say whether bcrypt takes a password whole: 1 to 72 bytes, no NUL (crypt(3) stops there)."""
    return 0 < len(password) <= MAX_PASSWORD_BYTES and b"\0" not in password


def hash_password(password: bytes) -> str:
    """
    Hash a `usable` password with a fresh salt.

    Raises:
        ValueError: the password is not usable.

    """
    if not usable(password):
        raise ValueError("a password has 1 to 72 bytes and no NUL")
    return SCHEME + bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode("ascii")


def verify(password: bytes, stored: str) -> bool:
    """
    Compare in constant time.

    A hash of another scheme, e.g. of an account carried over from another server, is never equal:
    Dovecot has compared it already, and found it wrong, before it asks anybody else.
    """
    if not _STORED.fullmatch(stored) or not usable(password):
        return False
    return bcrypt.checkpw(password, stored.removeprefix(SCHEME).encode("ascii"))
