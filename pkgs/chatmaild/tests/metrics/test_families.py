"""The text for Prometheus: valid for its own parser, and without personal data."""

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatmaild.accounts.login import Refusal
from chatmaild.admission import Pressure
from chatmaild.book.invites import InviteRefusal
from chatmaild.filter import replies
from chatmaild.filter.policy import Kind, Role
from chatmaild.metrics import families
from chatmaild.metrics.sources import Queue, Sample

BOOK = {
    "accounts": 7,
    "blocked": 1,
    "active_1": 2,
    "active_7": 3,
    "active_30": 4,
    "push_waiting": 5,
    "push_oldest_seconds": 60,
}
EXPIRY = {
    "at": 1_795_000_000,
    "messages": 3,
    "bytes": 300,
    "accounts": 2,
    "mailboxes": 0,
    "seconds": 1.5,
    "held": False,
    "fault": False,
    "stored_messages": 10,
    "stored_bytes": 1000,
}


def accounts(*counts: tuple[str | int, ...]) -> dict[str, Any]:
    """Return an answer of chatmail-accounts."""
    return {
        "counts": counts,
        "book": BOOK,
        "disk": {"free": 25, "size": 100},
        "expiry": EXPIRY,
    }


def read(sample: Sample) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and label values, sorted by label names."""
    found = {}
    for family in text_string_to_metric_families(families.text(sample).decode()):
        assert family.documentation.endswith("."), family.name
        for one in family.samples:
            key = (one.name.removeprefix("chatmail_"), *one.labels.values())
            assert key not in found
            found[key] = one.value
    return found


def test_messages_by_role_and_outcome() -> None:
    """The labels are the filter's words."""
    found = read(
        Sample(
            filter={
                "counts": [
                    ("messages_accepted", "submission", "encrypted", 4),
                    ("messages_refused", "submission", "rate-limited", 3),
                    ("messages_accepted", "incoming", "secure-join", 2),
                    ("messages_refused", "incoming", "dkim-invalid", 1),
                    ("messages_accepted", "internal", "own", 5),
                    ("dkim_signed", 9),
                    ("dkim_verified", 3),
                    ("unanswered", 1),
                ]
            }
        )
    )

    assert found["messages_accepted_total", "encrypted", "submission"] == 4
    assert found["messages_accepted_total", "secure-join", "incoming"] == 2
    assert found["messages_accepted_total", "own", "internal"] == 5
    assert found["messages_refused_total", "rate-limited", "submission"] == 3
    assert found["messages_refused_total", "dkim-invalid", "incoming"] == 1
    assert (found["dkim_signed_total",], found["dkim_verified_total",]) == (9, 3)


def test_accounts_logins_and_registrations() -> None:
    """A refused login and a refused new account are different things."""
    found = read(
        Sample(
            accounts=accounts(
                ("accounts_created", 3),
                ("logins", 9),
                ("addresses_handed_out", 4),
                ("accounts_deleted", "asked", 1),
                ("accounts_deleted", "idle", 2),
                ("logins_unavailable", 1),
                ("logins_refused", "wrong-password", 5),
                ("logins_refused", "blocked", 1),
                ("registrations_refused", "login", "uninvited", 2),
                ("registrations_refused", "login", "disk", 1),
                ("registrations_refused", "new", "closed", 6),
                ("push", "sent", 8),
                ("push", "put-off", 2),
            )
        )
    )

    assert found["accounts",] == 7
    assert [found["accounts_active", days] for days in ("1", "7", "30")] == [2, 3, 4]
    assert found["accounts_blocked",] == 1
    assert (found["accounts_created_total",], found["logins_total",]) == (3, 9)
    assert found["addresses_handed_out_total",] == 4
    assert found["accounts_deleted_total", "asked"] == 1
    assert found["accounts_deleted_total", "idle"] == 2
    assert found["logins_refused_total", "wrong-password"] == 5
    assert found["logins_refused_total", "blocked"] == 1
    assert found["logins_unavailable_total",] == 1
    assert found["registrations_refused_total", "login", "uninvited"] == 2
    assert found["registrations_refused_total", "login", "disk"] == 1
    assert found["registrations_refused_total", "new", "closed"] == 6
    assert found["push_total", "sent"] == 8
    assert found["push_total", "put-off"] == 2
    assert (found["push_waiting",], found["push_oldest_seconds",]) == (5, 60)


