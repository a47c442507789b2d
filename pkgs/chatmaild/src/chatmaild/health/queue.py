"""Checks whether Postfix's queue moves, and if not, why."""

import time
from collections import Counter
from collections.abc import Iterator

from chatmaild.health.checks import ANSWER_SECONDS, Check, Look
from chatmaild.postfix.queue import Listing, QueuedMessage, QueueError, without_addresses
from chatmaild.text import human_age

# More messages wait only if other servers or local delivery have problems.
MANY = 1000
# Mail that is not deferred moves within seconds, unless a process of Postfix is stuck.
STUCK_SECONDS = 600
NAME = "mail queue"
MAX_REASON = 160


def check(look: Look) -> Iterator[Check]:
    """List the queue, limited to the time of a check."""
    listing = Listing(seconds=ANSWER_SECONDS)
    try:
        messages = list(listing)
    except QueueError as error:
        yield Check(NAME, "wrong", str(error), "`systemctl restart postfix`")
        return
    yield judge(messages, look.config.domain, int(time.time()), complete=listing.complete)


def judge(messages: list[QueuedMessage], domain: str, now: int, *, complete: bool) -> Check:
    """Judge a listing, which may be incomplete."""
    if not messages:
        return Check(NAME, "ok", "empty")
    oldest = human_age(now - min(message.arrived for message in messages))
    count = f"{'' if complete else 'more than '}{len(messages)} messages wait"
    text = f"{count}, the oldest for {oldest}"
    deferred = [one for message in messages for one in message.recipients if one.reason]
    reasons = Counter(without_addresses(one.reason) for one in deferred)
    if reasons:
        [(reason, _)] = reasons.most_common(1)
        text += f"; most often: {reason[:MAX_REASON]}"
    remedy = "`chatmail queue` shows destinations and reasons"
    moving = [one for one in messages if one.queue in {"incoming", "active", "maildrop"}]
    if any(now - message.arrived > STUCK_SECONDS for message in moving):
        return Check(NAME, "wrong", f"{text}: Postfix does not process it", remedy)
    if any(one.address.rpartition("@")[2].lower() == domain for one in deferred):
        local = "mail to this relay's own addresses is not delivered"
        return Check(NAME, "wrong", f"{text}: {local}", "`systemctl restart dovecot`")
    if len(messages) > MANY:
        return Check(NAME, "wrong", text, remedy)
    return Check(NAME, "note" if deferred else "ok", text, remedy if deferred else "")
