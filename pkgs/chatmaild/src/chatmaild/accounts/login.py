"""
The rules for logins and for names of new accounts.

Pure functions: no clock, no disk, no hashing. Clients never see the reason of a refusal; reasons
are only counted.
"""

import enum
import re

from chatmaild.config import Config
from chatmaild.dovecot import passwords

_NAME = re.compile(r"[a-z0-9._-]+", re.ASCII)

# The names of RFC 2142, and those to which certificate authorities send mail for domain validation
# (CA/Browser Forum Baseline Requirements, section 3.2.2.4.4). With `webmaster`, which has nine
# characters like every default name, an attacker could get a certificate for the relay's domain.
# The echo bot's name is reserved even without a bot. Otherwise a user could take it before the bot
# is enabled.
ECHO_NAME = "echo"
RESERVED_NAMES = frozenset(
    {
        "abuse",
        "admin",
        "administrator",
        ECHO_NAME,
        "hostmaster",
        "info",
        "mailer-daemon",
        "noc",
        "postmaster",
        "root",
        "security",
        "webmaster",
    }
)


class Refusal(enum.Enum):
    """The reason why a login fails; the value is a word for counters."""

    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - a word for counters
    BLOCKED = "blocked"
    FOREIGN_DOMAIN = "foreign-domain"
    BAD_NAME = "bad-name"
    RESERVED_NAME = "reserved-name"
    NAME_LENGTH = "name-length"
    PASSWORD_LENGTH = "password-length"  # noqa: S105 - a word for counters
    UNUSABLE_PASSWORD = "unusable-password"  # noqa: S105 - a word for counters
    REGISTRATION_CLOSED = "registration-closed"
    UNINVITED = "uninvited"
    DELETED_ADDRESS = "deleted-address"


def refuse_name(address: str, config: Config) -> Refusal | None:
    """
    Return why no account may have this address, or None.

    Names are `[a-z0-9._-]+` and dot-strings as in RFC 5321 4.1.2: no dot at either end and no two
    in a row, because such an address could not receive mail. Lengths count characters.
    """
    name, at, domain = address.rpartition("@")
    if not at or domain != config.domain:
        return Refusal.FOREIGN_DOMAIN
    if not _NAME.fullmatch(name) or "" in name.split("."):
        return Refusal.BAD_NAME
    if name in RESERVED_NAMES:
        return Refusal.RESERVED_NAME
    limits = config.accounts
    if not limits.name_min_length <= len(name) <= limits.name_max_length:
        return Refusal.NAME_LENGTH
    return None


def refuse_creation(address: str, password: bytes, config: Config) -> Refusal | None:
    """
    Return why no account may be created with this address and password, or None.

    Lengths count characters; a password that is not UTF-8 counts bytes.
    """
    if refusal := refuse_name(address, config):
        return refusal
    limits = config.accounts
    if _length(password) < limits.password_min_length:
        return Refusal.PASSWORD_LENGTH
    if not passwords.usable(password):
        return Refusal.UNUSABLE_PASSWORD
    return None


def _length(password: bytes) -> int:
    try:
        return len(password.decode())
    except UnicodeDecodeError:
        return len(password)
