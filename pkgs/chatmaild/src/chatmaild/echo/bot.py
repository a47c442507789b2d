"""
The echo bot's policy: which messages it answers and how often, and when it forgets them.

Every sender is a stranger. So the bot answers only encrypted messages in single chats, never
another bot (RFC 3834 2: no automatic answer to an automatic message), and at a limited rate. It
keeps none of the messages.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from chatmaild.service.ratelimit import RateLimit

# Longer texts are not needed to test an address.
MAX_TEXT = 2000
NO_TEXT = "Your message has arrived. It has no text that I could repeat."
# For each sender, and for all together. The relay's limit must exceed the second (checked below).
PERSON_PER_MINUTE = 10
ALL_PER_MINUTE = 40
# The number of senders remembered for the limit.
MAX_PEOPLE = 10_000
FORGET_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Received:
    """A message as Delta Chat core shows it; `sender` is core's number of the contact."""

    sender: int
    text: str
    encrypted: bool
    from_bot: bool
    is_info: bool
    one_to_one: bool


class EchoPolicy:
    """Decides whether and what to answer."""

    def __init__(self, relay_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Stay below the relay's sending limit, in messages per minute."""
        self._clock = clock
        self._people = RateLimit(60 / PERSON_PER_MINUTE, PERSON_PER_MINUTE, MAX_PEOPLE)
        all_per_minute = max(1, min(ALL_PER_MINUTE, relay_per_minute // 2))
        self._all = RateLimit(60 / all_per_minute, all_per_minute)

    def answer(self, message: Received) -> str | None:
        """Return the answer, or None for no answer."""
        if message.is_info or message.from_bot:
            return None
        if not message.encrypted or not message.one_to_one:
            return None
        now = self._clock()
        if self._people.wait(message.sender, now) or self._all.wait("", now):
            return None
        return message.text[:MAX_TEXT] or NO_TEXT


class Chat(Protocol):
    """The operations on a chat that is to be forgotten."""

    def last_activity(self) -> float:
        """Return the time of the last message, or 0 if there is none."""

    def forget(self) -> None:
        """Delete the chat and its contact."""


def forget_old(chats: Iterable[Chat], now: float) -> int:
    """Forget every chat without a message for an hour; return their number."""
    old = [chat for chat in chats if chat.last_activity() < now - FORGET_SECONDS]
    for chat in old:
        chat.forget()
    return len(old)
