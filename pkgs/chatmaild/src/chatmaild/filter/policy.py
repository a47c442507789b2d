"""
May this message pass? Pure decisions about submitted and incoming mail.

Outgoing mail is end-to-end encrypted or one of two handshakes that cannot be; incoming mail is
authenticated by its sender's domain and, if the operator wants that, encrypted as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from chatmaild.filter import replies
from chatmaild.filter.replies import Reply
from chatmaild.message import canonical, structure
from chatmaild.message.addresses import Address, AddressError, parse_mailbox, parse_path
from chatmaild.message.canonical import Rebuilt
from chatmaild.message.structure import Header, StructureError

MAX_LINE = 998
"""Octets without CRLF, RFC 5322 2.1.1. Postfix folds longer lines after the signature is made."""


class Role(Enum):
    """On which side of the relay a message came in."""

    SUBMISSION = "submission"
    INCOMING = "incoming"
    INTERNAL = "internal"
    """Made by Postfix itself, such as a bounce."""
    LOCAL = "local"
    """Handed over by a program on this host; also everything whose origin is unknown."""

    @classmethod
    def of_daemon(cls, name: str | None) -> "Role":
        """
        Tell the role from a value of Postfix's `milter_macro_daemon_name`.

        A name that is not known comes from a service whose own setting was forgotten.
        """
        return {role.value: role for role in cls}.get(name or "", cls.LOCAL)


class Kind(Enum):
    """Why a message may pass."""

    ENCRYPTED = "encrypted"
    SECURE_JOIN = "secure-join"
    SETUP_MESSAGE = "setup-message"
    REPORT = "report"
    CLEARTEXT = "cleartext"


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    What SMTP said about a message. Addresses are without angle brackets, the null sender is "".

    `login` is the authenticated name, `peer` the IP address of the SMTP client; each may be "".
    """

    sender: str
    recipients: tuple[str, ...]
    login: str
    peer: str


@dataclass(frozen=True, slots=True)
class Accept:
    """The message may pass, with what replaces its body and Content-Type where that is needed."""

    kind: Kind
    rebuilt: Rebuilt | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """The message may not pass, and this is what the client is told."""

    reply: Reply


Verdict = Accept | Refuse


def check_sender(sender: str, login: str) -> Refuse | None:
    """
    Judge MAIL FROM of a submission: it must be the login. Null senders belong to the relay alone.

    Postfix answers the same earlier; this holds even if its restrictions were configured away.
    """
    try:
        owned = bool(login) and parse_path(sender).same_as(login)
    except AddressError:
        owned = False
    return None if owned else Refuse(replies.not_owner(sender, login))


def outgoing(envelope: Envelope, headers: list[Header], body: bytes) -> Verdict:
    """Judge a submitted message, body with CRLF line ends."""
    if refused := check_sender(envelope.sender, envelope.login):
        return refused
    author = author_of(headers)
    if isinstance(author, Refuse):
        return author
    if not author.same_as(envelope.sender):
        return Refuse(replies.from_mismatch(str(author), envelope.sender))
    if accepted := _in_canonical_form(headers, body):
        return accepted
    if not _is_setup_message(envelope, headers):
        return Refuse(replies.ENCRYPTION_NEEDED)
    if _has_long_line(body):
        return Refuse(replies.unparsable(f"a line is longer than {MAX_LINE} octets"))
    return Accept(Kind.SETUP_MESSAGE)


def _in_canonical_form(headers: list[Header], body: bytes) -> Accept | None:
    """
    Accept encrypted mail and requests for a key, in both directions in canonical form.

    Incoming mail is rebuilt, too. Its signature has been verified and is removed anyway, and the
    reader's parser must not find another message than the one judged here.
    """
    for kind, rebuild in _REBUILDS.items():
        try:
            return Accept(kind, rebuild(headers, body))
        except canonical.REFUSALS:
            continue
    return None


_REBUILDS = {Kind.ENCRYPTED: canonical.encrypted, Kind.SECURE_JOIN: canonical.secure_join}


def internal(envelope: Envelope, headers: list[Header], domain: str) -> Verdict:
    """
    Judge a message that is said to be Postfix's own: it must be a report to a sender of mail.

    bounce(8) writes nothing else. So a process that can reach cleanup(8) cannot use the relay's
    signature for a text of its own author.
    """
    author = author_of(headers)
    if envelope.sender or isinstance(author, Refuse):
        return Refuse(replies.LOCAL_MAIL)
    if str(author).lower() != f"mailer-daemon@{domain}" or not _is_delivery_report(author, headers):
        return Refuse(replies.LOCAL_MAIL)
    return Accept(Kind.REPORT)


