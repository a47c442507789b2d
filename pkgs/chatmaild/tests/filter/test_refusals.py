"""
Why each refusal exists: which real software it affects, and what it prevents.

A refusal that prevents nothing is not in the code. "nobody" means that no software of the last
twenty years writes such mail, so that no legitimate message is refused.
"""

import ast
import inspect
import re
from types import ModuleType
from typing import NamedTuple

import pytest

import mails
from chatmaild.filter import policy, replies
from chatmaild.message import armor, canonical, openpgp, structure
from mails import BOUNDARY, CONTROL, DATA_HEADER, PACKETS, PKESK, SEIPD, noise, packet, split
from mails import encrypted_body as body


class Why(NamedTuple):
    """One refusal: its text or the start of it, a message that is refused, and the reasons."""

    text: str
    mail: bytes
    writes: str
    stops: str


NOBODY = "nobody"
TRUNCATED = "a connection or a mailbox that lost the end of a message"


def pgp(content_type: str = mails.ENCRYPTED, **pieces: str | bytes) -> bytes:
    """Build PGP/MIME with some pieces changed."""
    return mails.header(content_type) + b"\n" + body(**pieces)  # type: ignore[arg-type]


def packed(packets: bytes) -> bytes:
    """Build PGP/MIME of these packets."""
    return pgp(data=mails.armor(packets))


def join(old: str = "", new: str = "") -> bytes:
    """Build a Secure-Join request with some text replaced."""
    return mails.secure_join().replace(old.encode(), new.encode())


ENCRYPTED = [
    Why(
        "field content-type occurs",
        mails.header(mails.ENCRYPTED, extra="Content-Type: text/plain\n") + b"\n" + body(),
        NOBODY,
        "readers differ in which of the two they use, so one could show text",
    ),
    Why(
        "Content-Type is too long",
        pgp(f"{mails.ENCRYPTED}; x=" + "x" * 3000),
        "nobody; the longest known has 300 octets",
        "time: parameters are read with regular expressions",
    ),
    Why(
        "Content-Type has no type/subtype",
        pgp("encrypted"),
        "mail programs from before 1993 (RFC 1049)",
        "such a body has no known format, so it counts as text",
    ),
    Why(
        "neither multipart/encrypted nor",
        mails.header("text/plain") + b"\n" + mails.armor(),
        "web mailers and add-ons that write OpenPGP inline",
        "its content is not a MIME entity, so it cannot be rebuilt as PGP/MIME",
    ),
    Why(
        "multipart without a usable boundary",
        pgp("multipart/encrypted"),
        NOBODY,
        "there are no parts",
    ),
    Why(
        "not 1 to 3 parts",
        pgp(before=f"--{BOUNDARY}\n\nhello\n" * 2),
        "mailing lists that add a footer as a part",
        "a readable part would be dropped without telling its author",
    ),
    Why(
        "a part without an empty line",
        pgp(data_header="X: " + "x" * 20_000 + "\n"),
        TRUNCATED,
        "time: the search for the end of the header is limited",
    ),
    Why(
        "a part is not the base64",
        pgp(data_header="Content-Transfer-Encoding: base64\n"),
        TRUNCATED,
        "it contains no packets",
    ),
    Why(
        "not the two parts",
        pgp(before=f"--{BOUNDARY}\n\nhello\n"),
        "Google Workspace and others that add a footer",
        "a readable part would be dropped without telling its author",
    ),
    Why(
        "not the first part",
        pgp(control="Content-Type: application/pgp-encrypted\n\nVersion: 2\n"),
        "nobody yet",
        "in another version the second part may mean something else",
    ),
    Why(
        "not the second part",
        pgp(data_header="Content-Type: text/plain\n"),
        NOBODY,
        "OpenPGP inline, as above",
    ),
    Why(
        "no BEGIN PGP MESSAGE line",
        pgp(data=b"hello\n" + mails.armor()),
        "people who paste armor below a sentence",
        "the sentence would be dropped without telling its author",
    ),
    Why(
        "no END PGP MESSAGE line",
        pgp(data=mails.armor() + b"hello\n"),
        f"scanners that add a footer to every part; {TRUNCATED}",
        "as above",
    ),
    Why(
        "the armor holds something other",
        pgp(data=mails.armor().replace(b"\n\n", b"\n\nhello, you\n", 1)),
        "nobody; transports that damage mail",
        "text in the armor",
    ),
    Why(
        "no encrypted data at the end",
        packed(PKESK + packet(9, noise(700))),
        "GnuPG with --rfc2440, PGP 5: without integrity protection; everything that only signs",
        "literal and compressed packets are readable; ciphertext without integrity protection"
        " can be changed so that its reader sends the text to a stranger (EFAIL)",
    ),
    Why(
        "encrypted data without a session key",
        packed(SEIPD),
        NOBODY,
        "text disguised as encrypted data that cannot be decrypted",
    ),
    Why(
        "packet type 11",
        packed(packet(11, b"b\0\0\0\0\0hello") + PACKETS),
        NOBODY,
        "a literal packet beside the encrypted data",
    ),
    Why(
        "a session key of an unknown kind",
        packed(packet(1, b"hello") + SEIPD),
        "programs with an algorithm that is newer than this relay",
        "text in a packet that cannot be checked",
    ),
    Why(
        "text in the session keys",
        packed(
            packet(1, b"\x03" + noise(8) + b"\x01\x07\xff" + b"hello you " * 25 + b"hello!") + SEIPD
        ),
        NOBODY,
        "text in place of the number that an RSA key decrypts",
    ),
    Why(
        "too many packets",
        packed(b"\xca\x00" * 20_000),
        NOBODY,
        "time and memory: 30 MB are 15 million packets of two octets",
    ),
    Why(
        "a packet header is cut off",
        packed(PKESK + b"\xd2"),
        TRUNCATED,
        "octets outside packets",
    ),
    Why("a packet is cut off", packed(PACKETS[:-1]), TRUNCATED, "octets outside packets"),
    Why("not a packet", packed(PACKETS + b"hello"), NOBODY, "text after the last packet"),
    Why(
        "partial length in a packet",
        packed(packet(1, noise(600), partial=(9,)) + SEIPD),
        NOBODY,
        "RFC 9580 4.2.1.4 forbids it; the lengths of session keys would not be bounded",
    ),
    Why(
        "a first partial length below 512",
        packed(PKESK + packet(18, b"\x01" + noise(700), partial=(0,))),
        NOBODY,
        "RFC 9580 4.2.1.4 forbids it; a text in chunks of one letter",
    ),
    Why(
        "too many partial lengths",
        packed(PKESK + b"\xd2\xe9" + noise(512) + b"\xe0x" * 200_000),
        NOBODY,
        "time and memory",
    ),
    Why(
        "indeterminate length",
        packed(b"\x87rest" + SEIPD),
        "nobody for session keys (PGP 2 for data without integrity protection)",
        "a packet without an end includes everything after it",
    ),
    Why(
        "encrypted data of an unknown kind",
        packed(PKESK + packet(18, b"")),
        "programs with a version that is newer than this relay",
        "text, or nothing, disguised as encrypted data",
    ),
    Why(
        "the encrypted data is text",
        packed(PKESK + packet(18, b"\x01" + b"hello you " * 70)),
        NOBODY,
        "text disguised as encrypted data",
    ),
]

