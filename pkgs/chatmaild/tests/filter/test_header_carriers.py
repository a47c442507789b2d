"""
The number of header octets that a sender can choose and a stranger can read.

Two messages that differ only in the content of a carrier go through the whole filter. The octets in
which the results differ are the ones that a sender can choose.
"""

import json
import re
import secrets
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

import mails
from chatmaild.config import load
from chatmaild.filter.pipeline import Pass, Pipeline
from chatmaild.filter.policy import Envelope, Refuse, Role
from mails import ALICE, BOB, Header, split

from .edits import apply

# Both are words to a stranger, of the same length.
ONE = "the quick brown fox jumps over the lazy dog and tells a secret to Bob"
TWO = "forty monkeys type letters all night long until somebody reads of it."
NOW = 1_700_000_000.0

CARRIERS = {
    "an X- field": "X-Anything: {}\n",
    "490 X- fields": "".join(f"X-Anything-{n}: {{0}} {'x' * 800}\n" for n in range(490)),
    "Comments and Keywords": "Comments: {0}\nKeywords: {0}\n",
    "Thread-Topic": "Thread-Topic: {}\n",
    "the name of a field": "X-{}: 1\n",
    "Organization, User-Agent": "Organization: {0}\nUser-Agent: {0}\n",
    "Content-Description": "Content-Description: {}\n",
    "Content-Disposition": 'Content-Disposition: inline; filename="{}"\n',
    "an unknown Content- field": "Content-Words: {}\n",
    "List- fields": "List-Id: {0} <a.b>\nList-Unsubscribe: <mailto:a@b?subject={0}>\n",
    "Received": "Received: from {} by there; Sun, 15 Oct 2023 16:43:21 +0000\n",
    "Resent-": "Resent-From: {0} <a@b>\nResent-Comments: {0}\n",
    "Reply-To": "Reply-To: {} <a@b.example>\n",
    "Sender": "Sender: {} <a@b.example>\n",
    "the name of a Cc": "Cc: {} <a@b.example>\n",
    "a comment in a Cc": "Cc: <a@b.example> ({})\n",
    "a group in a Cc": "Cc: {0}: <a@b.example>, {0} <c@d.example>;\n",
    "garbage in a Cc": "Cc: {}, <a@b.example>\n",
    "References": "References: <{}@b>\n",
    "text in In-Reply-To": "In-Reply-To: {} <a@b>\n",
    "Auto-Submitted": "Auto-Submitted: auto-replied; reason={}\n",
    "Chat- fields": "Chat-Group-Name: {0}\nChat-Content: {0}\nChat-User-Avatar: base64:{0}\n",
    "Chat-Is-Post-Message": "Chat-Is-Post-Message: {}\n",
    "Autocrypt": "Autocrypt: addr=alice@chat.example.org; _note={0}; keydata={0}\n",
    "Autocrypt-Setup-Message": "Autocrypt-Setup-Message: {}\n",
    "Secure-Join- fields": "Secure-Join-Invitenumber: {0}\nSecure-Join-Group: {0}\n",
    "a line `From `": "X-Mailbox-Line: From {}\n",
    "DKIM-Signature": "DKIM-Signature: v=1; note={}\n",
    "a second Subject": "Subject: {}\n",
    "a second To": "To: {} <a@b.example>\n",
    "folds": "Cc:{0}<a@b.example>\n",
}
WHOLE = {
    "the name in From": {"author": f"{{}} <{ALICE}>"},
    "the name in To": {"to": f"{{}} <{BOB}>"},
    "the Subject": {"subject": "{}"},
}
CHANGED = {
    "a comment in the Date": ("+0000\n", "+0000 ({})\n"),
    "a comment in MIME-Version": ("MIME-Version: 1.0\n", "MIME-Version: 1.0 ({})\n"),
    "Chat-Version": ("Chat-Version: 1.0\n", "Chat-Version: {}\n"),
    "Secure-Join outside a request": ("Chat-Version: 1.0\n", "Secure-Join: {}\n"),
    "parameters of Content-Type": ("multipart/encrypted;", 'multipart/encrypted; x="{}";'),
    "the protocol in Content-Type": ('protocol="application/', 'protocol="{}/'),
    "garbage in To": (f"To: <{BOB}>", f"To: {{}}, <{BOB}>"),
}


