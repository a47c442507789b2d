"""
A look at the relay as Prometheus' metric families.

Labels say what kind of thing was counted, in words of this package's own. `_word` is the last wall:
whatever else came through would stand there as "other", so no address can become a label.
"""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

import chatmaild
from chatmaild.accounts.login import Refusal
from chatmaild.accounts.numbers import ACTIVE_DAYS
from chatmaild.metrics.sources import Sample

QUEUES = ("incoming", "active", "deferred", "hold", "maildrop")
_WORD = re.compile(r"[a-z][a-z-]{0,39}", re.ASCII)
# A login that is refused for these is no try to make an account.
_OF_LOGINS = {Refusal.WRONG_PASSWORD.value, Refusal.BLOCKED.value}


def text(sample: Sample) -> bytes:
    """Write a sample in the text format 0.0.4 of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Collector(sample))
    return generate_latest(registry)


class _Collector:
    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def collect(self) -> Iterator[Metric]:
        """Yield every family that there are numbers for."""
        yield _gauge(
            "build_info", "The version of chatmaild.", {(chatmaild.__version__,): 1}, "version"
        )
        yield _gauge(
            "service_up",
            "Whether a daemon of the relay answers.",
            {(name,): int(up) for name, up in self._sample.answering.items()},
            "service",
        )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate expires that a daemon shows to clients, UNIX time.",
            {(name,): end for name, end in self._sample.certificates.items()},
            "service",
        )
        yield from _queue(self._sample)
        if self._sample.filter is not None:
            yield from _filter(self._sample.filter)
        if self._sample.accounts is not None:
            yield from _counts(self._sample.accounts["counts"])
            yield from _state(self._sample.accounts)


def _queue(sample: Sample) -> Iterator[Metric]:
    if sample.queue is None:
        return
    by_name: dict[tuple[str, ...], float] = {(name,): 0 for name in QUEUES}
    for name, number in sample.queue.messages.items():
        by_name[(_word(name),)] = number
    yield _gauge("queue_messages", "Messages in Postfix' queue, up to 20000.", by_name, "queue")
    oldest = sample.queue.oldest
    age = 0 if oldest is None else max(0, int(time.time()) - oldest)
    yield _gauge("queue_oldest_seconds", "How long the oldest of them has waited.", {(): age})


def _filter(numbers: Mapping[str, Any]) -> Iterator[Metric]:
    accepted: dict[tuple[str, ...], float] = {}
    refused: dict[tuple[str, ...], float] = {}
    for event, number in numbers.items():
        role, _, rest = event.partition("-")
        outcome, _, why = rest.partition("-")
        if outcome == "accepted":
            _add(accepted, (_word(role), _word(why)), number)
        elif outcome == "refused":
            _add(refused, (_word(role), _word(why)), number)
    yield _counter(
        "messages_accepted", "Messages that the filter let pass.", accepted, "role", "kind"
    )
    yield _counter(
        "messages_refused",
        "Messages that the filter refused or put off, or recipients of them that it did.",
        refused,
        "role",
        "reason",
    )
    for name, meaning in (
        ("signed", "Messages with a DKIM signature of this relay added."),
        ("verified", "Messages whose DKIM signature was found valid."),
    ):
        yield _counter(f"dkim_{name}", meaning, {(): numbers.get(name, 0)})


def _counts(counts: Mapping[str, Any]) -> Iterator[Metric]:
    logins: dict[tuple[str, ...], float] = {}
    registrations: dict[tuple[str, ...], float] = {}
    push: dict[tuple[str, ...], float] = {}
    for event, number in counts.items():
        if event.startswith("refused "):
            reason = _word(event.removeprefix("refused "))
            if reason in _OF_LOGINS:
                _add(logins, (reason,), number)
            else:
                _add(registrations, ("login", reason), number)
        elif event.startswith("not created "):
            _add(registrations, ("login", _word(event.removeprefix("not created "))), number)
        elif event.startswith("not handed out "):
            _add(registrations, ("new", _word(event.removeprefix("not handed out "))), number)
        elif event.startswith("push "):
            _add(push, (_word(event.removeprefix("push ").replace(" ", "-")),), number)
    yield _counter("logins_refused", "Logins to an account that were refused.", logins, "reason")
    yield _counter(
        "registrations_refused",
        "New accounts that were refused, where a name was asked for or at the first login.",
        registrations,
        "at",
        "reason",
    )
    yield _counter("push", "Notifications of devices, by what became of them.", push, "outcome")
    yield _counter(
        "accounts_deleted",
        "Accounts that were deleted, because somebody asked for it or nobody used them.",
        {("asked",): counts.get("deleted", 0), ("idle",): counts.get("deleted as idle", 0)},
        "why",
    )
    for name, event, meaning in (
        ("accounts_created", "created", "Accounts that came into being."),
        ("addresses_handed_out", "handed out", "Addresses that were given to whoever asked."),
        ("logins", "logins", "Logins by IMAP."),
        ("logins_unavailable", "unavailable", "Logins that were told to try later."),
    ):
        yield _counter(name, meaning, {(): counts.get(event, 0)})


def _state(told: Mapping[str, Any]) -> Iterator[Metric]:
    if book := told["book"]:
        yield _gauge("accounts", "Accounts.", {(): book["accounts"]})
        yield _gauge("accounts_blocked", "Accounts that are blocked.", {(): book["blocked"]})
        yield _gauge(
            "accounts_active",
            "Accounts with a login since the beginning of the day (UTC) that many days ago.",
            {(str(days),): book[f"active_{days}"] for days in ACTIVE_DAYS},
            "days",
        )
        for name, meaning in (
            ("push_waiting", "Notifications that wait to be tried again."),
            ("push_oldest_seconds", "Age of the newest message that the oldest of them is about."),
        ):
            yield _gauge(name, meaning, {(): book[name]})
    if disk := told["disk"]:
        yield _gauge("disk_free_bytes", "Room on the disk of the mailboxes.", {(): disk["free"]})
        yield _gauge("disk_size_bytes", "Size of that disk.", {(): disk["size"]})
    last = told["expiry"] or {}
    yield _gauge(
        "expiry_last_run_timestamp_seconds",
        "When the last nightly run ended, UNIX time; 0 before the first.",
        {(): last.get("at", 0)},
    )
    if not last:
        return
    yield _gauge(
        "expiry_last_run_failed", "Whether it was not done with all.", {(): int(last["fault"])}
    )
    for name, key, meaning in (
        ("expiry_last_run_seconds", "seconds", "How long it took."),
        ("expiry_removed_messages", "messages", "Messages that it removed."),
        ("expiry_removed_bytes", "bytes", "Bytes of mail that it removed."),
        ("expiry_removed_accounts", "accounts", "Accounts that it deleted."),
        ("storage_messages", "stored_messages", "Messages in all mailboxes after it."),
        ("storage_bytes", "stored_bytes", "Bytes of mail in all mailboxes after it."),
    ):
        yield _gauge(name, meaning, {(): last[key]})


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else "other"


def _add(values: dict[tuple[str, ...], float], labels: tuple[str, ...], number: float) -> None:
    values[labels] = values.get(labels, 0) + number


def _gauge(
    name: str, meaning: str, values: Mapping[tuple[str, ...], float], *labels: str
) -> Metric:
    family = GaugeMetricFamily(f"chatmail_{name}", meaning, labels=labels)
    for key, number in values.items():
        family.add_metric(key, number)
    return family


def _counter(
    name: str, meaning: str, values: Mapping[tuple[str, ...], float], *labels: str
) -> Metric:
    family = CounterMetricFamily(f"chatmail_{name}", meaning, labels=labels)
    for key, number in values.items():
        family.add_metric(key, number)
    return family