def check_origin(envelope: Envelope, author: Address) -> Refuse | None:
    """Judge an author with an address literal: there is no DKIM, so the peer must be that host."""
    literal = author.literal
    if literal is None or literal == envelope.peer.lower().removeprefix("ipv6:"):
        return None
    return Refuse(replies.literal_mismatch(literal, envelope.peer))


def check_return(kind: Kind) -> Refuse | None:
    """
    Judge mail from outside with a good signature of this very relay.

    Classic servers forward it, and mailing lists that change nothing hand it back to members here,
    so what this relay sends to others is taken: encrypted mail and Secure-Join requests. The one
    thing that it signs beside these are bounces. Nobody forwards them, and they hold words of
    whoever caused them.
    """
    if kind in (Kind.ENCRYPTED, Kind.SECURE_JOIN):
        return None
    return Refuse(replies.OWN_FROM_OUTSIDE)


def may_answer(envelope: Envelope, author: Address) -> bool:
    """
    Whether a bounce may go to the envelope sender of a message whose `author` is authenticated.

    DKIM proves the domain in From, nothing proves the one in MAIL FROM: a stranger could sign for
    his own and have bounces sent to somebody else. Whoever signs for a domain owns what is below.
    """
    if not envelope.sender:
        return True
    try:
        sender = parse_path(envelope.sender)
    except AddressError:
        return False
    return sender.domain == author.domain or sender.domain.endswith(f".{author.domain}")


def incoming(
    author: Address, headers: list[Header], body: bytes, *, cleartext_allowed: Callable[[], bool]
) -> Verdict:
    """
    Judge a message from elsewhere whose `author` is already authenticated.

    Whether its recipients take cleartext is asked only where it matters.
    """
    if accepted := _in_canonical_form(headers, body):
        return accepted
    if _is_delivery_report(author, headers):
        return Accept(Kind.REPORT)
    if cleartext_allowed():
        return Accept(Kind.CLEARTEXT)
    return Refuse(replies.ENCRYPTION_NEEDED)


def author_of(headers: list[Header]) -> Address | Refuse:
    """Find the one address of the one From field (RFC 5322 3.6.2), or refuse."""
    fields = structure.values(headers, b"from")
    if len(fields) != 1:
        return Refuse(replies.invalid_from(f"{len(fields)} From fields, wanted one"))
    try:
        return parse_mailbox(fields[0])
    except AddressError as error:
        return Refuse(replies.invalid_from(str(error)))


def _is_setup_message(envelope: Envelope, headers: list[Header]) -> bool:
    """Whether a user sends themselves, and only themselves, a key (Autocrypt Level 1, 5.1)."""
    if [recipient.lower() for recipient in envelope.recipients] != [envelope.sender.lower()]:
        return False
    try:
        subject = structure.only_value(headers, b"subject")
        kind = structure.content_type(headers)
    except StructureError:
        return False
    return subject == b"Autocrypt Setup Message" and kind.media_type == "multipart/mixed"


def _is_delivery_report(author: Address, headers: list[Header]) -> bool:
    """Whether this is a bounce: Auto-Submitted (RFC 3834 5), multipart/report (RFC 6522)."""
    try:
        automatic = structure.only_value(headers, b"auto-submitted")
        kind = structure.content_type(headers)
    except StructureError:
        return False
    return (
        automatic is not None
        and automatic.lower() not in (b"", b"no")
        and author.local_part.lower() == "mailer-daemon"
        and kind.media_type == "multipart/report"
    )


def check_header(headers: list[Header]) -> Refuse | None:
    """Refuse a header that would not survive transport unchanged, after everything was removed."""
    text = b"\0".join([name + b":" + value for name, value in headers])
    # A fold is the only line end a field may hold; a stray CR may end the field elsewhere.
    folds = text.count(b"\r\n ") + text.count(b"\r\n\t")
    stray = text.count(b"\0") > len(headers) - 1
    if stray or not text.count(b"\r") == text.count(b"\n") == folds:
        return Refuse(replies.unparsable("stray control character in the header"))
    if _has_long_line(text.replace(b"\0", b"\r\n")):
        return Refuse(replies.unparsable(f"a header line is longer than {MAX_LINE} octets"))
    return None


def _has_long_line(text: bytes) -> bool:
    # Hops from the last line end within reach to the next: 31,000 steps for 30 MB of short lines.
    at = 0
    while len(text) - at > MAX_LINE:
        at = text.rfind(b"\r\n", at, at + MAX_LINE + 2) + 2
        if at == 1:
            return True
    return False
