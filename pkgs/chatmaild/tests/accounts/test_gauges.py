from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatmaild.accounts.gauges import population
from chatmaild.book.accounts import Book
from chatmaild.service import counters
from running import Daemon

TODAY = 20_000


def test_a_login_is_counted_by_its_day(tmp_path: Path) -> None:
    """The book stores only the day of an account's last login."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    for number, days in enumerate((0, 1, 2, 7, 8, 30, 31, None)):
        address = f"person{number:03}@chat.example.org"
        book.create(address, "hash", 1)
        if days is not None:
            book.record_logins([address], TODAY - days)
    book.set_blocked("person000@chat.example.org", blocked=True)

    assert population(book, TODAY) == {
        "accounts": 8,
        "blocked": 1,
        "active_1": 2,
        "active_7": 4,
        "active_30": 6,
    }
    book.close()


def test_an_empty_relay_has_numbers_too(tmp_path: Path) -> None:
    """The counters are zero instead of missing."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")

    assert set(population(book, TODAY).values()) == {0}
    book.close()


def test_the_daemon_reports_counters_and_its_state(
    start: Callable[[], Daemon], settings: dict[str, Any], sections: dict[str, dict[str, Any]]
) -> None:
    """The figures come from the book, the disk, the last expiry and the daemon's counters."""
    settings["metrics"] = sections["metrics"]
    place = Path(sections["metrics"]["accountsSocket"])
    daemon = start()
    daemon.login("alice1234@chat.example.org", "password1")
    daemon.login("alice1234@chat.example.org", "another one")
    daemon.login("x@chat.example.org", "password1")
    told = counters.read(place)
    daemon.stop()

    assert told["counts"] == [
        ["accounts_created", 1],
        ["grants", 1],
        ["logins_refused", "wrong-password", 1],
        ["registrations_refused", "login", "name-length", 1],
    ]
    assert told["book"] == {
        "accounts": 1,
        "blocked": 0,
        "active_1": 0,
        "active_7": 0,
        "active_30": 0,
        "push_waiting": 0,
        "push_oldest_seconds": 0,
    }
    assert 0 < told["disk"]["free"] <= told["disk"]["size"]
    assert told["expiry"] is None
    assert "alice" not in str(told)


def test_without_metrics_there_is_no_socket(tmp_path: Path, daemon: Daemon) -> None:
    """Metrics are off by default."""
    assert daemon.login("alice1234@chat.example.org", "password1")[0] == 200
    assert not (tmp_path / "numbers.sock").exists()
