"""Only a complete, current, strictly aligned signature authenticates an author."""

import base64
import re
import time
from collections.abc import Callable
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.signatures import canonicalization, records, verifying
from chatmaild.signatures.tags import UnusableError
from chatmaild.signatures.verifying import KeyUnavailableError, Outcome, verify
from mails import BOB, Header, encrypted, split

DOMAIN = "other.example"
KEY_NAME = "sel._domainkey.other.example."
NOW = time.time()
KEY = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)
EDWARDS = ed25519.Ed25519PrivateKey.generate()

Records = dict[str, list[bytes]]


def public(key: rsa.RSAPrivateKey) -> bytes:
    """Return a p= value."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return a key in dkimpy's format."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


RECORD = b"v=DKIM1; k=rsa; p=" + public(KEY)
MAIL = encrypted(author=f"<{BOB}>")


def sign(mail: bytes = MAIL, **options: Any) -> tuple[list[Header], bytes]:
    """Sign as a stranger's server would, only with dkimpy."""
    headers, body = split(mail)
    algorithm = options.pop("algorithm", b"rsa-sha256")
    key = options.pop("key", None) or pem(KEY)
    selector = options.pop("selector", b"sel")
    message = dkim.DKIM(signature_algorithm=algorithm)
    message.headers = [(name, value + b"\r\n") for name, value in headers]
    message.body = body
    field = message.sign(selector, options.pop("domain", DOMAIN.encode()), key, **options)
    return [(b"DKIM-Signature", field.partition(b":")[2].removesuffix(b"\r\n")), *headers], body


def resign(
    headers: list[Header], body: bytes, change: Callable[[bytes], bytes]
) -> tuple[list[Header], bytes]:
    """Change tags of the signature and sign again by hand, as a hostile server can."""
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.hashes import SHA256

    field = headers[0][1]
    start = field.rindex(b" b=") + 3
    bare = change(field[:start])
    listed = re.search(rb"[; ]h=([^;]*)", bare)
    assert listed is not None
    hashed = b""
    names = [name.strip() for name in listed[1].lower().split(b":")]
    for name, value in dkim.select_headers(headers[1:], names):
        hashed += name.lower() + b":" + b" ".join(value.split()) + b"\r\n"
    hashed += b"dkim-signature:" + b" ".join(bare.split())
    signature = KEY.sign(hashed, padding.PKCS1v15(), SHA256())
    return [(b"DKIM-Signature", bare + base64.b64encode(signature)), *headers[1:]], body


def outcome(
    message: tuple[list[Header], bytes],
    records: Records | None = None,
    *,
    domain: str = DOMAIN,
    now: float = NOW,
) -> Outcome:
    """Verify with a DNS that contains only `records`."""
    zone = {KEY_NAME: [RECORD]} if records is None else records
    return verify(
        *message,
        domain,
        lambda name, seconds: zone.get(name, []),
        now=now,
        clock=time.monotonic,
    ).outcome


@pytest.mark.parametrize("header", [b"relaxed", b"simple"])
@pytest.mark.parametrize("body", [b"relaxed", b"simple"])
@pytest.mark.parametrize(
    "mail",
    [
        MAIL,
        encrypted(author=f"<{BOB}>", extra="X: a\n\tb \nEmpty:\nReceived: x\n"),
        MAIL + b"\n\n \t \n\n",
        b"From:bob@other.example\nSubject:\n folded\n\n",
        b"From: bob@other.example\nSubject: 8\xe4bit  two\n\n.\n..\nb\xe4d  \t\n",
    ],
)
def test_accepts_good_signatures(header: bytes, body: bytes, mail: bytes) -> None:
    """In any canonicalization, made by an independent implementation."""
    assert outcome(sign(mail, canonicalize=(header, body))) is Outcome.VALID


def test_accepts_ed25519() -> None:
    """RFC 8463."""
    seed = EDWARDS.private_bytes_raw()
    key = base64.b64encode(seed)
    record = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(EDWARDS.public_key().public_bytes_raw())
    message = sign(algorithm=b"ed25519-sha256", key=key)

    assert outcome(message, {KEY_NAME: [record]}) is Outcome.VALID
    assert outcome(message, {KEY_NAME: [RECORD]}) is Outcome.INVALID


def test_tells_a_missing_signature_from_a_wrong_one() -> None:
    """The two have different replies, and other projects' tests match them."""
    assert outcome(split(MAIL)) is Outcome.MISSING
    assert outcome(sign(key=pem(STRANGER))) is Outcome.INVALID


