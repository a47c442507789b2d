"""
All SMTP replies of the filter.

Test suites of clients and other relays match these texts. Replies without an enhanced status code
(RFC 3463) have none on purpose. Clients retry after every 4xx and show the text of every 5xx to
the user.
"""

from dataclasses import dataclass

MAX_QUOTED = 128
"""Longest address quoted in a reply; RFC 5321 4.5.3.1.5 limits the whole line to 512 octets."""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An SMTP reply; the refusal is counted and logged by its `reason`.

    `text` starts with the enhanced status code if the reply has one.
    """

    code: str
    text: str
    reason: str

    def __str__(self) -> str:
        """Return the reply line as the client sees it."""
        return f"{self.code} {self.text}"


ENCRYPTION_NEEDED = Reply("523", "Encryption Needed: Invalid Unencrypted Mail", "unencrypted")
NO_DKIM_SIGNATURE = Reply("554", "5.7.1 No DKIM signature found", "dkim-missing")
NO_VALID_DKIM_SIGNATURE = Reply("554", "5.7.1 No valid DKIM signature found", "dkim-invalid")
DKIM_KEY_UNAVAILABLE = Reply(
    "451", "4.7.5 The DKIM key of the sending domain cannot be looked up now", "dkim-dns"
)
OWN_FROM_OUTSIDE = Reply(
    "550", "5.7.1 This relay does not accept its own unencrypted mail from outside", "own-returned"
)
ACCOUNT_REVOKED = Reply("554", "5.7.1 This account is blocked or has been deleted", "revoked")
MESSAGE_TOO_LARGE = Reply("552", "Message exceeds maximum size", "too-large")
NO_ROOM = Reply("452", "4.3.1 Too many messages at once, try again later", "no-room")
LOCAL_MAIL = Reply("550", "5.7.1 Programs on this host may not send mail", "local")
INTERNAL_ERROR = Reply("451", "4.3.0 Internal error of the mail filter, try again later", "error")


def not_owner(sender: str, login: str) -> Reply:
    """Refuse an envelope sender that is not the login; the wording is Postfix's."""
    owner = f"user {_quoted(login)}" if login else "an unauthenticated user"
    return Reply(
        "553",
        f"5.7.1 <{_quoted(sender)}>: Sender address rejected: not owned by {owner}",
        "not-owner",
    )


def from_mismatch(header: str, envelope: str) -> Reply:
    """Refuse a submission whose From field is not its envelope sender."""
    return Reply(
        "500", f"Invalid FROM <{_quoted(header)}> for <{_quoted(envelope)}>", "from-mismatch"
    )


def invalid_from(why: str) -> Reply:
    """Refuse a From field without exactly one address; `why` contains no input."""
    return Reply("500", f"Invalid FROM header: {why}", "from-invalid")


def literal_mismatch(literal: str, origin: str) -> Reply:
    """Refuse an address literal that is not the peer's address; both are without brackets."""
    return Reply(
        "500",
        f"Invalid FROM domain literal: {_quoted(literal)}"
        f" does not match origin IP {_quoted(origin)}",
        "literal-mismatch",
    )


def unparsable(why: str) -> Reply:
    """Refuse a message that cannot be forwarded unchanged; `why` contains no input."""
    return Reply("500", f"Failed to parse message: {why}", "unparsable")


def rate_limited(sender: str, until: str, seconds: int) -> Reply:
    """Defer a message; `until` is the time of day in UTC, and `seconds` the waiting time."""
    return Reply(
        "450",
        f"4.7.1: Too much mail from <{_quoted(sender)}>,"
        f" rate limited until {until} UTC (in {seconds} s)",
        "rate-limited",
    )


def too_many_recipients(limit: int) -> Reply:
    """Refuse one recipient; clients send the rest in another message (RFC 5321 4.5.3.1.10)."""
    return Reply("452", f"4.5.3 Too many recipients, the limit is {limit}", "too-many-recipients")


def _quoted(text: str) -> str:
    """Make text from a peer safe for a reply line."""
    safe = "".join(c if "!" <= c <= "~" else "?" for c in text[: MAX_QUOTED + 1])
    return safe if len(safe) <= MAX_QUOTED else safe[: MAX_QUOTED - 3] + "..."
