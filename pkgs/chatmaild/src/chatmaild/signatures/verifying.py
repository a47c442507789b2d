"""
DKIM verification (RFC 6376) of incoming mail with strict alignment.

A message counts as authenticated when one valid signature's d= is exactly the domain of its From
address; signatures of other domains say nothing about the author and are not even looked up.
dkimpy contributes header selection and canonicalization. Its own `verify` is not used, because it
accepts l=, SHA-1, ten hours of expired x=, unsigned duplicates of signed fields and key records of
any shape, takes a DNS failure for a wrong signature, and computes with keys of any size.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

import dkim
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dkim.canonicalization import CanonicalizationPolicy, InvalidCanonicalizationPolicyError

from chatmaild.message.structure import Header
from chatmaild.signatures.canonicalization import relaxed_body, simple_body
from chatmaild.signatures.fields import SINGULAR

MAX_SIGNATURES = 8
"""Aligned signatures tried; honest mail has one or two."""
MAX_SIGNATURE_BYTES = 8192
MAX_SIGNED_NAMES = 150
MAX_RECORDS = 4
"""Key records tried per name: RFC 6376 3.6.2.2 wants one, key changes leave two."""
MIN_RSA_BITS = 1024  # RFC 8301 3.2
MAX_RSA_BITS = 4096  # RFC 8301 3.2; larger ones only cost time
CLOCK_SKEW_SECONDS = 300
DNS_BUDGET_SECONDS = 20.0
"""For all look-ups of one message; Postfix waits 60 s for a milter's answer at end of message."""

_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_DOMAIN = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_NUMBER = re.compile(rb"[0-9]{1,12}")
_WHITE_SPACE = b" \t\r\n"
# dkimpy's pattern for b= takes time quadratic in the length of one run of white space.
_LONG_SPACE = re.compile(rb"[ \t\r\n]{200}")


class Outcome(Enum):
    """What a message's signatures say about its author."""

    VALID = "valid"
    MISSING = "missing"
    """There is no DKIM-Signature field at all."""
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """No signature is valid, but a key could not be looked up: ask again later."""


class DnsUnavailableError(Exception):
    """DNS gave no answer (time-out, SERVFAIL), which says nothing about the record."""


Lookup = Callable[[str, float], list[bytes]]
"""
(absolute name, seconds at most) -> every TXT record there, each with its strings joined.

An empty list means that there is no such name or record; no answer raises `DnsUnavailableError`.
"""

Key = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class UnusableError(Exception):
    """The signature or key record does not count; the text says why, for tests and debugging."""


@dataclass(frozen=True, slots=True)
class _Signature:
    index: int
    """Among the DKIM-Signature fields, from 0."""
    algorithm: bytes
    key_name: str
    same_domain_only: bool
    """Whether i= is at exactly the domain d=, as a key record with t=s demands."""
    names: list[bytes]
    body_hash: bytes
    signature: bytes
    policy: CanonicalizationPolicy
    relaxed_body: bool


def verify(
    headers: list[Header],
    body: bytes,
    domain: str,
    lookup: Lookup,
    *,
    now: float,
    clock: Callable[[], float],
) -> Outcome:
    """
    Say whether a valid signature of exactly `domain` (lower-case ASCII) covers the message.

    `headers` hold raw values with folds as CRLF, `body` has CRLF line ends. `now` is Unix time,
    `clock` monotonic seconds, of which DNS takes at most `DNS_BUDGET_SECONDS`.
    """
    fields = [value for name, value in headers if name.lower() == b"dkim-signature"]
    if not fields:
        return Outcome.MISSING
    bodies: dict[bool, bytes] = {}
    deadline = clock() + DNS_BUDGET_SECONDS
    outcome = Outcome.INVALID
    tried = 0
    for index, field in enumerate(fields):
        try:
            tags = parse_tags(field)
            if tags.get(b"d", b"").lower() != domain.encode():
                continue
            tried += 1
            if tried > MAX_SIGNATURES:
                break
            signature = _read_signature(index, tags, headers, now)
            if signature.relaxed_body not in bodies:
                canonical = relaxed_body(body) if signature.relaxed_body else simple_body(body)
                bodies[signature.relaxed_body] = sha256(canonical).digest()
            # Before the look-up: a body that does not match needs no key to be refused.
            if bodies[signature.relaxed_body] != signature.body_hash:
                continue
            records = lookup(signature.key_name, max(deadline - clock(), 0.0))
            if _any_record_verifies(signature, records, headers):
                return Outcome.VALID
        except UnusableError:
            continue
        except DnsUnavailableError:
            outcome = Outcome.UNKNOWN
    return outcome


def parse_tags(text: bytes) -> dict[bytes, bytes]:
    """
    Parse a tag=value list (RFC 6376 3.2) of bounded length, values stripped of white space.

    Raises `UnusableError` for a malformed list and for a tag given twice.
    """
    if len(text) > MAX_SIGNATURE_BYTES or _LONG_SPACE.search(text):
        raise UnusableError("tag list too long")
    tags: dict[bytes, bytes] = {}
    specs = text.split(b";")
    if not specs[-1].strip(_WHITE_SPACE):
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip(_WHITE_SPACE)
        if not equals or _TAG.fullmatch(name) is None:
            raise UnusableError("malformed tag list")
        if name in tags:
            raise UnusableError("tag given twice")
        tags[name] = value.strip(_WHITE_SPACE)
    return tags


