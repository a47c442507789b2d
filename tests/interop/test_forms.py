"""
Messages in the forms that mail programs write: forms/ has one file for each.

A form is a message with `@FROM@`, `@TO@`, `@ID@` and `@DATE@`, and with armor: `@ARMOR@`, or
`@ARMOR HEADER|HEADER@` with header lines, `@BASE64@` and `@QUOTED@` in transfer encodings. Its
first line says whose it is.
"""

from __future__ import annotations

import base64
import quopri
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.table import Row
from people import carried, messages, openpgp

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.relay import Relay
    from people.carried import Outcome
    from people.strangers import Stranger

pytestmark = pytest.mark.timeout(120)

FORMS = Path(__file__).with_name("forms")
ENCRYPTED, READABLE = (sorted((FORMS / kind).glob("*.eml")) for kind in ("encrypted", "readable"))
PROGRAM = "Forms of mail programs"
OUT, IN = "out", "in, strict"
TEXT = "Grüße in der Form eines anderen Programms"


def label(form: Path) -> str:
    """Return the first line of a form."""
    return form.read_text().partition("\n")[0].removeprefix("# ")


def fill(sender: str, recipient: str, form: Path) -> bytes:
    """Make a message of a form, encrypted to the recipient."""
    inner = f"Content-Type: text/plain; charset=utf-8\n\n{TEXT}\n"
    packets = openpgp.dearmored(openpgp.encrypt(inner, recipient))

    def armor(found: re.Match[str]) -> str:
        headers = "".join(f"{line}\n" for line in (found[1] or "").split("|") if line)
        return openpgp.armored(packets, headers=headers).strip()

    plain = openpgp.armored(packets)
    text = form.read_text().partition("\n")[2]
    text = re.sub(r"@ARMOR(?: (.*?))?@(?=\n|$)", armor, text)
    for name, value in (
        ("BASE64", base64.encodebytes(plain.encode()).decode().strip()),
        ("QUOTED", quopri.encodestring(plain.encode()).decode().strip()),
        ("FROM", sender),
        ("TO", recipient),
        ("ID", messages.new_id(sender).strip("<>")),
        ("DATE", messages.now()),
    ):
        text = text.replace(f"@{name}@", value)
    return messages.crlf(text)


@pytest.fixture(scope="module")
def outcomes(
    relay: Relay, strict_relay: Relay, correspondent: Stranger
) -> Callable[[str], dict[str, Outcome]]:
    """Send every form in a direction, once."""
    letters = {label(form): partial(fill, form=form) for form in (*ENCRYPTED, *READABLE)}

    @cache
    def run(direction: str) -> dict[str, Outcome]:
        if direction == OUT:
            return carried.submit(relay, letters)
        return carried.deliver(strict_relay, correspondent, letters)

    return run


@pytest.mark.parametrize("direction", [OUT, IN])
@pytest.mark.parametrize("form", ENCRYPTED, ids=lambda form: form.stem)
def test_encrypted_form_arrives_and_can_be_decrypted(
    form: Path,
    direction: str,
    outcomes: Callable[[str], dict[str, Outcome]],
    tried: Callable[[Row], None],
) -> None:
    """And nothing of its dress is left in the body."""
    tried(Row(PROGRAM, "", direction, label(form), "decrypted"))
    outcome = outcomes(direction)[label(form)]
    assert (outcome.code, outcome.said) == (250, "")
    [reader] = messages.header(outcome.stored, "To")
    address = re.sub(r".*<|>", "", reader)
    armor = carried.encrypted_part(outcome.stored).replace("\r\n", "\n")
    assert TEXT in openpgp.decrypt(armor, address)
    body = messages.body(outcome.stored)
    assert not re.search(rb"RFC|identification|Comment|GnuPG|mailing list|name=", body)


@pytest.mark.parametrize("direction", [OUT, IN])
@pytest.mark.parametrize("form", READABLE, ids=lambda form: form.stem)
def test_readable_form_is_refused(
    form: Path,
    direction: str,
    outcomes: Callable[[str], dict[str, Outcome]],
    tried: Callable[[Row], None],
) -> None:
    """Whatever stands beside the encrypted part could be read and changed by everybody."""
    tried(Row(PROGRAM, "", direction, label(form), "refused (523)"))
    outcome = outcomes(direction)[label(form)]
    assert (outcome.code, outcome.said) == (523, "Encryption Needed: Invalid Unencrypted Mail")