def test_disk_and_the_last_expiry() -> None:
    """The units are bytes and seconds, as Prometheus recommends."""
    found = read(Sample(accounts=accounts()))

    assert (found["disk_free_bytes",], found["disk_size_bytes",]) == (25, 100)
    assert found["expiry_last_run_timestamp_seconds",] == 1_795_000_000
    assert found["expiry_last_run_failed",] == 0
    assert (found["storage_messages",], found["storage_bytes",]) == (10, 1000)
    assert (found["expiry_removed_messages",], found["expiry_removed_accounts",]) == (3, 2)


def test_queue_certificates_and_daemons() -> None:
    """Every queue is exported, even if empty, so that alerts can compare."""
    found = read(
        Sample(
            queue=Queue({"deferred": 3, "active": 1}, oldest=1),
            certificates={"nginx": 2e9},
            answering={"nginx": True, "filter": False},
        )
    )

    assert found["queue_messages", "deferred"] == 3
    assert found["queue_messages", "hold"] == 0
    assert found["queue_oldest_seconds",] > 1e9
    assert found["certificate_expiry_timestamp_seconds", "nginx"] == 2e9
    assert (found["service_up", "nginx"], found["service_up", "filter"]) == (1, 0)


def test_missing_values_are_absent() -> None:
    """A zero would be wrong; all other values are exported."""
    told = accounts() | {"book": None, "disk": None, "expiry": None}
    names = {key[0] for key in read(Sample(accounts=told))}

    assert {"build_info", "accounts_created_total"} < names
    assert not names & {"accounts", "disk_free_bytes", "queue_messages", "dkim_signed_total"}
    assert read(Sample(accounts=told))["expiry_last_run_timestamp_seconds",] == 0
    assert "build_info" in {key[0] for key in read(Sample())}


COUNTED = sorted(
    {
        *(("messages_accepted", role.value, kind.value) for role in Role for kind in Kind),
        *(
            ("messages_refused", "submission", reply.reason)
            for reply in vars(replies).values()
            if isinstance(reply, replies.Reply)
        ),
        *(("logins_refused", refusal.value) for refusal in Refusal),
        *(("registrations_refused", "new", refused.value) for refused in InviteRefusal),
        *(("registrations_refused", "login", pressure.value) for pressure in Pressure),
    }
)


@pytest.mark.parametrize("key", COUNTED, ids="-".join)
def test_every_counted_word_is_exported(key: tuple[str, ...]) -> None:
    """The label "other" would help no one."""
    told = {"counts": [(*key, 1)]}
    found = read(Sample(filter=told, accounts=accounts() | told))
    labels = [labels for (name, *labels), value in found.items() if name == f"{key[0]}_total"]

    assert [sorted(one) for one in labels] == [sorted(key[1:])]


def test_counters_start_at_zero() -> None:
    """Otherwise Prometheus would miss the first event."""
    found = read(Sample(filter={"counts": []}, accounts=accounts()))

    assert found["dkim_signed_total",] == found["logins_total",] == 0
    assert found["accounts_deleted_total", "idle"] == 0


@pytest.mark.parametrize(
    "strange", ["alice@example.org", "192.0.2.1", "2001:db8::1", "A-Token", 'x"} 1', "x" * 50, "é"]
)
def test_no_name_becomes_a_label(strange: str) -> None:
    """A daemon might count one by mistake."""
    sample = Sample(
        accounts=accounts(
            ("registrations_refused", "login", strange, 1),
            ("registrations_refused", "login", f"{strange}2", 1),
            ("push", strange, 1),
            (strange, 1),
        ),
        filter={"counts": [("messages_accepted", "incoming", strange, 1), (strange, "x", 1)]},
        queue=Queue({strange: 1}, None),
    )
    shown = families.text(sample).decode()

    assert strange not in re.sub(r"^#.*$", "", shown, flags=re.MULTILINE)
    assert read(sample)["registrations_refused_total", "login", "other"] == 2


def test_a_thousand_unknown_words_are_one_label() -> None:
    """Prometheus stores a series for each label for weeks."""
    counts = [("messages_accepted", "incoming", f"{n}@example.org", 1) for n in range(1000)]

    found = read(Sample(filter={"counts": counts}))

    assert found["messages_accepted_total", "other", "incoming"] == 1000
