"""
Converts a sample of the relay to Prometheus' metric families.

Label values are constants in this package. `_word` makes sure of it: any other text becomes
"other", so no address can become a label.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

import chatmaild
from chatmaild.accounts.gauges import ACTIVE_DAYS
from chatmaild.metrics.sources import Sample

QUEUES = ("incoming", "active", "deferred", "hold", "maildrop")
_WORD = re.compile(r"[a-z][a-z-]{0,39}", re.ASCII)


class _Family(NamedTuple):
    """A counter of a daemon; `always` has label values that are exported from the start."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    always: tuple[tuple[str, ...], ...] = ()


OF_FILTER = (
    _Family("messages_accepted", "Messages accepted by the filter.", ("role", "kind")),
    _Family(
        "messages_refused",
        "Messages, or recipients of messages, that the filter refused or deferred.",
        ("role", "reason"),
    ),
    _Family(
        "messages_rebuilt",
        "Messages of other programs that the filter rebuilt in the canonical form.",
        ("role",),
    ),
    _Family("dkim_signed", "Messages to which the relay added a DKIM signature."),
    _Family("dkim_verified", "Incoming messages with a valid DKIM signature."),
)
OF_ACCOUNTS = (
    _Family("logins_refused", "Refused logins to existing accounts.", ("reason",)),
    _Family(
        "registrations_refused",
        "New accounts that were refused, when a name was requested or at the first login.",
        ("at", "reason"),
    ),
    _Family("push", "Push notifications by outcome.", ("outcome",)),
    _Family(
        "accounts_deleted",
        "Deleted accounts, by request or because they were idle.",
        ("why",),
        (("asked",), ("idle",)),
    ),
    _Family("accounts_created", "Created accounts."),
    _Family("addresses_handed_out", "New addresses handed out by /new."),
    _Family("logins", "Successful IMAP logins."),
    _Family("logins_unavailable", "Logins that got a temporary error."),
)


def text(sample: Sample) -> bytes:
    """Return a sample in Prometheus' text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Collector(sample))
    return generate_latest(registry)


class _Collector:
    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def collect(self) -> Iterator[Metric]:
        """Yield every family for which there are values."""
        yield _gauge(
            "build_info", "The version of chatmaild.", {(chatmaild.__version__,): 1}, "version"
        )
        yield _gauge(
            "service_up",
            "1 if a daemon of the relay responds.",
            {(name,): int(up) for name, up in self._sample.answering.items()},
            "service",
        )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "Expiry of the certificate that a daemon presents to clients, UNIX time.",
            {(name,): end for name, end in self._sample.certificates.items()},
            "service",
        )
        yield from _queue(self._sample)
        if self._sample.filter is not None:
            yield from _counted(self._sample.filter["counts"], OF_FILTER)
        if self._sample.accounts is not None:
            yield from _counted(self._sample.accounts["counts"], OF_ACCOUNTS)
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
    yield _gauge("queue_oldest_seconds", "Age of the oldest queued message.", {(): age})


def _counted(counts: Iterable[Sequence[Any]], families: Iterable[_Family]) -> Iterator[Metric]:
    """Yield the counters of a daemon, including those that are still zero."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for name, *labels, number in counts:
        of_name = values.setdefault(name, {})
        key = tuple(_word(label) for label in labels)
        of_name[key] = of_name.get(key, 0) + number
    for family in families:
        metric = CounterMetricFamily(
            f"chatmail_{family.name}", family.meaning, labels=family.labels
        )
        zero = dict.fromkeys(family.always if family.labels else [()], 0.0)
        for key, number in (zero | values.get(family.name, {})).items():
            metric.add_metric(key, number)
        yield metric


def _state(told: Mapping[str, Any]) -> Iterator[Metric]:
    if book := told["book"]:
        yield _gauge("accounts", "Accounts.", {(): book["accounts"]})
        yield _gauge("accounts_blocked", "Blocked accounts.", {(): book["blocked"]})
        yield _gauge(
            "accounts_active",
            "Accounts with a login since the beginning of the day (UTC) this many days ago.",
            {(str(days),): book[f"active_{days}"] for days in ACTIVE_DAYS},
            "days",
        )
        for name, meaning in (
            ("push_waiting", "Push notifications that wait for a retry."),
            ("push_oldest_seconds", "Age of the oldest of them, since its newest message."),
        ):
            yield _gauge(name, meaning, {(): book[name]})
    if disk := told["disk"]:
        yield _gauge("disk_free_bytes", "Free space for mailboxes.", {(): disk["free"]})
        yield _gauge("disk_size_bytes", "Size of the mailboxes' file system.", {(): disk["size"]})
    last = told["expiry"] or {}
    yield _gauge(
        "expiry_last_run_timestamp_seconds",
        "End of the last expiry run, UNIX time; 0 before the first run.",
        {(): last.get("at", 0)},
    )
    if not last:
        return
    yield _gauge(
        "expiry_last_run_failed",
        "1 if the last expiry run failed or was incomplete.",
        {(): int(last["fault"])},
    )
    for name, key, meaning in (
        ("expiry_last_run_seconds", "seconds", "Duration of the last expiry run."),
        ("expiry_removed_messages", "messages", "Messages deleted by the last expiry run."),
        ("expiry_removed_bytes", "bytes", "Bytes of mail deleted by the last expiry run."),
        ("expiry_removed_accounts", "accounts", "Accounts deleted by the last expiry run."),
        ("storage_messages", "stored_messages", "Messages in all mailboxes after the last run."),
        ("storage_bytes", "stored_bytes", "Bytes of mail in all mailboxes after the last run."),
    ):
        yield _gauge(name, meaning, {(): last[key]})


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else "other"


def _gauge(
    name: str, meaning: str, values: Mapping[tuple[str, ...], float], *labels: str
) -> Metric:
    family = GaugeMetricFamily(f"chatmail_{name}", meaning, labels=labels)
    for key, number in values.items():
        family.add_metric(key, number)
    return family
