"""
Which header fields do not pass the relay, and why.

A message tells nothing about where and with what it was written, nor where it has been: neither
one that leaves, nor one that arrives from a relay that is not as careful. What clients read
(From, Date, Message-ID, Content-Type, Chat-*, Autocrypt, Secure-Join, List-*, and
X-Microsoft-Original-Message-ID) is in no table below.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chatmaild.filter.policy import Kind
from chatmaild.message.structure import Header
from chatmaild.signatures.fields import (
    ACCEPTED_UNSIGNED,
    ACCEPTED_UNSIGNED_PREFIXES,
    OVERSIGNED,
)

SUBJECT = b" [...]"
"""What every submitted Subject becomes: in encrypted mail the real one is inside."""

READ = frozenset(
    {
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"x-microsoft-original-message-id",
        b"in-reply-to",
        b"references",
        b"mime-version",
        b"auto-submitted",
        b"precedence",
        b"ephemeral-timer",
    }
)
"""What chat clients read of mail from elsewhere, by core's `mimeparser` and `receive_imf`."""
READ_PREFIXES = (b"autocrypt", b"secure-join", b"chat-", b"content-", b"list-")
"""Fields that begin like this are read, too."""

# Fields that say where a message has been; whoever adds them again is nearer to the reader.
TRANSPORT_FIELDS = frozenset(
    {
        b"received",  # addresses and names of hosts, RFC 5321 4.4
        b"x-received",
        b"received-spf",  # RFC 7208 9.1, the sender's address among others
        b"authentication-results",  # RFC 8601: only ours could be believed, and we add none
        b"x-authentication-results",
        b"dkim-signature",  # verified here; never ours on a submission
        b"x-google-dkim-signature",
        b"domainkey-signature",  # RFC 4870, historic
        b"delivered-to",
        b"x-delivered-to",
        b"x-original-to",
        b"x-virus-scanned",
        b"x-virus-status",
        b"x-report-abuse",
        b"x-report-abuse-to",
        b"x-abuse-reports-to",
        b"x-mailgun-sending-ip",
        b"x-sg-eid",
        b"x-sg-id",
        b"x-ses-outgoing",
        b"x-ironport-av",
    }
)
TRANSPORT_PREFIXES = (
    b"arc-",  # RFC 8617 chains: we neither verify nor extend them
    b"x-arc-",
    b"x-spam",
    b"x-rspamd",
    b"x-gm-",
    b"x-google-smtp-",
    b"x-ms-",
    b"x-microsoft-antispam",
    b"x-exchange-antispam",
    b"x-forefront-",
    b"x-proofpoint-",
    b"x-mimecast-",
    b"x-barracuda-",
)

# Fields that say which program, which host or which network a submission comes from.
ORIGIN_FIELDS = frozenset(
    {
        b"return-path",  # Dovecot writes the real one
        b"bcc",  # RFC 5322 3.6.3: not for other eyes
        b"resent-bcc",
        b"user-agent",
        b"x-user-agent",
        b"x-mailer",
        b"x-mua",
        b"x-mimeole",
        b"x-newsreader",
        b"x-priority",  # written by one family of programs
        b"x-msmail-priority",
        b"x-enigmail-version",
        b"x-pgp-agent",
        b"x-pgp-universal",
        b"x-operating-system",
        b"x-os",
        b"x-device",
        b"x-face",
        b"x-real-ip",
        b"x-remote-ip",
        b"x-sender-ip",
        b"x-sender",
        b"x-client",
        b"x-client-ip",
        b"x-client-addr",
        b"x-ip",
        b"x-host",
        b"x-helo",
        b"x-authenticated-sender",
        b"x-authentication-warning",
        b"x-auth-user",
        b"x-envelope-from",
        b"x-identity-key",
        b"x-account-key",
        b"x-mozilla-keys",
        b"x-mozilla-status",
        b"x-mozilla-status2",
        b"x-mozilla-draft-info",
        b"x-uidl",
        b"x-universally-unique-identifier",
        b"fcc",
    }
)
ORIGIN_PREFIXES = (
    b"x-originating-",
    b"x-origin-",
    b"x-forwarded-",
    b"x-source",
    b"x-php-",
    b"x-apple-",
    b"x-client-",
    b"x-ymail-",
    b"x-yahoo-",
)