@pytest.mark.parametrize(
    "domain", ["example", "evil.example", "sub.other.example", "another.example", "other.example."]
)
def test_requires_strict_alignment(domain: str) -> None:
    """Only the From domain itself proves the author, not its parents or children."""
    assert outcome(sign(), domain=domain) is Outcome.INVALID


def test_asks_dns_about_aligned_signatures_only() -> None:
    """A stranger must not make the relay look up names of other domains."""
    asked: list[str] = []

    def lookup(name: str, seconds: float) -> list[bytes]:
        asked.append(name)
        return []

    headers, body = sign()
    stranger, _ = sign(domain=b"evil.example")
    verify([stranger[0], *headers], body, DOMAIN, lookup, now=NOW, clock=time.monotonic)

    assert asked == [KEY_NAME]


@pytest.mark.parametrize(
    "forge",
    [
        lambda headers, body: (headers, body + b"more\r\n"),
        lambda headers, body: (headers, body.replace(b"Version: 1", b"Version: 2")),
        lambda headers, body: ([*headers, (b"Subject", b" forged")], body),
        lambda headers, body: ([(b"From", b" <x@evil.example>"), *headers], body),
        lambda headers, body: (
            [(n, b" <eve@other.example>" if n == b"From" else v) for n, v in headers],
            body,
        ),
        lambda headers, body: ([(n, v) for n, v in headers if n != b"From"], body),
    ],
)
def test_refuses_forged_messages(
    forge: Callable[[list[Header], bytes], tuple[list[Header], bytes]],
) -> None:
    """Changed or extended ones, and ones with fields on top that a reader would be shown."""
    assert outcome(forge(*sign())) is Outcome.INVALID


def test_an_unsigned_field_may_be_added() -> None:
    """Every hop adds one."""
    headers, body = sign()

    assert outcome(([(b"Received", b" from x by y"), *headers], body)) is Outcome.VALID


def test_refuses_a_partly_signed_body() -> None:
    """With l= anyone may append anything (RFC 6376 8.2)."""
    headers, body = sign(length=True)

    assert outcome((headers, body + b"more\r\n")) is Outcome.INVALID
    assert outcome((headers, body)) is Outcome.VALID


def test_the_hand_made_signature_is_sound() -> None:
    """Otherwise the refusals below could have another reason."""
    assert outcome(resign(*sign(), change=lambda field: field)) is Outcome.VALID


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.replace(b"v=1;", b"v=2;"),
        lambda f: f.replace(b"v=1; ", b""),
        lambda f: f.replace(b"rsa-sha256", b"rsa-sha1"),
        lambda f: f.replace(b"rsa-sha256", b"rsa-sha512"),
        lambda f: f.replace(b"q=dns/txt", b"q=http/well-known"),
        lambda f: f.replace(b"v=1;", b"v=1; x=%d;" % (NOW - 3600)),
        lambda f: f.replace(b"v=1;", b"v=1; x=9;"),
        lambda f: f.replace(b"v=1;", b"v=1; x=soon;"),
        lambda f: f.replace(b"i=@other", b"i=@another"),
        lambda f: f.replace(b"i=@other", b"i=other"),
        lambda f: f.replace(b"from", b"x-from"),
        lambda f: f.replace(b"h=from", b"h=from" + b":x" * 200),
        lambda f: f.replace(b"relaxed/simple", b"nofws/simple"),
        lambda f: f.replace(b"v=1;", b"v=1; d=other.example;"),
        lambda f: f.replace(b"v=1;", b"v=1; hello;"),
        lambda f: f.replace(b"s=sel", b"s=s/../el"),
        lambda f: f.replace(b"v=1;", b"v=1; note=" + b"x" * 9000 + b";"),
    ],
)
def test_refuses_signatures_with_wrong_tags(change: Callable[[bytes], bytes]) -> None:
    """Each is correctly signed, so only the tag can be the reason."""
    headers, body = sign()
    assert change(headers[0][1]) != headers[0][1]

    assert outcome(resign(headers, body, change)) is Outcome.INVALID


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.replace(b"v=1;", b"v=1; x=%d;" % (NOW + 3600)),
        lambda f: f.replace(b"v=1;", b"v=1; unknown=tag;"),
        lambda f: f.replace(b"v=1;", b"v=1; x-with-hyphen=tag;"),
        lambda f: f.replace(b"v=1;", b"v=1;;" + b" " * 500),
        lambda f: f.replace(b" t=", b" t=9"),
        lambda f: f.replace(b"i=@other.example", b"i=bob@sub.other.example"),
        lambda f: f.replace(b"d=other.example", b"d=Other.Example"),
        lambda f: f.replace(b"h=from", b"h=From"),
    ],
)
def test_accepts_unusual_tags(change: Callable[[bytes], bytes]) -> None:
    """They are unusual, but the standard allows them."""
    headers, body = sign()
    assert change(headers[0][1]) != headers[0][1]

    assert outcome(resign(headers, body, change)) is Outcome.VALID


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        b"p=" + public(KEY),
        b"v=DKIM1;p=" + public(KEY) + b";",
        b" v = DKIM1 ; k = rsa ; p = " + public(KEY)[:80] + b" " + public(KEY)[80:] + b" ",
        RECORD + b"; t=s:y; s=email; h=sha1:sha256; n=hello",
        RECORD + b"; s=*",
        RECORD + b"; x-foo=1",
        b"v=DKIM1;; k=rsa; p=" + public(KEY),
    ],
)
def test_accepts_key_records_as_people_write_them(record: bytes) -> None:
    """RFC 6376 3.6.1: v= is optional, and white space is allowed almost anywhere."""
    assert outcome(sign(), {KEY_NAME: [record]}) is Outcome.VALID


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"v=DKIM1; k=rsa; p=",
        b"v=DKIM1; k=rsa",
        b"v=DKIM2; p=" + public(KEY),
        b"v=spf1 -all",
        b"v=DKIM1; k=ed25519; p=" + public(KEY),
        RECORD + b"; h=sha1",
        RECORD + b"; s=tlsrpt",
        RECORD + b"; p=" + public(KEY),
        b"v=DKIM1; p=!!!!",
        b"v=DKIM1; p=AAAA",
        b"v=DKIM1; p=" + public(STRANGER),
        b"v=DKIM1; p=" + base64.b64encode(EDWARDS.public_key().public_bytes_raw()),
        b"\xff\x00",
    ],
)
def test_refuses_other_key_records(record: bytes) -> None:
    """They are revoked, restricted to other uses, malformed, or contain another key."""
    assert outcome(sign(), {KEY_NAME: [record]}) is Outcome.INVALID


