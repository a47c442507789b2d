"""Messages that cannot be encrypted: handshakes before the keys, reports, and their abuse."""

from __future__ import annotations

from people import openpgp
from people.messages import (
    PHRASE,
    Builder,
    compose,
    multipart,
    parted,
)


def secure_join(
    sender: str,
    recipient: str,
    step: str = "vc-request",
    text: str | None = None,
    extra: tuple[str, ...] = (),
) -> bytes:
    """Request a key, which cannot be encrypted yet; `text` and `extra` parts abuse it."""
    content_text = f"Secure-Join: {step}" if text is None else text
    fields = 'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: 7bit\n'
    part = f"{fields}\n{content_text}"
    return compose(
        sender,
        recipient,
        parted(part, *extra),
        content_type=multipart("mixed"),
        fields=(f"Secure-Join: {step}", "Secure-Join-Invitenumber: HrbIJRHYHkj"),
    )


def vc_request(sender: str, recipient: str) -> bytes:
    """Request a person's key."""
    return secure_join(sender, recipient)


def vg_request(sender: str, recipient: str) -> bytes:
    """Request to join a group."""
    return secure_join(sender, recipient, "vg-request")


def join_with_text(sender: str, recipient: str) -> bytes:
    """A request followed by a sentence."""
    return secure_join(sender, recipient, text=f"secure-join: vc-request\n{PHRASE}")


def join_with_other_text(sender: str, recipient: str) -> bytes:
    """A request in the header only."""
    return secure_join(sender, recipient, text=PHRASE)


def join_with_part(sender: str, recipient: str) -> bytes:
    """A request with an additional readable part."""
    return secure_join(sender, recipient, extra=(f"Content-Type: text/plain\n\n{PHRASE}\n",))


def join_of_other_step(sender: str, recipient: str) -> bytes:
    """A later step, which is always encrypted."""
    return secure_join(sender, recipient, "vc-auth-required")


def join_as_html(sender: str, recipient: str) -> bytes:
    """The right text in a part of another type, which may hide more."""
    part = "Content-Type: text/html\n\nsecure-join: vc-request\n"
    fields = ("Secure-Join: vc-request",)
    return compose(sender, recipient, parted(part), content_type=multipart("mixed"), fields=fields)


def setup_message(sender: str, recipient: str, text: str = "Here is my key.") -> bytes:
    """Transfer a key to the user's other devices (Autocrypt Level 1, section 5.1)."""
    key = openpgp.encrypt_with_secret("key", "1234")
    parts = (
        f"Content-Type: text/plain\n\n{text}\n",
        f"Content-Type: application/autocrypt-setup\n\n{key}\n",
    )
    return compose(
        sender,
        recipient,
        parted(*parts),
        content_type=multipart("mixed"),
        subject="Autocrypt Setup Message",
        fields=("Autocrypt-Setup-Message: v1",),
    )


def report(
    sender: str, recipient: str, *, automatic: bool = True, subtype: str = "report"
) -> bytes:
    """Report to a sender that mail was not delivered (RFC 3464), as mail servers do."""
    parts = (
        "Content-Type: text/plain; charset=us-ascii\n\nThe mail system could not deliver it.\n",
        (
            "Content-Type: message/delivery-status\n\n"
            "Reporting-MTA: dns; mx.stranger.test\n\n"
            "Final-Recipient: rfc822; gone@stranger.test\nAction: failed\nStatus: 5.1.1\n"
        ),
    )
    return compose(
        sender,
        recipient,
        parted(*parts),
        content_type=multipart(subtype, "report-type=delivery-status; "),
        subject="Undelivered Mail Returned to Sender",
        fields=("Auto-Submitted: auto-replied",) if automatic else (),
    )


def report_without_auto_submitted(sender: str, recipient: str) -> bytes:
    """A report that does not identify itself as automatic."""
    return report(sender, recipient, automatic=False)


def mixed_instead_of_report(sender: str, recipient: str) -> bytes:
    """Any text in the name of the mail system."""
    return report(sender, recipient, subtype="mixed")


JOINS: tuple[Builder, ...] = (vc_request, vg_request)
"""Cannot be encrypted yet."""

ABUSED_JOINS: tuple[Builder, ...] = (
    join_with_text,
    join_with_other_text,
    join_with_part,
    join_of_other_step,
    join_as_html,
)
"""Text for people in the clothes of a handshake."""
