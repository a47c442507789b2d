"""Header fields that authors of mail may write once, and what DKIM makes of that."""

SINGULAR = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"autocrypt",
)
"""Fields that may occur once (RFC 5322 3.6, RFC 2045 3); a second one is often the one shown."""

OVERSIGNED = (*SINGULAR, b"secure-join", b"chat-version")
"""Signed once more than present, so that nobody can add another one (RFC 6376 8.15)."""

SIGNED = frozenset({*OVERSIGNED, b"auto-submitted", b"x-microsoft-original-message-id"})
"""Signed as often as present."""
SIGNED_PREFIXES = (b"autocrypt", b"secure-join", b"chat-", b"content-", b"list-")
"""Fields that begin like this are signed as often as present, too."""
