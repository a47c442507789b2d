"""
Which header fields leave with a submission, each in one form.

Beside the ciphertext nothing may be read: not what else a client knows, and nothing that somebody
wants to say to a stranger in the clear. So fields leave because they are in the table below, and
a value that a client may choose is one of few, or bounded in form and length: addresses, the date,
one identifier of the message and of what it answers, and what a request to join needs.

Delta Chat writes most fields in their form, so its mail needs no edit, or one that takes
References away. Any other header is written anew: field names in their own letters, in an order of
their own, each once.
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
"""Every Subject: in encrypted mail the real one is inside."""
NOBODY = b' "hidden-recipients": ;'
"""A To without addresses, as Delta Chat has written it since 2.30."""
MAX_MESSAGE_ID_BYTES = 160
"""Between the angle brackets, the author's own domain not counted; Delta Chat's has 46."""
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
# Core makes them of 11 or 24 characters and takes up to 32.
_INVITE_NUMBER = re.compile(rb"[ \t]*([A-Za-z0-9_-]{8,32})[ \t]*")
_ENCODING = re.compile(rb"[ \t]*(7bit|8bit)[ \t]*", re.IGNORECASE)
_TYPE = re.compile(
    rb' multipart/(?:encrypted; protocol="application/pgp-encrypted"|mixed);'
    rb'(?: |\r\n| \r\n\t|\r\n )boundary="[0-9a-f_]{1,70}"'
)


class FieldError(Exception):
    """The message cannot leave with this header; the text says why."""


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
    # The relay's addresses have no case.
    return b" <" + str(message.author).lower().encode("ascii") + b">"


def _to(value: bytes, message: _Message) -> bytes:
    return value if value == NOBODY else _cc(value, message) or NOBODY


def _cc(value: bytes, _message: _Message) -> bytes | None:
    if _ADDRESSES.fullmatch(value):
        return value
    found = dict.fromkeys(str(address) for address in parse_list(value))
    return b" " + b",\r\n\t".join(b"<%b>" % one.encode("ascii") for one in found) if found else None


def _date(value: bytes, message: _Message) -> bytes:
    """Leave out comments and names of time zones, and the zone itself: it tells where one is."""
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
    """Keep it, because clients find by it what they have sent; refuse what is more than an id."""
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


# In the order in which core has written them since 2.59.
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
# And before: only with what its encrypted mail has, to others and to one's other devices.
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
    Leave what may leave, in its form.

    `content_type` is the value that goes with another body, where it gets one; the old body's other
    Content-* fields go then. `now` is Unix time, for a Date that cannot be read. Raises
    `FieldError`.
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
    # Postfix renumbers after a deletion, so the last field of a name goes first.
    edits.reverse()
    return Edited(kept, edits)


def _written_anew(headers: list[Header], message: _Message) -> Edited:
    """Take out every field, and add those that stay: of several of a name the lowest."""
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
    """Whether fields of the table, each once, stand as core of any version writes them."""
    return any(_is_part(names, order) for order in (_FIELDS, _OLD_ORDER, _OLD_ORDER_TO_ONESELF))


def _is_part(names: Iterable[bytes], order: Iterable[bytes]) -> bool:
    left = iter(order)
    return all(name in left for name in names)
