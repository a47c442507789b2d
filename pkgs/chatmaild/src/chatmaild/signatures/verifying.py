"""
DKIM verification (RFC 6376) of incoming mail, with strict alignment.

A message is authenticated if it has a valid signature whose d= is exactly the domain of its From
address. Signatures of other domains say nothing about the author, so their keys are not looked up.

Strangers decide how long a header is, how many signatures it has and how many keys each of them
names. So each canonical form is computed once, and each signature is hashed once for all its keys.
A message may cost at most `MAX_HASHED_BYTES` of header and `MAX_TRIES` public-key operations.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

from chatmaild.message.structure import Header
from chatmaild.signatures import canonicalization, records, tags
from chatmaild.signatures.records import Key
from chatmaild.signatures.tags import UnusableError

MAX_SIGNATURES = 8
"""Aligned signatures that are tried; normal mail has one or two."""
MAX_TRIES = 16
"""Public-key operations per message: 0.1 ms each with the largest keys."""
MAX_HASHED_BYTES = 1_048_576
"""Header octets hashed for all signatures of a message: twice the maximum of a header."""
MAX_SIGNED_NAMES = 150
MAX_RECORDS = 4
"""Key records tried per name: RFC 6376 3.6.2.2 requires one, a change of keys may leave two."""
CLOCK_SKEW_SECONDS = 300
DNS_BUDGET_SECONDS = 20.0
"""Limit for all look-ups of a message; Postfix waits 60 s for the answer to a message."""

_DOMAIN = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_NUMBER = re.compile(rb"[0-9]{1,12}")
_CANONICALIZATION = re.compile(rb"(simple|relaxed)(?:/(simple|relaxed))?")
_PADDING = padding.PKCS1v15()
_PREHASHED = utils.Prehashed(SHA256())


class Outcome(Enum):
    """The result of verifying a message's signatures."""

    VALID = "valid"
    MISSING = "missing"
    """The message has no DKIM-Signature field."""
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """No signature is valid, but a key could not be looked up: try again later."""


@dataclass(frozen=True, slots=True)
class Verification:
    """
    The outcome, and the fields that the valid signature covers.

    `covered` is the number of fields by lower-case name. If a name repeats, the lowest ones are
    covered (RFC 6376 5.4.2). `hashed` is the number of header octets that were hashed.
    """

    outcome: Outcome
    covered: dict[bytes, int] = field(default_factory=dict)
    hashed: int = 0


class KeyUnavailableError(Exception):
    """DNS did not answer (time-out, SERVFAIL), which says nothing about the record."""


Lookup = Callable[[str, float], list[bytes]]
"""
(absolute name, maximum number of seconds) -> all TXT records, the strings of each one joined.

The list is empty if there is no such name or record. Raises `KeyUnavailableError` if there is no
answer.
"""


@dataclass(frozen=True, slots=True)
class _Signature:
    field: Header
    """The field as in the header, but with an empty b= (RFC 6376 3.7)."""
    algorithm: bytes
    key_name: str
    same_domain: bool
    """Whether i= is exactly in the domain d=, as a key record with t=s requires."""
    names: list[bytes]
    body_hash: bytes
    body_length: int | None
    signature: bytes
    relaxed_header: bool
    relaxed_body: bool


def verify(
    headers: list[Header],
    body: bytes,
    domain: str,
    lookup: Lookup,
    *,
    now: float,
    clock: Callable[[], float],
) -> Verification:
    """
    Verify that a valid signature of exactly `domain` (lower-case ASCII) covers the message.

    `headers` have raw values with folds as CRLF; `body` has CRLF line ends. `now` is Unix time.
    `clock` returns monotonic seconds; waiting for DNS takes at most `DNS_BUDGET_SECONDS` of them.
    """
    fields = [header for header in headers if header[0].lower() == b"dkim-signature"]
    if not fields:
        return Verification(Outcome.MISSING)
    message = _Message(headers, body)
    keys = _Keys(lookup, clock)
    outcome = Outcome.INVALID
    aligned = 0
    for one in fields:
        try:
            found = tags.parse(one[1])
            if found.get(b"d", b"").lower() != domain.encode():
                continue
            aligned += 1
            if aligned > MAX_SIGNATURES:
                break
            signature = _read_signature(one, found, now)
            # Before the look-up, because a mismatch needs no key.
            message.check(signature)
            if _verifies(signature, message, keys):
                return Verification(Outcome.VALID, message.covered(signature), message.hashed)
        except UnusableError:
            continue
        except KeyUnavailableError:
            outcome = Outcome.UNKNOWN
    return Verification(outcome, hashed=message.hashed)


def _read_signature(one: Header, found: dict[bytes, bytes], now: float) -> _Signature:
    missing = {b"v", b"a", b"b", b"bh", b"d", b"h", b"s"} - found.keys()
    if missing or found[b"v"] != b"1":
        raise UnusableError("mandatory tags missing or unknown version")
    algorithm = found[b"a"].lower()
    if algorithm not in (b"rsa-sha256", b"ed25519-sha256"):  # RFC 8301 3.1: SHA-1 is not allowed
        raise UnusableError("unknown or outdated algorithm")
    if b"dns/txt" not in tags.items(found.get(b"q", b"dns/txt").lower()):
        raise UnusableError("the key is not in DNS")
    selector, domain = found[b"s"], found[b"d"].lower()
    if not (_DOMAIN.fullmatch(selector) and _DOMAIN.fullmatch(domain)):
        raise UnusableError("selector or domain is not a name")
    # A signing time in the future (t=) is ignored: the sender's clock is wrong.
    expires = _number(found, b"x")
    if expires is not None and expires < now - CLOCK_SKEW_SECONDS:
        raise UnusableError("expired")
    forms = _CANONICALIZATION.fullmatch(found.get(b"c", b"simple").lower())
    if forms is None:
        raise UnusableError("unknown canonicalization")
    return _Signature(
        field=(one[0], tags.without_value(one[1], b"b")),
        algorithm=algorithm,
        key_name=(selector + b"._domainkey." + domain + b".").decode("ascii"),
        same_domain=_identity_domain(found, domain) == domain,
        names=tags.items(found[b"h"].lower()),
        body_hash=tags.decoded(found[b"bh"]),
        body_length=_number(found, b"l"),
        signature=tags.decoded(found[b"b"]),
        relaxed_header=forms[1] == b"relaxed",
        relaxed_body=forms[2] == b"relaxed",
    )


