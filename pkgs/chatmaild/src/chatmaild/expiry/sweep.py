"""Expiry of one mailbox: delete old messages, and trim the mailbox if it is too full."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chatmaild.config import Mailbox
from chatmaild.dovecot import maildir
from chatmaild.dovecot.maildir import StoredMessage
from chatmaild.expiry import policy
from chatmaild.expiry.policy import Limits, Verdict

# A mailbox may contain millions of tiny messages. This many are kept in memory at once, 300 bytes
# each; for more, the mailbox is scanned again.
BATCH = 20_000
# Dovecot renames files (new/ to cur/, changed flags), so a path may be outdated, but not for long.
ROUNDS_WITHOUT_SUCCESS = 3

Remove = Callable[[str], bool]


@dataclass(slots=True)
class Amount:
    """A number of messages and their bytes."""

    messages: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one message."""
        self.messages += 1
        self.bytes += size

    def add_all(self, other: "Amount") -> None:
        """Count all messages of another amount."""
        self.messages += other.messages
        self.bytes += other.bytes


@dataclass(frozen=True, slots=True)
class Swept:
    """The content of a mailbox, the deleted part, and what the quota counts of the rest."""

    seen: Amount
    old: Amount
    large: Amount
    leftovers: Amount
    undated: int
    left: Amount


def sweep(home: str, now: float, limits: Limits, remove: Remove = maildir.remove) -> Swept:
    """
    Delete old messages from a mailbox; `home` is the account's directory.

    `remove` deletes a path and returns whether it existed. A rehearsal passes a function that
    deletes nothing.
    """
    seen, old, large, left = Amount(), Amount(), Amount(), Amount()
    undated = 0
    for message in maildir.messages(_maildir(home)):
        seen.add(message.size)
        time = _received(message, now)
        verdict = Verdict.KEEP if time is None else policy.judge(message.size, now - time, limits)
        if verdict is Verdict.KEEP and time is not None:
            time = policy.since(time, maildir.changed(message.path))
            verdict = policy.judge(message.size, now - time, limits)
        undated += time is None
        if verdict is Verdict.KEEP:
            left.add(message.counted)
        elif remove(message.path):
            (old if verdict is Verdict.OLD else large).add(message.size)
    leftovers = Amount()
    for leftover in maildir.leftovers(_maildir(home)):
        time = _received(leftover, now)
        if time is not None and policy.is_leftover(now - time) and remove(leftover.path):
            leftovers.add(leftover.size)
    return Swept(seen, old, large, leftovers, undated, left)


def trim(home: str, mailbox: Mailbox, now: float, remove: Remove = maildir.remove) -> Amount:
    """
    Delete the oldest messages of all folders until `policy.to_trim` asks for no more.

    The newest message stays, however large it is. Messages of unknown age are deleted first,
    because otherwise they would stay forever.
    """
    gone = Amount()
    failures = 0
    while failures < ROUNDS_WITHOUT_SUCCESS:
        survey = _Survey(_maildir(home), now)
        oldest = heapq.nsmallest(BATCH, survey, key=lambda dated: dated[0])
        if len(oldest) == survey.all.messages:
            del oldest[-1:]
        many, much = policy.to_trim(survey.all.messages, survey.all.bytes, mailbox)
        if (many <= 0 and much <= 0) or not oldest:
            break
        before = gone.messages
        for _, message in oldest:
            if many <= 0 and much <= 0:
                return gone
            if remove(message.path):
                many -= 1
                much -= message.counted
                gone.add(message.size)
        failures += gone.messages == before
    return gone


class _Survey:
    """Iterates over all messages with their time of arrival, and counts them."""

    def __init__(self, path: str, now: float) -> None:
        self._path = path
        self._now = now
        self.all = Amount()

    def __iter__(self) -> Iterator[tuple[float, StoredMessage]]:
        for message in maildir.messages(self._path):
            self.all.add(message.counted)
            yield _received(message, self._now) or 0.0, message


def _received(message: StoredMessage, now: float) -> float | None:
    time = policy.received(message.stamp, message.changed, now)
    if time is None and message.changed is None:
        return policy.received(message.stamp, maildir.changed(message.path), now)
    return time


def _maildir(home: str) -> str:
    # This matches mail_path in modules/relay/dovecot.nix.
    return f"{home}/Maildir"