JOINS = [
    Why(
        "not the first step",
        mails.secure_join("vc-auth-required"),
        "nobody: later steps are encrypted",
        "cleartext",
    ),
    Why(
        "a Secure-Join without a Content-Type",
        b"Secure-Join: vc-request\n\nSecure-Join: vc-request\n",
        NOBODY,
        "the new body needs a field for its type",
    ),
    Why(
        "a Secure-Join with text of its own",
        join("\n--" + BOUNDARY + "--", f"\nhello\n--{BOUNDARY}--"),
        NOBODY,
        "cleartext",
    ),
]


@pytest.mark.parametrize("why", ENCRYPTED, ids=[why.text.replace(" ", "-") for why in ENCRYPTED])
def test_refuses_what_is_not_encrypted_and_says_why(why: Why) -> None:
    """The message of each row is refused with the text of its row."""
    with pytest.raises(canonical.REFUSALS, match=f"^{re.escape(why.text)}"):
        canonical.encrypted(*split(why.mail))


@pytest.mark.parametrize("why", JOINS, ids=[why.text.replace(" ", "-") for why in JOINS])
def test_refuses_what_is_not_a_request_to_join_and_says_why(why: Why) -> None:
    """The message of each row is refused with the text of its row."""
    with pytest.raises(canonical.REFUSALS, match=f"^{re.escape(why.text)}"):
        canonical.secure_join(*split(why.mail))


def texts(module: ModuleType) -> list[str]:
    """Collect the texts of all errors that a module raises, up to the first computed part."""
    found: list[str] = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            (text,) = node.exc.args
            first = text.values[0] if isinstance(text, ast.JoinedStr) else text
            assert isinstance(first, ast.Constant)
            found.append(str(first.value))
    return found


def test_every_refusal_has_its_reason() -> None:
    """A refusal that is added to the code must be added to the table."""
    in_code = [text for module in (structure, armor, openpgp, canonical) for text in texts(module)]
    in_table = [why.text for why in [*ENCRYPTED, *JOINS]]

    assert len(in_code) > 25
    assert [
        text
        for text in in_code
        if not any(text.startswith(row) or row.startswith(text) for row in in_table)
    ] == []


POLICY = {
    # The word under which a refusal is counted -> who writes such mail, and what it prevents.
    "not-owner": ("misconfigured clients", "sending in somebody else's name"),
    "unparsable": (
        "programs that do not fold fields or lines, RFC 5322 2.1.1",
        "Postfix breaks them after signing; a stray CR ends a field for some readers",
    ),
    "from-invalid": (
        "mailing list software that sends for several",
        "a From field that can be read as another",
    ),
    "from-mismatch": ("clients with several identities", "sending in somebody else's name"),
    "literal-mismatch": ("relays behind another address", "sending in the name of another relay"),
    "unencrypted": ("every mail program without OpenPGP", "cleartext"),
    "local": ("cron and other daemons of the host", "the relay's signature under a text"),
    "own-returned": ("mailing lists that return a bounce", "replayed bounces of this relay"),
}


def test_every_refusal_of_the_policy_has_its_reason() -> None:
    """They are found by the replies in `policy`; each is tested in test_policy.py."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(policy)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "replies"
    }
    samples: dict[str, tuple[str, ...]] = {
        "not_owner": ("a", "b"),
        "unparsable": ("a",),
        "invalid_from": ("a",),
        "from_mismatch": ("a", "b"),
        "literal_mismatch": ("a", "b"),
    }
    reasons = {
        (
            getattr(replies, name)(*samples[name]) if name in samples else getattr(replies, name)
        ).reason
        for name in used
    }

    assert reasons == set(POLICY)


def test_the_frame_of_the_table_passes() -> None:
    """Each row is refused only for what is changed in it."""
    assert canonical.encrypted(*split(pgp(control=CONTROL, data_header=DATA_HEADER))) is None
    assert canonical.secure_join(*split(join())) is None