def _read_signature(
    index: int, tags: dict[bytes, bytes], headers: list[Header], now: float
) -> _Signature:
    missing = {b"v", b"a", b"b", b"bh", b"d", b"h", b"s"} - tags.keys()
    if missing or tags[b"v"] != b"1":
        raise UnusableError("mandatory tags missing or unknown version")
    algorithm = tags[b"a"].lower()
    if algorithm not in (b"rsa-sha256", b"ed25519-sha256"):  # RFC 8301 3.1: SHA-1 does not count
        raise UnusableError("unknown or outdated algorithm")
    if b"l" in tags:  # RFC 6376 8.2: anything could follow the signed part
        raise UnusableError("only a part of the body is signed")
    if b"dns/txt" not in _split_list(tags.get(b"q", b"dns/txt").lower()):
        raise UnusableError("key elsewhere than in DNS")
    selector, domain = tags[b"s"], tags[b"d"].lower()
    if not (_DOMAIN.fullmatch(selector) and _DOMAIN.fullmatch(domain)):
        raise UnusableError("selector or domain is no name")
    _check_times(tags, now)
    names = _split_list(tags[b"h"].lower())
    _check_names(names, headers)
    try:
        policy = CanonicalizationPolicy.from_c_value(tags.get(b"c", b"simple/simple").lower())
    except InvalidCanonicalizationPolicyError:
        raise UnusableError("unknown canonicalization") from None
    return _Signature(
        index=index,
        algorithm=algorithm,
        key_name=(selector + b"._domainkey." + domain + b".").decode("ascii"),
        same_domain_only=_identity_domain(tags, domain) == domain,
        names=names,
        body_hash=_base64(tags[b"bh"]),
        signature=_base64(tags[b"b"]),
        policy=policy,
        relaxed_body=policy.body_algorithm.name == b"relaxed",
    )


def _check_times(tags: dict[bytes, bytes], now: float) -> None:
    times = {name: tags[name] for name in (b"t", b"x") if name in tags}
    if any(_NUMBER.fullmatch(value) is None for value in times.values()):
        raise UnusableError("a time that is no number")
    signed = int(times.get(b"t", b"0"))
    expires = int(times[b"x"]) if b"x" in times else None
    if signed > now + CLOCK_SKEW_SECONDS:
        raise UnusableError("signed in the future")
    if expires is not None and (expires < signed or expires < now - CLOCK_SKEW_SECONDS):
        raise UnusableError("expired")


def _check_names(names: list[bytes], headers: list[Header]) -> None:
    """Every instance of a singular field must be signed, and From in any case."""
    if len(names) > MAX_SIGNED_NAMES or b"from" not in names:
        raise UnusableError("From is not signed, or too many fields are")
    present = [name.lower() for name, _ in headers]
    for name in SINGULAR:
        count = present.count(name)
        if count > 1 and names.count(name) < count:
            raise UnusableError("a field was added after signing")


def _identity_domain(tags: dict[bytes, bytes], domain: bytes) -> bytes:
    identity = tags.get(b"i", b"@" + domain).lower().rpartition(b"@")
    if identity[1] != b"@" or not (b"." + identity[2]).endswith(b"." + domain):
        raise UnusableError("i= is outside d=")
    return identity[2]


def _split_list(value: bytes) -> list[bytes]:
    return [item.strip(_WHITE_SPACE) for item in value.split(b":")]


def _base64(value: bytes) -> bytes:
    compact = value.translate(None, _WHITE_SPACE)
    if _BASE64.fullmatch(compact) is None:
        raise UnusableError("not base64")
    try:
        return base64.b64decode(compact, validate=True)
    except binascii.Error:
        raise UnusableError("not base64") from None


def _any_record_verifies(
    signature: _Signature, records: list[bytes], headers: list[Header]
) -> bool:
    tried = 0
    for record in records:
        try:
            tags = parse_tags(record)
            if tags.get(b"v", b"DKIM1") != b"DKIM1" or b"p" not in tags:
                continue  # some other TXT record
            tried += 1
            if tried > MAX_RECORDS:
                return False
            if _signed_by(_read_key(tags, signature), signature, headers):
                return True
        except UnusableError:
            continue
    return False


def _read_key(tags: dict[bytes, bytes], signature: _Signature) -> Key:
    """Read a key record (RFC 6376 3.6.1, RFC 8463 4.2)."""
    kind = tags.get(b"k", b"rsa").lower()
    if signature.algorithm != kind + b"-sha256":
        raise UnusableError("key of another kind")
    if b"sha256" not in _split_list(tags.get(b"h", b"sha256").lower()):
        raise UnusableError("key not for SHA-256")
    if not {b"*", b"email"} & set(_split_list(tags.get(b"s", b"*").lower())):
        raise UnusableError("key not for mail")
    if b"s" in _split_list(tags.get(b"t", b"").lower()) and not signature.same_domain_only:
        raise UnusableError("key not for subdomains")
    material = _base64(tags[b"p"])  # an empty p= is a revoked key and no base64
    try:
        if kind == b"ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(material)
        key = load_der_public_key(material)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableError("not a key") from None
    if not isinstance(key, rsa.RSAPublicKey) or not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise UnusableError("not an RSA key of a permitted size")
    return key


def _signed_by(key: Key, signature: _Signature, headers: list[Header]) -> bool:
    lines = [(name, value + b"\r\n") for name, value in headers]
    own = [line for line in lines if line[0].lower() == b"dkim-signature"][signature.index]
    hasher = sha256()
    canonical = signature.policy.canonicalize_headers(lines)
    dkim.hash_headers(hasher, signature.policy, canonical, signature.names, own, None)
    digest = hasher.digest()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.signature, digest, padding.PKCS1v15(), utils.Prehashed(SHA256()))
        else:
            key.verify(signature.signature, digest)
    except InvalidSignature:
        return False
    return True