@pytest.mark.parametrize("bits", [1024, 4096])
def test_accepts_rsa_keys_of_permitted_sizes(bits: int) -> None:
    """RFC 8301 3.2: verifiers must accept 1024 to 4096 bits."""
    key = rsa.generate_private_key(65537, bits)

    assert outcome(sign(key=pem(key)), {KEY_NAME: [b"p=" + public(key)]}) is Outcome.VALID


# `cryptography` refuses to generate one of 768 bits.
RSA_768 = (
    b"MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAMj4iqQxaDqJitwKzo3LOX89XYcbpeLx"
    b"kuXG4uDEPT4ccPIP6LHXmvnwvTuBB049uSI0y6Ydm3bhuJMjMcYKoaJ3mx1Me3hN"
    b"bvLjc8MteI5OY0Bk0phsNrR+16NQUckecQIDAQAB"
)
RSA_8192 = base64.b64encode(
    rsa.RSAPublicNumbers(65537, (1 << 8191) + 1)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


@pytest.mark.parametrize("key", [RSA_768, RSA_8192], ids=["768", "8192"])
def test_refuses_rsa_keys_of_other_sizes(key: bytes) -> None:
    """Short ones can be broken, and long ones only cost time; nothing is computed."""
    with pytest.raises(UnusableError, match="permitted size"):
        records.read(b"p=" + key, b"rsa-sha256", same_domain=True)


def integer(number: int) -> bytes:
    """Encode a number in DER."""
    octets = number.to_bytes(number.bit_length() // 8 + 1)
    length = len(octets)
    return b"\x02" + (bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2)) + octets


@pytest.mark.parametrize("exponent", [1, 2**33 + 1])
def test_refuses_unusual_rsa_exponents(exponent: int) -> None:
    """With the exponent 1 anyone can sign, and a long one takes as long as signing does."""
    numbers = integer(KEY.public_key().public_numbers().n) + integer(exponent)
    key = base64.b64encode(b"\x30\x82" + len(numbers).to_bytes(2) + numbers)

    with pytest.raises(UnusableError, match="exponent"):
        records.read(b"p=" + key, b"rsa-sha256", same_domain=True)


def test_a_key_with_strict_flag_refuses_a_subdomain_identity() -> None:
    """t=s of RFC 6376 3.6.1; the relay's own record has it, too."""
    message = resign(
        *sign(), change=lambda f: f.replace(b"i=@other.example", b"i=@sub.other.example")
    )

    assert outcome(message) is Outcome.VALID
    assert outcome(message, {KEY_NAME: [RECORD + b"; t=s"]}) is Outcome.INVALID


def test_one_good_key_record_among_several_is_enough() -> None:
    """During a change of keys there are two; strangers cannot publish records there."""
    records = [b"v=spf1 -all", b"v=DKIM1; p=" + public(STRANGER), RECORD]

    assert outcome(sign(), {KEY_NAME: records}) is Outcome.VALID
    assert outcome(sign(), {KEY_NAME: [records[1]] * 4 + [RECORD]}) is Outcome.INVALID


def test_one_good_signature_among_several_is_enough() -> None:
    """Lists and providers add their own; broken ones do not invalidate the good one."""
    good, body = sign()
    foreign, _ = sign(domain=b"evil.example")
    broken, _ = sign(key=pem(STRANGER))

    assert outcome(([foreign[0], broken[0], *good], body)) is Outcome.VALID
    assert outcome(([good[0], broken[0], *good[1:]], body)) is Outcome.VALID


def test_the_number_of_signatures_tried_is_bounded() -> None:
    """Each costs a look-up and public-key arithmetic."""
    good, body = sign()
    broken, _ = sign(key=pem(STRANGER))

    seven = [broken[0]] * (verifying.MAX_SIGNATURES - 1)
    assert outcome((seven + good, body)) is Outcome.VALID
    assert outcome(([*seven, broken[0], *good], body)) is Outcome.INVALID


@pytest.mark.parametrize("position", [0, 1])
def test_a_silent_dns_is_not_a_wrong_signature(position: int) -> None:
    """The sender must try again later, even if other signatures are wrong."""
    good, body = sign()
    broken, _ = sign(key=pem(STRANGER), selector=b"old")
    fields = [broken[0], broken[0]]
    fields[position] = good[0]

    def lookup(name: str, seconds: float) -> list[bytes]:
        if name == KEY_NAME:
            raise KeyUnavailableError
        return [RECORD]

    headers = fields + good[1:]
    found = verify(headers, body, DOMAIN, lookup, now=NOW, clock=time.monotonic)
    assert found.outcome is Outcome.UNKNOWN


def test_a_good_signature_needs_no_answer_for_the_others() -> None:
    """A dead name server for one selector must not delay the mail."""
    good, body = sign()
    dead, _ = sign(selector=b"dead")

    def lookup(name: str, seconds: float) -> list[bytes]:
        if name != KEY_NAME:
            raise KeyUnavailableError
        return [RECORD]

    headers = [dead[0], *good]
    found = verify(headers, body, DOMAIN, lookup, now=NOW, clock=time.monotonic)
    assert found.outcome is Outcome.VALID


def test_all_lookups_share_one_budget() -> None:
    """Eight dead selectors must not exceed Postfix's time-out."""
    given_seconds: list[float] = []
    ticks = iter(range(0, 1000, 9))

    def lookup(name: str, seconds: float) -> list[bytes]:
        given_seconds.append(seconds)
        raise KeyUnavailableError

    headers, body = sign()
    dead = [sign(selector=b"s%d" % n)[0][0] for n in range(4)]
    verify([*dead, *headers[1:]], body, DOMAIN, lookup, now=NOW, clock=lambda: next(ticks))

    assert given_seconds == [20, 11, 2, 0]


def test_a_name_is_looked_up_once() -> None:
    """All signatures of a message may have the same selector."""
    asked: list[str] = []

    def lookup(name: str, _seconds: float) -> list[bytes]:
        asked.append(name)
        raise KeyUnavailableError

    headers, body = sign()
    verify([headers[0]] * 8 + headers[1:], body, DOMAIN, lookup, now=NOW, clock=time.monotonic)

    assert asked == [KEY_NAME]


def test_a_wrong_body_needs_no_lookup() -> None:
    """Otherwise copies of one signed mail would each cause a look-up."""

    def lookup(name: str, seconds: float) -> list[bytes]:
        raise AssertionError(name)

    headers, body = sign()
    found = verify(headers, body + b"x\r\n", DOMAIN, lookup, now=NOW, clock=time.monotonic)
    assert found.outcome is Outcome.INVALID


@given(st.binary(max_size=300), st.binary(max_size=120))
def test_answers_any_bytes_with_an_outcome(field: bytes, record: bytes) -> None:
    """Any mail and any record gives an outcome, not an exception."""
    headers, body = sign()
    hostile = b" v=1; a=rsa-sha256; d=other.example; s=sel;" + field
    assert outcome(([(b"DKIM-Signature", hostile), *headers[1:]], body)) is Outcome.INVALID
    assert outcome((headers, body), {KEY_NAME: [record]}) is Outcome.INVALID


def attack(header_bytes: int, signatures: int) -> tuple[list[Header], bytes, Records]:
    """Build a message with many plausible signatures by keys that are not published."""
    filler = encrypted(
        author=f"<{BOB}>", extra=f"X-Fill: {' a' * 20_000}\n" * (header_bytes // 40_000)
    )
    headers, body = sign(filler, include_headers=[b"from", *[b"x-fill"] * 20])
    fields = [
        (b"DKIM-Signature", headers[0][1].replace(b"s=sel", b"s=s%d" % n))
        for n in range(signatures)
    ]
    zone = {
        f"s{n}._domainkey.other.example.": [b"v=DKIM1; p=" + public(STRANGER)] * 4
        for n in range(signatures)
    }
    return [*fields, *headers[1:]], body, zone


def test_many_signatures_over_a_long_header_are_hashed_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """48 such messages, 22 MB from one address, took 21 s; each form is now computed once."""
    made: list[int] = []
    write = canonicalization.relaxed_field

    def counting(name: bytes, value: bytes) -> bytes:
        made.append(len(value))
        return write(name, value)

    monkeypatch.setattr(canonicalization, "relaxed_field", counting)
    headers, body, zone = attack(455_000, 8)
    result = verify(
        headers,
        body,
        DOMAIN,
        lambda name, _seconds: zone.get(name, []),
        now=NOW,
        clock=time.monotonic,
    )

    size = sum(len(value) for _, value in headers)
    assert size > 440_000
    assert result.outcome is Outcome.INVALID
    assert 800_000 < result.hashed <= verifying.MAX_HASHED_BYTES
    assert sum(made) < 2 * size


def test_the_number_of_keys_tried_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four keys for each of eight signatures took 32 operations per message."""
    tried: list[object] = []

    def fail(*one: object) -> bool:
        tried.append(one)
        return False

    monkeypatch.setattr(verifying, "_is_signature", fail)
    headers, body, zone = attack(0, 8)

    assert outcome((headers, body), zone) is Outcome.INVALID
    assert len(tried) == verifying.MAX_TRIES


def test_a_body_is_hashed_once_in_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """For 30 MB it takes a large part of a second."""
    forms: list[bool] = []
    hash_body = canonicalization.hash_body

    def counting(body: bytes, *, relaxed: bool) -> tuple[bytes, int]:
        forms.append(relaxed)
        return hash_body(body, relaxed=relaxed)

    monkeypatch.setattr(canonicalization, "hash_body", counting)
    fields = [sign(canonicalize=(b"relaxed", form))[0][0] for form in (b"simple", b"relaxed")]
    headers, body = sign()
    outcome((fields * 4 + headers[1:], body + b"x\r\n"))

    assert sorted(forms) == [False, True]


def test_only_waiting_counts_against_the_budget_for_dns() -> None:
    """Otherwise slow hashing would look like a name server that does not answer."""
    given_seconds: list[float] = []
    now = [0.0]

    def lookup(name: str, seconds: float) -> list[bytes]:
        given_seconds.append(seconds)
        now[0] += 1
        return [b"v=DKIM1; p=" + public(STRANGER)]

    def clock() -> float:
        return now[0]

    def slow(*_: object) -> bool:
        now[0] += 100
        return False

    headers, body = sign()
    fields = [sign(selector=b"s%d" % n)[0][0] for n in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "_is_signature", slow)
        verify([*fields, *headers[1:]], body, DOMAIN, lookup, now=NOW, clock=clock)

    assert given_seconds == [20, 19, 18]


def test_says_what_the_signature_covers() -> None:
    """The lowest fields of a name are covered; those above were added on the way."""
    headers, body = sign(include_headers=[b"from", b"to", b"to", b"chat-version", b"x-none"])
    zone = {KEY_NAME: [RECORD]}
    found = verify(
        [(b"Subject", b" new"), *headers],
        body,
        DOMAIN,
        lambda name, _seconds: zone[name],
        now=NOW,
        clock=time.monotonic,
    )

    assert found.outcome is Outcome.VALID
    assert found.covered == {b"from": 1, b"to": 1, b"chat-version": 1}


@pytest.mark.parametrize(
    "field",
    [
        b" v=1; b=" + b" \r\n " * 2000,
        b" v=1; h=" + b"a:" * 4000,
        b" v=1; b=" + b"\r\n\t" * 60 + b"A" * 7000,
        b";" * 8000,
    ],
)
def test_stays_fast_on_fields_made_to_be_slow(field: bytes) -> None:
    """Five hundred header fields of the worst kind."""
    headers, body = sign()
    tail = headers[0][1] + b";"
    begin = time.process_time()
    outcome(([(b"DKIM-Signature", tail + field)] * 60 + headers[1:], body))

    assert time.process_time() - begin < 1
