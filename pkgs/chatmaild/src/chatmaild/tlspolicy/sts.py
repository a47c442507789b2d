"""
MTA-STS (RFC 8461): the record that announces a policy, and the policy.

People type both into web forms and editors. What others write is accepted unless accepting it would
help an attacker or its meaning is uncertain; each refusal below has its reason. A domain whose
policy is refused is not without protection, because the relay's default verifies certificates too.
"""

import re
from dataclasses import dataclass

MAX_AGE_SECONDS = 31557600  # RFC 8461 3.2
# Postfix reads them all for each delivery. Large providers have about ten.
MAX_HOSTS = 100
MODES = ("enforce", "testing", "none")

# RFC 8461 3.1 has letters and digits; some write dates and times. An id is compared, nothing else.
_RECORD_ID = re.compile(rb"[!-~]{1,64}")
_VERSION = re.compile(rb"[ \t]*v[ \t]*=[ \t]*STSv1[ \t]*(?:;|\Z)", re.IGNORECASE)
# What follows the last dot is never a number, so an IPv4 address is not a host.
_HOST = re.compile(
    r"(?=.{1,255}\Z)(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+"
    r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)


class StsError(Exception):
    """There is no usable policy; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: lower-case hosts, where `*.` stands for one label; `max_age` is in seconds."""

    mode: str
    hosts: tuple[str, ...]
    max_age: int


def record_id(records: list[bytes]) -> str | None:
    """
    Return the id of the only STS record among TXT records (RFC 8461 3.1), or None.

    Other records are ignored. Several STS records count as none: their ids would take turns, and
    every message would fetch the policy again. So does a record whose id is missing or too long.
    """
    own = [record for record in records if _VERSION.match(record)]
    if len(own) != 1:
        return None
    for field in own[0].split(b";")[1:]:
        name, _, value = field.partition(b"=")
        if name.strip().lower() == b"id" and _RECORD_ID.fullmatch(value.strip()):
            return value.strip().decode("ascii")
    return None


def parse(body: bytes) -> Policy:
    """
    Read a policy (RFC 8461 3.2); the first of duplicate keys counts.

    An `mx` line that is not a host name is ignored: an IP address, a preference in front, a name
    that is not in ASCII. It can match no certificate, and written into Postfix's policy it could
    add attributes of an attacker's choice. The other hosts hold.

    Raises:
        StsError: version, mode or max_age are unknown, so the meaning is uncertain; no host is
            left, so that mail could never be delivered; or there are more than 100.

    """
    values: dict[str, str] = {}
    hosts: dict[str, None] = {}
    # Values may be UTF-8, and some editors write a byte order mark first.
    for line in re.split(r"[\r\n]+", body.decode("utf-8-sig", "replace")):
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip().lower()
        if name != "mx":
            values.setdefault(name, value)
        elif _HOST.fullmatch(host := value.removesuffix(".")):
            hosts[host] = None
    mode, age = values.get("mode", ""), values.get("max_age", "")
    if values.get("version") != "stsv1" or mode not in MODES:
        raise StsError("the policy has an unknown version or mode")
    if not re.fullmatch(r"[0-9]{1,20}", age, re.ASCII):
        raise StsError("the policy has no max_age")
    if mode != "none" and not hosts:
        raise StsError("the policy names no host")
    if len(hosts) > MAX_HOSTS:
        raise StsError("the policy names too many hosts")
    return Policy(mode, tuple(hosts), min(int(age), MAX_AGE_SECONDS))


def text(policy: Policy) -> bytes:
    """Print a policy so that `parse` returns the same."""
    hosts = "".join(f"mx: {host}\n" for host in policy.hosts)
    written = f"version: STSv1\nmode: {policy.mode}\n{hosts}max_age: {policy.max_age}\n"
    return written.encode("ascii")