def _number(found: dict[bytes, bytes], tag: bytes) -> int | None:
    if tag not in found:
        return None
    if _NUMBER.fullmatch(found[tag]) is None:
        raise UnusableError("not a number")
    return int(found[tag])


def _identity_domain(found: dict[bytes, bytes], domain: bytes) -> bytes:
    identity = found.get(b"i", b"@" + domain).lower().rpartition(b"@")
    if identity[1] != b"@" or not (b"." + identity[2]).endswith(b"." + domain):
        raise UnusableError("i= is outside d=")
    return identity[2]


class _Message:
    """A message to verify; each canonical form is computed once."""

    def __init__(self, headers: list[Header], body: bytes) -> None:
        """Start with nothing hashed."""
        self.hashed = 0
        self._headers = headers
        self._body = body
        self._places: dict[bytes, list[int]] = {}
        for place, (name, _) in enumerate(headers):
            self._places.setdefault(name.lower().rstrip(b" \t"), []).append(place)
        self._lines: dict[tuple[bool, int], bytes] = {}
        self._bodies: dict[bool, tuple[bytes, int]] = {}

    def covered(self, signature: _Signature) -> dict[bytes, int]:
        """Count the covered fields by name."""
        return {
            name: min(count, len(self._places[name]))
            for name, count in Counter(signature.names).items()
            if name in self._places
        }

    def check(self, signature: _Signature) -> None:
        """Check everything that needs no key; raises `UnusableError`."""
        names = signature.names
        authors = len(self._places.get(b"from", []))
        if len(names) > MAX_SIGNED_NAMES or not names.count(b"from") >= max(authors, 1):
            raise UnusableError("From is not signed, or too many fields are")
        relaxed = signature.relaxed_body
        if relaxed not in self._bodies:
            self._bodies[relaxed] = canonicalization.hash_body(self._body, relaxed=relaxed)
        digest, length = self._bodies[relaxed]
        if signature.body_length not in (None, length):
            # RFC 6376 8.2: after the signed part, anything may have been added.
            raise UnusableError("only part of the body is signed")
        if digest != signature.body_hash:
            raise UnusableError("another body")

    def digest(self, signature: _Signature) -> bytes:
        """Hash the signed fields (RFC 6376 3.7); raises `UnusableError` above the limit."""
        relaxed = signature.relaxed_header
        taken: Counter[bytes] = Counter()
        lines = []
        for name in signature.names:
            places = self._places.get(name, [])
            if taken[name] < len(places):
                taken[name] += 1
                # RFC 6376 5.4.2: the lowest field that is not yet signed.
                lines.append(self._line(places[-taken[name]], relaxed=relaxed))
        size = sum(map(len, lines))
        if self.hashed + size > MAX_HASHED_BYTES:
            raise UnusableError("too many octets are signed")
        self.hashed += size
        write = canonicalization.relaxed_field if relaxed else canonicalization.simple_field
        own = write(*signature.field).removesuffix(b"\r\n")
        return sha256(b"".join([*lines, own])).digest()

    def _line(self, place: int, *, relaxed: bool) -> bytes:
        if (relaxed, place) not in self._lines:
            write = canonicalization.relaxed_field if relaxed else canonicalization.simple_field
            self._lines[relaxed, place] = write(*self._headers[place])
        return self._lines[relaxed, place]


class _Keys:
    """The key records for the signatures of one message; each name is looked up once."""

    def __init__(self, lookup: Lookup, clock: Callable[[], float]) -> None:
        """Start with the whole budget."""
        self.tries_left = MAX_TRIES
        self._lookup = lookup
        self._clock = clock
        self._seconds = DNS_BUDGET_SECONDS
        self._records: dict[str, list[bytes] | None] = {}

    def records(self, name: str) -> list[bytes]:
        """Return the TXT records of a name; raises `KeyUnavailableError`."""
        if name not in self._records:
            self._records[name] = None
            begun = self._clock()
            try:
                self._records[name] = self._lookup(name, self._seconds)
            finally:
                self._seconds = max(self._seconds - (self._clock() - begun), 0.0)
        found = self._records[name]
        if found is None:
            raise KeyUnavailableError
        return found


def _verifies(signature: _Signature, message: _Message, keys: _Keys) -> bool:
    digest: bytes | None = None
    usable = 0
    for record in keys.records(signature.key_name):
        key = _key(record, signature)
        if key is None:
            continue
        usable += 1
        keys.tries_left -= 1
        if usable > MAX_RECORDS or keys.tries_left < 0:
            break
        digest = digest or message.digest(signature)
        if _is_signature(key, signature.signature, digest):
            return True
    return False


def _key(record: bytes, signature: _Signature) -> Key | None:
    try:
        return records.read(record, signature.algorithm, same_domain=signature.same_domain)
    except UnusableError:
        return None


def _is_signature(key: Key, signature: bytes, digest: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, _PADDING, _PREHASHED)
        else:
            key.verify(signature, digest)
    except InvalidSignature:
        return False
    return True
