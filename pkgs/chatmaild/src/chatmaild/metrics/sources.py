"""The sources of the metrics: our daemons, Postfix' queue, and the TLS listeners."""

import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from chatmaild.config import Config, Metrics
from chatmaild.postfix.queue import Listing, QueueError
from chatmaild.service import counters

LISTENER_SECONDS = 3.0
QUEUE_SECONDS = 4.0
# Postfix opens every file of the queue to list it. A longer queue is a problem in any case.
QUEUE_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages by queue, and since when the oldest waits (UNIX time)."""

    messages: Mapping[str, int]
    oldest: int | None


@dataclass(slots=True)
class Sample:
    """One sample of the relay; missing values are None or absent."""

    accounts: Mapping[str, Any] | None = None
    filter: Mapping[str, Any] | None = None
    queue: Queue | None = None
    certificates: dict[str, float] = field(default_factory=dict)
    """The expiry of each daemon's presented certificate (UNIX time)."""
    answering: dict[str, bool] = field(default_factory=dict)
    """Whether each daemon responds."""


def look(config: Config, metrics: Metrics) -> Sample:
    """Query every source once."""
    sample = Sample()
    sample.accounts = _counters(metrics.accounts_socket)
    sample.filter = _counters(metrics.filter_socket)
    sample.answering["accounts"] = sample.accounts is not None
    sample.answering["filter"] = sample.filter is not None
    for name, port in (
        ("nginx", metrics.https),
        ("postfix", metrics.submissions),
        ("dovecot", metrics.imaps),
    ):
        end = certificate_end(port, config.host)
        sample.answering[name] = end is not None
        if end is not None:
            sample.certificates[name] = end
    sample.queue = queue(metrics.postqueue)
    return sample


def _counters(path: Path) -> Mapping[str, Any] | None:
    try:
        return counters.read(path)
    except counters.CountersError:
        return None


def certificate_end(port: int, host: str) -> float | None:
    """
    Return when the certificate expires that clients see on a port of this host, in UNIX time.

    The presented certificate is checked instead of the file, because a daemon that was not reloaded
    after a renewal still uses the old one. None if there is no TLS listener.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), LISTENER_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
        if shown is None:
            return None
        return x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def queue(postqueue: Path) -> Queue | None:
    """
    Count the messages in Postfix' queue, up to 20,000 or as many as are listed in four seconds.

    None if Postfix is down.
    """
    counts: Counter[str] = Counter()
    oldest: int | None = None
    try:
        for message in Listing(postqueue, seconds=QUEUE_SECONDS, most=QUEUE_MOST):
            counts[message.queue] += 1
            oldest = message.arrived if oldest is None else min(message.arrived, oldest)
    except QueueError:
        return None
    return Queue(counts, oldest)
