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

ACCEPTED_UNSIGNED = frozenset(
    {
        b"from",  # never unsigned
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"mime-version",
        b"x-microsoft-original-message-id",
        b"chat-version",
        b"chat-is-post-message",
    }
)
"""
Fields that clients read although the author's signature does not cover them.

Classic servers choose what they sign, and OpenDKIM, as on many chat relays, leaves out Message-ID
and the two chat fields, which only say that this is a chat message and a large one.
"""
ACCEPTED_UNSIGNED_PREFIXES = (b"content-",)
"""
The largest providers do not sign Content-Type.

Whoever changes it makes signed octets look different, but adds none: text that was another part's
or was encrypted stays what its author wrote. Refusing it would refuse these providers.
"""