@dataclass(frozen=True, slots=True)
class Edit:
    """
    One change to a header as the milter protocol counts it.

    `index` is 1-based among the fields called `name`; `value` None deletes the field.
    """

    name: bytes
    index: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Edited:
    """A header after its edits, and the edits in an order in which their indexes stay true."""

    headers: list[Header]
    edits: list[Edit]


def clean_submission(headers: list[Header]) -> Edited:
    """
    Take out what tells of the client, and the words of the Subject; a second one goes.

    Clients whose Subject says nothing already spare Postfix the edit.
    """
    return _edit(headers, _is_telltale, hide_subject=True)


def lowest(headers: list[Header]) -> list[Header]:
    """
    Leave out all but the lowest of fields that may occur once.

    A signature covers the lowest; those above have been added on the way, and are what some clients
    show. Senders that write one of them twice mean the same by both.
    """
    last = {name.lower(): place for place, (name, _) in enumerate(headers)}
    return [
        header
        for place, header in enumerate(headers)
        if (name := header[0].lower()) not in OVERSIGNED or last[name] == place
    ]


def clean_incoming(
    headers: list[Header], covered: Mapping[bytes, int] | None, kind: Kind
) -> Edited:
    """
    Leave of a message from elsewhere what clients read, and of that what its author vouches for.

    `covered` says how many fields of each name (lower case) the author's signature covers, the
    lowest of them; None means all of all names. A mailbox keeps nothing else: where a message has
    been, and with what it was written, is of no use to its reader.
    """
    total = Counter(name.lower() for name, _ in headers)
    # Known by the signed body, whoever signs the fields as well.
    unsigned = {Kind.SECURE_JOIN: b"secure-join", Kind.REPORT: b"auto-submitted"}.get(kind)
    kept: list[Header] = []
    edits: list[Edit] = []
    seen: Counter[bytes] = Counter()
    for name, value in headers:
        key = name.lower()
        seen[key] += 1
        left = total[key] - seen[key] + 1  # how many from here to the lowest
        if (
            (key in READ or key.startswith(READ_PREFIXES))
            and (key not in OVERSIGNED or left == 1)
            and (
                covered is None
                or left <= covered.get(key, 0)
                or key in ACCEPTED_UNSIGNED
                or key.startswith(ACCEPTED_UNSIGNED_PREFIXES)
                or (unsigned is not None and key.startswith(unsigned))
            )
        ):
            kept.append((name, value))
        else:
            edits.append(Edit(name, seen[key], None))
    # Postfix renumbers after a deletion, so the last field of a name goes first.
    edits.reverse()
    return Edited(kept, edits)


def _is_telltale(name: bytes) -> bool:
    return (
        name in TRANSPORT_FIELDS
        or name in ORIGIN_FIELDS
        or name.startswith((*TRANSPORT_PREFIXES, *ORIGIN_PREFIXES))
    )


def _edit(
    headers: list[Header], unwanted: Callable[[bytes], bool], *, hide_subject: bool
) -> Edited:
    kept: list[Header] = []
    edits: list[Edit] = []
    seen: dict[bytes, int] = {}
    for name, value in headers:
        key = name.lower()
        index = seen[key] = seen.get(key, 0) + 1
        if unwanted(key) or (hide_subject and key == b"subject" and index > 1):
            edits.append(Edit(name, index, None))
        elif hide_subject and key == b"subject" and value != SUBJECT:
            edits.append(Edit(name, index, SUBJECT))
            kept.append((name, SUBJECT))
        else:
            kept.append((name, value))
    # Postfix renumbers after a deletion, so the last field of a name goes first.
    edits.reverse()
    return Edited(kept, edits)
