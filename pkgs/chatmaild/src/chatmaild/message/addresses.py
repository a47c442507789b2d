"""
Read exactly one address from a From field, or refuse it.

Readers see the From field, and DKIM alignment is about its domain. So it must mean the same to
every parser. A field is refused if some parser could read another address in it: several
mailboxes, a group, a route, a display name that looks like an address, a stray angle bracket.

Real software writes none of these. But it writes unquoted brackets in display names (ticket
systems), local parts with two dots in a row (phones on Japanese networks), names in 8-bit
charsets, and addresses followed by a comment (mailx, cron). So these are accepted.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

MAX_FIELD_BYTES = 2048
MAX_ADDRESS_BYTES = 254
"""RFC 5321 4.5.3.1.3: a path has 256 octets, including its angle brackets."""
MAX_DOMAIN_BYTES = 253

# RFC 5322 3.2: each alternative starts with a different character, so there is one way to match.
_LEXEME = re.compile(
    r"""(?P<space>[ \t]+)
      | "(?P<quoted>(?:[^"\\\r\n\0]|\\[^\r\n\0])*+)"
      | \[(?P<literal>[^\[\]\\\r\n\0 ]*+)\]
      | (?P<special>[<>@,:;.])
      | (?P<comment>\()
      | (?P<atom>[^ \t"()\[\]<>@,:;.\\\x00-\x1f\x7f]+)
    """,
    re.VERBOSE,
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# Nearly all addresses match this; the general way with `_lexemes` takes five times as long.
_PLAIN = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)", re.ASCII)


class AddressError(Exception):
    """The field does not contain exactly one address; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """
    A mailbox address (RFC 5321 4.1.2).

    Both parts are ASCII. `domain` is lower-case; an address literal is in square brackets.
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        """Return the address as in SMTP, without angle brackets."""
        return f"{self.local_part}@{self.domain}"

    @property
    def literal(self) -> str | None:
        """The IP address of a domain literal, without brackets and `IPv6:`; otherwise None."""
        if not self.domain.startswith("["):
            return None
        return self.domain[1:-1].removeprefix("ipv6:")

    def same_as(self, other: str) -> bool:
        """
        Whether `other` is this address; the case of ASCII letters is ignored.

        Unicode case folding must not be used: it maps the Kelvin sign to "k", the long s to "s".
        """
        return str(self).encode().lower() == other.encode(errors="surrogateescape").lower()


def parse_mailbox(value: bytes) -> Address:
    """
    Parse an unfolded From value (RFC 5322 3.4 `mailbox`); the display name may have any charset.

    Raises `AddressError` unless it contains exactly one mailbox and can be read in only one way.
    """
    if len(value) > MAX_FIELD_BYTES:
        raise AddressError("the field is too long")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        # An 8-bit charset in the display name; the address itself must be ASCII.
        text = value.decode("latin-1")
    bracketed = text.startswith("<") and text.endswith(">")
    if found := _plain(text[1:-1] if bracketed else text):
        return found
    lexemes = _lexemes(text)
    kinds = [kind for kind, _ in lexemes]
    if "<" not in kinds:
        return _address(lexemes)
    begin = kinds.index("<")
    phrase = lexemes[:begin]
    if kinds[-1] != ">" or kinds.count("<") != 1 or kinds.count(">") != 1:
        raise AddressError("angle brackets that do not enclose one address at the end")
    address = _address(lexemes[begin + 1 : -1])
    # Some parsers read a list or a group here. Delta Chat does, and drops the message.
    if any(kind in (",", ":", ";") for kind, _ in phrase):
        raise AddressError("more than a display name before the address")
    if "@" in [kind for kind, _ in phrase] and not _address(phrase).same_as(str(address)):
        raise AddressError("a display name that is another address")
    return address


def parse_path(path: str) -> Address:
    """Parse an address from MAIL FROM or RCPT TO, without brackets; raises `AddressError`."""
    return _plain(path) or _address(_lexemes(path))


def parse_list(value: bytes) -> list[Address]:
    """
    Find the addresses in a To or Cc value (RFC 5322 3.4), folded or not.

    Everything else is left out: names, comments, group names, and text without an address.
    """
    text = value.replace(b"\r\n", b"").decode("latin-1")
    try:
        lexemes = _lexemes(text)
    except AddressError:
        return []
    found: list[Address] = []
    begin = 0
    for end, (kind, _) in enumerate([*lexemes, (",", ",")]):
        if kind not in (",", ";", ":"):
            continue
        mailbox = lexemes[begin:end]
        begin = end + 1
        if kind == ":":  # the name of a group, or a route
            continue
        kinds = [one for one, _ in mailbox]
        if "<" in kinds:
            inside = mailbox[kinds.index("<") + 1 :]
            mailbox = inside[:-1] if kinds[-1] == ">" else []
        with suppress(AddressError):
            found.append(_address(mailbox))
    return found


def _plain(text: str) -> Address | None:
    """Parse an address in the usual form; None for any other text, valid or not."""
    if len(text) > MAX_ADDRESS_BYTES or (match := _PLAIN.fullmatch(text)) is None:
        return None
    return Address(match[1], match[2].lower())


def _lexemes(text: str) -> list[tuple[str, str]]:
    """Split into tokens, (kind, text). White space and comments separate them and are dropped."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _LEXEME.match(text, at)
        if match is None:
            raise AddressError("a character that is not allowed there")
        at = match.end()
        kind = match.lastgroup or ""
        if kind == "comment":
            at = _comment_end(text, at)
        elif kind == "special":
            found.append((match[0], match[0]))
        elif kind == "quoted":
            found.append((kind, re.sub(r"\\(.)", r"\1", match["quoted"])))
        elif kind != "space":
            found.append((kind, match["literal"] if kind == "literal" else match[0]))
    return found


def _comment_end(text: str, at: int) -> int:
    depth = 1
    while at < len(text):
        character = text[at]
        at += 1
        if character == "\\":
            at += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return at
    raise AddressError("a comment that is not closed")


def _address(lexemes: list[tuple[str, str]]) -> Address:
    kinds = [kind for kind, _ in lexemes]
    if kinds.count("@") != 1:
        raise AddressError("not exactly one address")
    at = kinds.index("@")
    address = Address(_local_part(lexemes[:at]), _domain(lexemes[at + 1 :]))
    if len(str(address).encode()) > MAX_ADDRESS_BYTES:
        raise AddressError("the address is too long")
    return address


def _dotted(lexemes: list[tuple[str, str]]) -> str:
    """Join atoms and dots; `AddressError` for other tokens and for two atoms in a row."""
    kinds = [kind for kind, _ in lexemes]
    pairs = pairwise(kinds)
    if not set(kinds) <= {"atom", "."} or "atom" not in kinds or ("atom", "atom") in pairs:
        raise AddressError("not exactly one address")
    text = "".join(text for _, text in lexemes)
    if not text.isascii():
        # Users could not reply, because the relay does not have SMTPUTF8 (RFC 6531). And IDNA2003
        # and IDNA2008 map some domains to different names, so it is unclear which one signs.
        raise AddressError("an address that is not ASCII")
    return text


def _local_part(lexemes: list[tuple[str, str]]) -> str:
    if [kind for kind, _ in lexemes] == ["quoted"]:
        text = lexemes[0][1]
        # Others are legal, but only attacks use them: careless parsers read "a@b"@c as a@b.
        if re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+", text) is None:
            raise AddressError("a quoted local part")
        return text
    return _dotted(lexemes)


def _domain(lexemes: list[tuple[str, str]]) -> str:
    if [kind for kind, _ in lexemes] == ["literal"]:
        literal = lexemes[0][1].lower()
        if re.fullmatch(r"[0-9a-f.:]+|ipv6:[0-9a-f.:]+", literal) is None:
            raise AddressError("a domain literal that is not an IP address")
        return f"[{literal}]"
    domain = _dotted(lexemes)
    if len(domain) > MAX_DOMAIN_BYTES or _DOMAIN.fullmatch(domain) is None:
        raise AddressError("a domain that is not a name")
    return domain.lower()
