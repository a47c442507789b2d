import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import malformed
from running import Daemon, run_daemon

MODULE = "chatmaild.accounts.daemon"
ALICE = "alice1234@chat.example.org"
PASSWORD = 'we"ird\\p%{user}&=+ %41é:;'
ACCEPTED = {"access_token": "unused", "username": ALICE, "active": "yes"}
REFUSED = {"access_token": "unused", "username": ALICE, "active": "no"}
KEY = b"priv/0123456789abcdef0123456789abcdef/devicetoken"


def addresses(daemon: Daemon) -> list[str]:
    """Return the addresses that Dovecot reads from the book."""
    connection = sqlite3.connect(f"file:{daemon.directory / 'accounts.sqlite'}?mode=ro", uri=True)
    rows = connection.execute("SELECT address FROM accounts").fetchall()
    connection.close()
    return [address for (address,) in rows]


def test_the_first_login_creates_an_account(daemon: Daemon) -> None:
    """There is no other way to get an account, and every byte of the password counts."""
    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)
    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)
    assert daemon.login(ALICE, PASSWORD + "x") == (200, REFUSED)
    assert addresses(daemon) == [ALICE]


def test_a_password_need_not_be_utf8(daemon: Daemon) -> None:
    """IMAP passes bytes."""
    assert daemon.login(ALICE, b"\xff\xfe secret") == (200, ACCEPTED)
    assert daemon.login(ALICE, b"\xff\xfd secret") == (200, REFUSED)


def test_parallel_first_logins_create_one_account(daemon: Daemon) -> None:
    """One of twenty passwords wins; the others must not work."""
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: daemon.login(ALICE, f"password{n:04}"), range(20)))

    assert sorted(answer["active"] for _, answer in answers) == ["no"] * 19 + ["yes"]
    assert addresses(daemon) == [ALICE]


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("alice1234@other.example", "secret123"),
        ("short@chat.example.org", "secret123"),
        (ALICE, "short"),
        (ALICE, "x" * 5000),
        ("alice1234'--@chat.example.org", "secret123"),
    ],
)
def test_a_refused_login_leaves_no_account(daemon: Daemon, address: str, password: str) -> None:
    """A refusal is a 200 with `active: no`. Dovecot takes anything else for a server error."""
    status, answer = daemon.login(address, password)

    assert (status, answer["active"]) == (200, "no")
    assert "error" not in answer
    assert addresses(daemon) == []


def test_known_accounts_log_in_when_registration_is_closed(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """Closing registration, or requiring longer names, locks no user out."""
    daemon = start()
    daemon.login(ALICE, PASSWORD)
    daemon.stop()
    settings["registration"] = "closed"
    settings["accounts"] |= {"nameMinLength": 20, "nameMaxLength": 30, "passwordMinLength": 40}
    daemon = start()

    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)
    assert daemon.login("bob123456@chat.example.org", PASSWORD)[1]["active"] == "no"
    assert addresses(daemon) == [ALICE]


def test_the_nocreate_file_works_without_a_restart(daemon: Daemon) -> None:
    """During an attack the operator creates one file."""
    (daemon.directory / "nocreate").touch()

    assert daemon.login(ALICE, PASSWORD) == (200, REFUSED)

    (daemon.directory / "nocreate").unlink()

    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)


def test_a_blocked_account_is_refused(daemon: Daemon) -> None:
    """Dovecot's query omits blocked accounts, so their logins arrive here like unknown ones."""
    daemon.login(ALICE, PASSWORD)
    connection = sqlite3.connect(daemon.directory / "accounts.sqlite")
    connection.execute("UPDATE accounts SET blocked = 1")
    connection.commit()
    connection.close()

    assert daemon.login(ALICE, PASSWORD) == (200, REFUSED)


def test_a_host_without_resources_asks_to_retry(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """The shortage is temporary. A client would give up after "wrong password"."""
    daemon = start()
    daemon.login(ALICE, PASSWORD)
    daemon.stop()
    settings["admission"]["minFreeDisk"] = 2**62
    daemon = start()

    assert daemon.login("bob123456@chat.example.org", PASSWORD)[0] == 503
    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)
    assert addresses(daemon) == [ALICE]


def test_a_broken_book_asks_to_retry(daemon: Daemon) -> None:
    """A disk error must cause neither a wrong password nor a new account."""
    daemon.login(ALICE, PASSWORD)
    connection = sqlite3.connect(daemon.directory / "accounts.sqlite")
    connection.execute("ALTER TABLE accounts RENAME TO gone")
    connection.commit()

    assert daemon.login(ALICE, PASSWORD)[0] == 503
    assert daemon.login("bob123456@chat.example.org", PASSWORD)[0] == 503

    connection.execute("ALTER TABLE gone RENAME TO accounts")
    connection.commit()
    connection.close()

    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)
    assert addresses(daemon) == [ALICE]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"grant_type=password&username=alice1234%40chat.example.org", 400),
        (b"grant_type=client_credentials&username=a&password=b", 400),
        (b"grant_type=password&username=a&username=b&password=c", 400),
        (b"&".join(b"a%d=b" % n for n in range(100)), 400),
        (b"\xff\x00\xfe", 400),
    ],
)
def test_other_requests_are_not_logins(daemon: Daemon, body: bytes, status: int) -> None:
    """A client other than Dovecot gets an error, and nothing is created."""
    assert daemon.post(body)[0] == status
    assert addresses(daemon) == []