@pytest.fixture
def pipeline(tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Provide a filter without the parts that always differ: signatures and random boundaries."""
    monkeypatch.setattr(secrets, "token_hex", lambda octets: "0" * 2 * octets)
    (tmp_path / "chatmaild.json").write_text(json.dumps(settings))
    return Pipeline(load(tmp_path / "chatmaild.json"), None, lambda *_: [], wall=lambda: NOW)


def leaves(pipeline: Pipeline, mail: bytes) -> list[Header] | None:
    """Submit a message; return the resulting header and body, or None if it is refused."""
    headers, body = split(mail)
    result = pipeline.finish(Role.SUBMISSION, Envelope(ALICE, (BOB,), ALICE, ""), headers, body)
    if isinstance(result, Refuse):
        return None
    assert isinstance(result, Pass)
    text = body if result.body is None else result.body
    return [*apply(headers, result.edits), (b"the body", text)]


def chosen(pipeline: Pipeline, one: bytes, two: bytes) -> int:
    """Count the octets in which the two results differ."""
    assert one != two
    first, second = leaves(pipeline, one), leaves(pipeline, two)
    assert first, "refused, which shows nothing"
    assert second
    return sum(
        a[part][at : at + 1] != b[part][at : at + 1]
        for a, b in zip_longest(first, second, fillvalue=(b"", b""))
        for part in (0, 1)
        for at in range(max(len(a[part]), len(b[part])))
    )


@pytest.mark.parametrize("extra", CARRIERS.values(), ids=list(CARRIERS))
@pytest.mark.parametrize("build", [mails.encrypted, mails.secure_join])
def test_a_field_carries_nothing(pipeline: Pipeline, build: Any, extra: str) -> None:
    """Encrypted messages and requests to join must reveal nothing else."""
    usual, _, body = build().partition(b"\n\n")
    pair = [usual + b"\n" + extra.format(text).encode() + b"\n" + body for text in (ONE, TWO)]

    assert chosen(pipeline, *pair) == 0


@pytest.mark.parametrize("fields", WHOLE.values(), ids=list(WHOLE))
def test_a_name_carries_nothing(pipeline: Pipeline, fields: dict[str, str]) -> None:
    """Names are in the encrypted part, where clients read them."""
    pair = [
        mails.encrypted(**{name: value.format(text) for name, value in fields.items()})
        for text in (ONE, TWO)
    ]

    assert chosen(pipeline, *pair) == 0


@pytest.mark.parametrize(("old", "new"), CHANGED.values(), ids=list(CHANGED))
def test_a_comment_or_parameter_carries_nothing(pipeline: Pipeline, old: str, new: str) -> None:
    """Nor does anything else that a field can contain besides its value."""
    mail = mails.encrypted()
    assert mail.count(old.encode()) == 1
    pair = [mail.replace(old.encode(), new.format(text).encode()) for text in (ONE, TWO)]

    assert chosen(pipeline, *pair) == 0


def test_letters_order_and_number_of_fields_carry_nothing(pipeline: Pipeline) -> None:
    """The order of twelve fields could carry four octets, and so could their letter case."""
    head, _, body = mails.encrypted().partition(b"\n\n")
    lines = re.split(rb"\n(?! )", head)
    odd = [name.swapcase() + b":" + value for name, _, value in (x.partition(b":") for x in lines)]
    other = b"\n".join([*odd[::-1], b"Date: Sun, 15 Oct 2023 16:43:21 +0000"])

    assert chosen(pipeline, head + b"\n\n" + body, other + b"\n\n" + body) == 0


def test_a_free_message_id_does_not_leave(pipeline: Pipeline) -> None:
    """It is refused rather than changed, because clients find sent messages by it."""
    for value in (f"<{ONE}@b>", f"<a@b> {ONE}", f"<a@b> ({ONE})", f"<{'a' * 200}@b>"):
        mail = mails.encrypted().replace(b"<m1@chat.example.org>", value.encode())
        assert leaves(pipeline, mail) is None


@pytest.mark.parametrize(
    ("field", "bound"),
    [
        ("Message-ID: <{}@b>", 160),
        ("In-Reply-To: <{}@b>", 160),
        ("Date: {}, 4{} Jan 20{}6 00:00:00 +0000", 31),
        ("Secure-Join-Invitenumber: {}", 32),
        ("Chat-Version: {}.{}", 5),
    ],
)
def test_what_a_value_needs_is_bounded(pipeline: Pipeline, field: str, bound: int) -> None:
    """These are unavoidable: identifiers, the time, the number of an invite."""
    name = field.partition(":")[0]
    for length in (1, 10, 100, 1000):
        build = mails.secure_join if "Join" in name else mails.encrypted
        usual, _, body = build().partition(b"\n\n")
        lines = [line for line in usual.split(b"\n") if not line.startswith(name.encode())]
        value = field.replace("{}", "4" * length).encode()
        left = leaves(pipeline, b"\n".join([*lines[:3], value, *lines[3:]]) + b"\n\n" + body)
        for key, octets in left or []:
            if key == name.encode():
                assert len(octets.strip()) <= bound + len("<>")
