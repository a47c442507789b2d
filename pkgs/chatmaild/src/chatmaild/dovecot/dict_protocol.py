"""
Dovecot's dict protocol: parse and print its lines, without a socket.

Each line is one command: a letter followed by fields separated by TAB. In fields, NUL, TAB, CR, LF
and 0x01 are written as 0x01 and a letter or digit. The protocol is specific to Dovecot
(src/lib-dict/dict-client.h and https://doc.dovecot.org/latest/core/plugins/dict.html). Dovecot
2.4.1 and 2.4.5 send the same lines. Surrogate escapes preserve text that is not UTF-8.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ESCAPES = {"\0": "\x010", "\x01": "\x011", "\t": "\x01t", "\r": "\x01r", "\n": "\x01n"}
_UNESCAPES = {escape[1]: plain for plain, escape in _ESCAPES.items()}
_SPECIAL = re.compile("[\0\x01\t\r\n]")
_ESCAPED = re.compile("\x01(.?)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_SIGNED = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class DictProtocolError(Exception):
    """A line that violates the protocol; the message contains none of the line's values."""


@dataclass(frozen=True, slots=True)
class Hello:
    """H: the first line of a connection; `name` is the dict's name in Dovecot's configuration."""

    major: int
    minor: int
    name: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """L: answered by `found`, `not_found` or `failed`."""

    key: str
    user: str


@dataclass(frozen=True, slots=True)
class Iterate:
    """I: answered by `iteration`; a `max_rows` of 0 means no limit."""

    flags: int
    max_rows: int
    path: str
    user: str


@dataclass(frozen=True, slots=True)
class Begin:
    """B: opens a transaction; the following lines carry its number. Not answered."""

    transaction: int
    user: str


@dataclass(frozen=True, slots=True)
class Set:
    """S: sets a value. Not answered."""

    transaction: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Unset:
    """U: removes a value. Not answered."""

    transaction: int
    key: str


@dataclass(frozen=True, slots=True)
class Increment:
    """A: adds to a number. Not answered."""

    transaction: int
    key: str
    difference: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    """T: the time of the change. Not answered."""

    transaction: int
    seconds: int
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Commit:
    """C: applies the transaction; answered by `committed` or `commit_failed`."""

    transaction: int


@dataclass(frozen=True, slots=True)
class Rollback:
    """R: discards the transaction. Not answered."""

    transaction: int


type Change = Set | Unset | Increment | Timestamp
type Command = Hello | Lookup | Iterate | Begin | Change | Commit | Rollback


def parse(line: bytes) -> Command:
    """
    Parse one line, without its LF.

    Unknown additional fields are ignored, because later versions of Dovecot append some.

    Raises:
        DictProtocolError: the line is not a command of the protocol.

    """
    text = line.decode("utf-8", "surrogateescape")
    fields = _Fields(text[:1], [_unescape(field) for field in text[1:].split("\t")])
    match text[:1]:
        case "H":
            return Hello(fields.number(0), fields.number(1), fields.text(4))
        case "L":
            return Lookup(fields.text(0), fields.text(1))
        case "I":
            return Iterate(
                fields.number(0), fields.number(1), fields.text(2), fields.text(3, default="")
            )
        case "B":
            return Begin(fields.number(0), fields.text(1, default=""))
        case "S":
            return Set(fields.number(0), fields.text(1), fields.text(2))
        case "U":
            return Unset(fields.number(0), fields.text(1))
        case "A":
            return Increment(fields.number(0), fields.text(1), fields.signed_number(2))
        case "T":
            return Timestamp(fields.number(0), fields.number(1), fields.number(2))
        case "C":
            return Commit(fields.number(0))
        case "R":
            return Rollback(fields.number(0))
        case _:
            raise DictProtocolError("the line starts with an unknown command letter")


def found(value: str) -> bytes:
    """Answer a lookup with a value."""
    return _line("O", value)


def not_found() -> bytes:
    """Answer a lookup whose key has no value."""
    return b"N\n"


def failed(sentence: str) -> bytes:
    """Answer a lookup or an iteration that failed; Dovecot logs the sentence."""
    return _line("F", sentence)


def committed(transaction: int) -> bytes:
    """Answer a commit that succeeded."""
    return _line("O", transaction)


def commit_failed(transaction: int, sentence: str) -> bytes:
    """Answer a commit that failed; Dovecot logs the sentence."""
    return _line("F", transaction, sentence)


def iteration(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Answer an iteration; an empty line ends it."""
    return b"".join(_line("O", key, value) for key, value in pairs) + b"\n"


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of one line; each accessor reports its own error."""

    letter: str
    values: list[str]

    def text(self, index: int, default: str | None = None) -> str:
        if index < len(self.values):
            return self.values[index]
        if default is None:
            raise DictProtocolError(f"command {self.letter} has too few fields")
        return default

    def number(self, index: int) -> int:
        return self._number(index, _NUMBER)

    def signed_number(self, index: int) -> int:
        return self._number(index, _SIGNED)

    def _number(self, index: int, pattern: re.Pattern[str]) -> int:
        text = self.text(index)
        if not pattern.fullmatch(text):
            raise DictProtocolError(f"field {index + 1} of command {self.letter} is not a number")
        return int(text)


def _line(letter: str, *fields: str | int) -> bytes:
    text = letter + "\t".join(
        _SPECIAL.sub(lambda match: _ESCAPES[match[0]], str(field)) for field in fields
    )
    return text.encode("utf-8", "surrogateescape") + b"\n"


def _unescape(field: str) -> str:
    if "\x01" not in field:
        return field

    def plain(match: re.Match[str]) -> str:
        try:
            return _UNESCAPES[match[1]]
        except KeyError:
            raise DictProtocolError("a field contains an unknown escape sequence") from None

    return _ESCAPED.sub(plain, field)