def test_malformed_http_gets_a_short_answer(daemon: Daemon) -> None:
    """The answer has no traceback, the log shows no request, and the daemon keeps running."""
    for name in malformed.REQUESTS:
        for socket, path in (("grant", "/token"), ("registrar", "/new"), ("control", "/x")):
            status = malformed.answer(daemon.directory / f"{socket}.sock", name, path)
            assert status == malformed.REQUESTS[name][1] or (path, status) == ("/x", b"404")

    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)
    assert "Traceback" not in daemon.stop()


def test_tokens_and_last_login_are_kept(start: Callable[[], Daemon]) -> None:
    """Tokens and the day of the last login survive a restart."""
    daemon = start()
    daemon.login(ALICE, PASSWORD)
    user = ALICE.encode()
    answers = daemon.dialogue(
        b"H4\t0\t0\t\tmetadata\n"
        b"B1\t" + user + b"\t0\nS1\t" + KEY + b"\tfcm-1234\nC1\n"
        b"B2\t" + user + b"\t0\nS2\tshared/last-login/" + user + b"\t1795213297\nC2\n"
        b"B3\t" + user + b"\t0\nS3\tpriv/status/INBOX\t1\nC3\n",
        3,
    )
    assert answers == [b"O1\n", b"O2\n", b"O3\n"]
    log = daemon.stop()
    daemon = start()

    assert daemon.dialogue(b"L" + KEY + b"\t" + user + b"\n", 1) == [b"Ofcm-1234\n"]
    assert daemon.dialogue(b"L" + KEY + b"\tbob123456@chat.example.org\n", 1) == [b"N\n"]
    connection = sqlite3.connect(daemon.directory / "accounts.sqlite")
    (day,) = connection.execute("SELECT last_login_day FROM accounts").fetchone()
    connection.close()
    assert day > 20_000
    assert "accounts_created=1 grants=1 logins=1 new_mail=1" in log


def test_the_log_contains_no_personal_data(daemon: Daemon) -> None:
    """A log that is seized or shared must contain no address, password or token."""
    daemon.login(ALICE, PASSWORD)
    daemon.login(ALICE, "another-secret")
    daemon.login("alice1234@other.example", PASSWORD)
    daemon.dialogue(b"B1\t" + ALICE.encode() + b"\nS1\t" + KEY + b"\tto ken\nC1\nXbad\t\n", 2)

    log = daemon.stop()

    for secret in ("alice", "another-secret", "ird", "to ken", KEY.decode()):
        assert secret not in log


def test_leaves_no_socket_behind(daemon: Daemon) -> None:
    """Dovecot waits up to three seconds for a socket file without a listener."""
    daemon.stop()

    assert not list(daemon.directory.glob("*.sock"))


def test_replaces_the_sockets_of_a_killed_daemon(start: Callable[[], Daemon]) -> None:
    """After a crash the daemon must start again without an operator."""
    daemon = start()
    daemon.kill()

    assert start().login(ALICE, PASSWORD) == (200, ACCEPTED)


def test_does_not_start_beside_a_running_one(daemon: Daemon) -> None:
    """Two daemons with one book would each assume to be the only one."""
    result = run_daemon(MODULE, daemon.directory / "chatmaild.json")

    assert result.returncode == 1
    assert "grant.sock: another process listens there" in result.stderr
    assert daemon.login(ALICE, PASSWORD) == (200, ACCEPTED)


@pytest.mark.parametrize("options", [(), ("--check-config",)])
def test_a_wrong_configuration_stops_the_start(
    tmp_path: Path, settings: dict[str, Any], options: tuple[str, ...]
) -> None:
    """The daemon prints one sentence and exits with 1, whether the file is checked or used."""
    settings["sending"]["perMinut"] = settings["sending"].pop("perMinute")
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    result = run_daemon(MODULE, path, *options)

    assert result.returncode == 1
    assert result.stderr == (
        f"chatmail-accounts: {path}: unknown key `sending.perMinut`;"
        " did you mean `sending.perMinute`?\n"
    )


def test_a_correct_configuration_passes_the_check(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The check neither creates a book nor opens a socket."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    before = set(tmp_path.rglob("*"))

    result = run_daemon(MODULE, path, "--check-config")

    assert (result.returncode, result.stderr) == (0, "")
    assert set(tmp_path.rglob("*")) == before


def test_a_damaged_book_stops_the_start(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The operator gets one sentence without a traceback, and the file is not changed."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    book = tmp_path / "accounts.sqlite"
    book.write_bytes(b"damaged" * 1000)

    result = run_daemon(MODULE, path)

    assert result.returncode == 1
    assert f"{book}: is damaged" in result.stderr
    assert "Traceback" not in result.stderr
    assert book.read_bytes() == b"damaged" * 1000
