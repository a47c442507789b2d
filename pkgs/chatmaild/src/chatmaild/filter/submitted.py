"""
The header fields that leave with a submission, each in one canonical form.

Nothing readable may travel beside the ciphertext: nothing that the client reveals, and nothing that
a user wants to tell a stranger in cleartext. So only the fields in the table below leave. Values
that a client can choose are one of a few, or limited in form and length: addresses, the date, the
message's identifier and that of the message it answers, and the values of a request to join.

Delta Chat writes nearly all fields in this form. So its mail needs no edit, except that References
is removed. Other headers are rewritten: each field once, with the names and the order used here.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from chatmaild.filter.headers import Edit, Edited
from chatmaild.filter.policy import Kind
from chatmaild.message import autocrypt, structure
from chatmaild.message.addresses import Address, parse_list
from chatmaild.message.structure import Header, StructureError

SUBJECT = b" [...]"
"""Replaces every Subject: encrypted mail has the real one inside."""
NOBODY = b' "hidden-recipients": ;'
"""A To field without addresses, as Delta Chat has written it since 2.30."""
MAX_MESSAGE_ID_BYTES = 160
"""Length between the angle brackets, without the author's own domain; Delta Chat's have 46."""
MAX_DATE_BYTES = 100

_WEEKDAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_DATE = re.compile(
    rb" ([A-Z][a-z]{2}), ([1-9]|[12]\d|3[01]) ([A-Z][a-z]{2}) (\d{4})"
    rb" (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d \+0000"
)
_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
_MESSAGE_ID = re.compile(rb"<(?:%b)@(?:[A-Za-z0-9._-]+|\[[0-9A-Za-z.:]+\])>" % _ATOM)
_ADDRESS = rb"<%b@(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Za-z.:]{1,50}\])>" % _ATOM
_ADDRESSES = re.compile(rb" %b(?:,(?: |\r\n[ \t]| \r\n\t)%b)*+" % (_ADDRESS, _ADDRESS))
_VERSION = re.compile(rb" [0-9]{1,2}\.[0-9]{1,2}")
_AUTOMATIC = re.compile(rb"[ \t]*(auto-(?:generated|replied|notified))\b", re.IGNORECASE)
_STEP = re.compile(rb"[ \t]*(v[cg]-request)[ \t]*")
# Core generates 11 or 24 characters and accepts up to 32.
_INVITE_NUMBER = re.compile(rb"[ \t]*([A-Za-z0-9_-]{8,32})[ \t]*")
_ENCODING = re.compile(rb"[ \t]*(7bit|8bit)[ \t]*", re.IGNORECASE)
_TYPE = re.compile(
    rb' multipart/(?:encrypted; protocol="application/pgp-encrypted"|mixed);'
    rb'(?: |\r\n| \r\n\t|\r\n )boundary="[0-9a-f_]{1,70}"'
)


class FieldError(Exception):
    """The message cannot be sent with this header; the message says why."""


@dataclass(frozen=True, slots=True)
class _Message:
    author: Address
    kind: Kind
    now: float
    content_type: bytes | None


def _subject(_value: bytes, _message: _Message) -> bytes:
    return SUBJECT


def _mime_version(_value: bytes, _message: _Message) -> bytes:
    return b" 1.0"


def _flag(_value: bytes, _message: _Message) -> bytes:
    return b" 1"


def _from(_value: bytes, message: _Message) -> bytes:
    # Case does not matter in the relay's addresses.
    return b" <" + str(message.author).lower().encode("ascii") + b">"


def _to(value: bytes, message: _Message) -> bytes:
    return value if value == NOBODY else _cc(value, message) or NOBODY


def _cc(value: bytes, _message: _Message) -> bytes | None:
    if _ADDRESSES.fullmatch(value):
        return value
    found = dict.fromkeys(str(address) for address in parse_list(value))
    return b" " + b",\r\n\t".join(b"<%b>" % one.encode("ascii") for one in found) if found else None


def _date(value: bytes, message: _Message) -> bytes:
    """Remove comments, and convert to UTC, because a time zone reveals where the user is."""
    if (match := _DATE.fullmatch(value)) and _is_day(match):
        return value
    text = value.replace(b"\r\n", b"")[:MAX_DATE_BYTES].decode("latin-1")
    try:
        when = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        when = datetime.fromtimestamp(message.now, UTC)
    month = _MONTHS[3 * when.month - 3 : 3 * when.month].decode()
    weekday = _WEEKDAYS[when.weekday()].decode()
    return f" {weekday}, {when.day} {month} {when:%Y %H:%M:%S} +0000".encode("ascii")


def _is_day(match: re.Match[bytes]) -> bool:
    month, rest = divmod(_MONTHS.find(match[3]), 3)
    try:
        weekday = date(int(match[4]), month + 1, int(match[2])).weekday()
    except ValueError:
        return False
    return rest == 0 and _WEEKDAYS[weekday] == match[1]


def _message_id(value: bytes, message: _Message) -> bytes:
    """Keep the id, because clients find sent messages by it; refuse anything beside it."""
    if len(value) <= MAX_MESSAGE_ID_BYTES and _MESSAGE_ID.fullmatch(value, 1) and value[:1] == b" ":
        return value  # the usual form
    found = _first_id(value, message)
    if found is None or structure.unfold(value) != found:
        raise FieldError(f"Message-ID is not <name@place> of at most {MAX_MESSAGE_ID_BYTES} octets")
    return b" " + found


def _in_reply_to(value: bytes, message: _Message) -> bytes | None:
    found = _first_id(value, message)
    return None if found is None else b" " + found


def _first_id(value: bytes, message: _Message) -> bytes | None:
    match = _MESSAGE_ID.match(structure.unfold(value))
    if match is None:
        return None
    own = b"@" + message.author.domain.encode("ascii") + b">"
    length = len(match[0]) - 2 - (len(own) if match[0].endswith(own) else 0)
    return match[0] if length <= MAX_MESSAGE_ID_BYTES else None


def _chat_version(value: bytes, _message: _Message) -> bytes | None:
    return value if _VERSION.fullmatch(value) else None


def _auto_submitted(value: bytes, _message: _Message) -> bytes | None:
    match = _AUTOMATIC.match(value)
    return b" " + match[1].lower() if match else None


def _autocrypt(value: bytes, message: _Message) -> bytes | None:
    return autocrypt.canonical(value, message.author)


def _setup(_value: bytes, message: _Message) -> bytes | None:
    return b" v1" if message.kind is Kind.SETUP_MESSAGE else None


def _of_join(pattern: re.Pattern[bytes]) -> Callable[[bytes, _Message], bytes | None]:
    def written(value: bytes, message: _Message) -> bytes | None:
        match = pattern.fullmatch(value) if message.kind is Kind.SECURE_JOIN else None
        return b" " + match[1] if match else None

    return written


def _content_type(value: bytes, message: _Message) -> bytes:
    if message.content_type is not None:
        return message.content_type
    if _TYPE.fullmatch(value):
        return value
    try:
        kind = structure.content_type([(b"Content-Type", value)])
    except StructureError as error:
        raise FieldError(str(error)) from None
    protocol = '; protocol="application/pgp-encrypted"' * (kind.media_type == "multipart/encrypted")
    boundary = kind.parameters.get("boundary", "")
    return f' {kind.media_type}{protocol};\r\n\tboundary="{boundary}"'.encode("ascii")


def _encoding(value: bytes, message: _Message) -> bytes | None:
    match = _ENCODING.fullmatch(value) if message.content_type is None else None
    return b" " + match[1].lower() if match else None


# In the order that core has used since 2.59.
_FIELDS: dict[bytes, Callable[[bytes, _Message], bytes | None]] = {
    b"From": _from,
    b"Date": _date,
    b"Message-ID": _message_id,
    b"MIME-Version": _mime_version,
    b"To": _to,
    b"Cc": _cc,
    b"Subject": _subject,
    b"Chat-Version": _chat_version,
    b"Chat-Is-Post-Message": _flag,
    b"In-Reply-To": _in_reply_to,
    b"Auto-Submitted": _auto_submitted,
    b"Autocrypt": _autocrypt,
    b"Autocrypt-Setup-Message": _setup,
    b"Secure-Join": _of_join(_STEP),
    b"Secure-Join-Invitenumber": _of_join(_INVITE_NUMBER),
    b"Content-Type": _content_type,
    b"Content-Transfer-Encoding": _encoding,
}
_NAMES = frozenset(name.lower() for name in _FIELDS)
# Orders of earlier versions, with the fields of encrypted mail only: to others and to oneself.
_OLD_ORDER = (
    b"Content-Type",
    b"MIME-Version",
    b"Chat-Is-Post-Message",
    b"From",
    b"To",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"In-Reply-To",
    b"Auto-Submitted",
    b"Chat-Version",
    b"Autocrypt",
)
_OLD_ORDER_TO_ONESELF = (*_OLD_ORDER[:8], b"Chat-Version", b"Autocrypt", b"Auto-Submitted")


def clean_submission(
    headers: list[Header],
    author: Address,
    kind: Kind,
    *,
    content_type: bytes | None = None,
    now: float,
) -> Edited:
    """
    Keep the fields that may leave, each in its canonical form.

    `content_type` is the value for a rebuilt body; then the other Content-* fields are deleted.
    `now` is Unix time, used if Date cannot be parsed.

    Raises:
        FieldError: Message-ID or Content-Type is not acceptable.

    """
    message = _Message(author, kind, now, content_type)
    kept: list[Header] = []
    edits: list[Edit] = []
    others: Counter[bytes] = Counter()
    seen: set[bytes] = set()
    for name, value in headers:
        write = _FIELDS.get(name)
        if write is None:
            key = name.lower()
            if key in _NAMES:
                return _written_anew(headers, message)
            others[key] += 1
            edits.append(Edit(name, others[key], None))
            continue
        if name in seen:
            return _written_anew(headers, message)
        seen.add(name)
        wanted = write(value, message)
        if wanted is not None:
            kept.append((name, wanted))
        if wanted != value:
            edits.append(Edit(name, 1, wanted))
    if not _in_usual_order(tuple([name for name, _ in kept])):
        return _written_anew(headers, message)
    # The last field of a name is edited first, because Postfix renumbers after a deletion.
    edits.reverse()
    return Edited(kept, edits)


def _written_anew(headers: list[Header], message: _Message) -> Edited:
    """Delete all fields and add those that may leave; if a name repeats, the lowest counts."""
    lowest = {name.lower(): value for name, value in headers}
    kept = [
        (name, wanted)
        for name, write in _FIELDS.items()
        if (value := lowest.get(name.lower())) is not None
        and (wanted := write(value, message)) is not None
    ]
    deleted = []
    seen: Counter[bytes] = Counter()
    for name, _ in headers:
        seen[name.lower()] += 1
        deleted.append(Edit(name, seen[name.lower()], None))
    return Edited(kept, [*reversed(deleted), *(Edit(name, 0, value) for name, value in kept)])


@lru_cache(maxsize=256)
def _in_usual_order(names: tuple[bytes, ...]) -> bool:
    """Whether fields of the table, each once, are in the order of some version of core."""
    return any(_is_part(names, order) for order in (_FIELDS, _OLD_ORDER, _OLD_ORDER_TO_ONESELF))


def _is_part(names: Iterable[bytes], order: Iterable[bytes]) -> bool:
    left = iter(order)
    return all(name in left for name in names)
