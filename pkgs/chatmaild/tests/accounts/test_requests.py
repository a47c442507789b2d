"""The two sockets for other programs of the relay, and the effects of requests."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts.asking import ALICE, BOB, PASSWORD, Doveadm, active, ask, mailbox
from chatmaild.book.address_flags import AddressFlags
from running import Daemon, UnixHTTPConnection


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that the daemon does a little later."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_blocked_account_is_shut_out_until_unblocked(daemon: Daemon, doveadm: Doveadm) -> None:
    """When the answer arrives, the book, Dovecot and the filter all know about it."""
    assert active(daemon)

    assert ask(daemon, "control", "/accounts/block", address=ALICE.upper()) == (200, {})

    assert doveadm.commands[:2] == [f"auth cache flush {ALICE}", f"kick {ALICE}"]
    assert ALICE in AddressFlags(daemon.directory / "revoked")
    assert not active(daemon)

    assert ask(daemon, "control", "/accounts/unblock", address=ALICE) == (200, {})

    assert ALICE not in AddressFlags(daemon.directory / "revoked")
    assert active(daemon)
    # The second pass must not undo what the operator has done in the meantime. Passes run in the
    # order of the blocks, so after the pass for a later block, this one is over.
    assert active(daemon, BOB)
    ask(daemon, "control", "/accounts/block", address=BOB)
    eventually(lambda: doveadm.commands.count(f"kick {BOB}") == 2)
    assert ALICE not in AddressFlags(daemon.directory / "revoked")
    assert doveadm.commands.count(f"kick {ALICE}") == 1


def test_blocking_takes_two_passes(daemon: Daemon, doveadm: Doveadm) -> None:
    """The second pass closes connections of logins that were in progress."""
    active(daemon)
    ask(daemon, "control", "/accounts/block", address=ALICE)

    eventually(lambda: doveadm.commands.count(f"kick {ALICE}") == 2)


def test_a_deleted_account_leaves_nothing(daemon: Daemon, doveadm: Doveadm) -> None:
    """Its row, tokens and mail are deleted, and the address is reserved during the grace period."""
    active(daemon)
    home = mailbox(daemon)

    assert ask(daemon, "control", "/accounts/delete", address=ALICE) == (200, {})

    assert doveadm.commands[:2] == [f"auth cache flush {ALICE}", f"kick {ALICE}"]
    assert not home.exists()
    assert not active(daemon)
    assert not active(daemon, password="another-password")
    eventually(lambda: not list(daemon.directory.glob("mail.deleted/*")))
    assert "accounts_deleted.asked=1" in daemon.stop()


def test_the_mailbox_of_a_late_delivery_is_deleted(daemon: Daemon, doveadm: Doveadm) -> None:
    """A message in transit when its account was deleted creates the mailbox again."""
    active(daemon)
    mailbox(daemon)
    ask(daemon, "control", "/accounts/delete", address=ALICE)
    again = mailbox(daemon)

    eventually(lambda: not again.exists())


def test_a_new_account_finds_no_mail_of_an_old_one(
    start: Callable[[], Daemon], settings: dict[str, Any], doveadm: Doveadm
) -> None:
    """The mailbox may exist without an account for any reason."""
    settings["accounts"]["graceDays"] = 0
    daemon = start()
    active(daemon, BOB)
    left = mailbox(daemon)

    assert active(daemon)

    assert not left.exists()


def test_open_connections_are_reported(daemon: Daemon) -> None:
    """Without Dovecot the account is blocked, but its connections may remain open."""
    active(daemon)

    status, answer = ask(daemon, "control", "/accounts/block", address=ALICE)

    assert status == 200
    assert "Dovecot cannot be reached" in answer["warning"]
    assert not active(daemon)


def test_a_refusal_by_dovecot_is_reported(daemon: Daemon, doveadm: Doveadm) -> None:
    """Otherwise a wrong configuration of its socket would go unnoticed."""
    active(daemon)
    doveadm.refuse = True

    answer = ask(daemon, "control", "/accounts/delete", address=ALICE)[1]

    assert "Dovecot refuses `auth cache flush` (NOPERM)" in answer["warning"]
    assert not active(daemon)


@pytest.mark.parametrize("action", ["block", "unblock", "delete"])
def test_says_that_there_is_no_such_account(daemon: Daemon, action: str) -> None:
    """The command must not report success for a mistyped address."""
    assert ask(daemon, "control", f"/accounts/{action}", address="../x") == (
        404,
        {"reason": "there is no account ../x"},
    )


def test_the_owner_deletes_with_the_password(daemon: Daemon, doveadm: Doveadm) -> None:
    """Users may delete their data even if their account is blocked."""
    active(daemon)
    active(daemon, BOB)
    ask(daemon, "control", "/accounts/block", address=ALICE)

    wrong = ask(daemon, "registrar", "/delete", address=ALICE, password=PASSWORD + "x")
    assert wrong == (401, {"reason": "The address or the password is wrong."})
    assert ask(daemon, "registrar", "/delete", address=ALICE, password=PASSWORD)[0] == 204
    assert ask(daemon, "registrar", "/delete", address=ALICE, password=PASSWORD) == wrong
    assert active(daemon, BOB)


def test_an_invite_leads_to_an_account(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """The test goes from the operator's command to the first login; without an invite it fails."""
    settings["registration"] = "invite"
    daemon = start()
    status, invite = ask(daemon, "control", "/invites/add", uses=1, days=7, comment="for Alice")
    assert status == 200

    assert ask(daemon, "registrar", "/new", address=ALICE, invite="")[0] == 403
    assert ask(daemon, "registrar", "/new", address=ALICE, invite="guessed")[0] == 403
    assert not active(daemon)
    assert ask(daemon, "registrar", "/new", address=ALICE, invite=invite["token"])[0] == 204
    assert not active(daemon, BOB)
    assert active(daemon)
    status, refused = ask(daemon, "registrar", "/new", address=BOB, invite=invite["token"])
    assert (status, refused["reason"]) == (
        403,
        "This invite has been used up. Please ask for a new one.",
    )
    [listed] = ask(daemon, "control", "/invites/list")[1]["invites"]
    assert (listed["used"], listed["uses"], listed["comment"]) == (1, 1, "for Alice")


def test_the_stop_stops_invites_too(start: Callable[[], Daemon], settings: dict[str, Any]) -> None:
    """In an emergency no one gets an address, not even with an invite."""
    settings["registration"] = "invite"
    daemon = start()
    token = ask(daemon, "control", "/invites/add", uses=9, days=None, comment="")[1]["token"]
    ask(daemon, "registrar", "/new", address=ALICE, invite=token)
    (daemon.directory / "nocreate").touch()

    assert ask(daemon, "registrar", "/new", address=BOB, invite=token)[0] == 403
    assert not active(daemon)


def test_the_hourly_limit_asks_to_retry(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """It applies to handing out names and to first logins, but not to existing accounts."""
    settings["accounts"]["maxPerHour"] = 1
    daemon = start()
    assert active(daemon)

    assert ask(daemon, "registrar", "/new", address=BOB, invite="")[0] == 503
    assert daemon.login(BOB, PASSWORD)[0] == 503
    assert active(daemon)


@pytest.mark.parametrize(
    ("name", "path", "fields", "status"),
    [
        ("registrar", "/accounts/delete", {"address": ALICE}, 404),
        ("registrar", "/invites/list", {}, 404),
        ("control", "/token", {}, 404),
        ("registrar", "/new", {"address": "postmaster@chat.example.org", "invite": ""}, 400),
        ("registrar", "/new", {"address": "x@other.example", "invite": ""}, 400),
        ("registrar", "/new", {"address": 5, "invite": ""}, 400),
        ("registrar", "/delete", {"address": ALICE}, 400),
        ("control", "/invites/add", {"uses": 0, "days": 1, "comment": ""}, 400),
        ("control", "/invites/add", {"uses": True, "days": 1, "comment": ""}, 400),
        ("control", "/invites/add", {"uses": 1, "days": 1, "comment": "two\nlines"}, 400),
        ("control", "/invites/remove", {"id": 7}, 404),
    ],
)
def test_the_registrar_accepts_only_two_requests(
    daemon: Daemon, name: str, path: str, fields: dict[str, Any], status: int
) -> None:
    """chatmail-web is exposed to the Internet, so its socket allows nothing else."""
    answered, answer = ask(daemon, name, path, **fields)

    assert answered == status
    assert list(answer) == ["reason"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((body, 400) for body in (b"", b"[]", b"{", b"\xff", b"[" * 8000)),
        (b'{"address": "\\udcf3", "invite": ""}', 400),
        (b"x" * 9000, 413),
    ],
)
def test_refuses_anything_but_json_objects(daemon: Daemon, body: bytes, status: int) -> None:
    """There is no traceback, and the daemon keeps running."""
    connection = UnixHTTPConnection(daemon.directory / "registrar.sock")
    connection.request("POST", "/new", body)
    assert connection.getresponse().status == status
    connection.close()

    assert "Traceback" not in daemon.stop()


def test_deletes_idle_accounts_unless_they_are_used_again(daemon: Daemon, doveadm: Doveadm) -> None:
    """The request comes long after the scan, and the latest logins are not in the book yet."""
    today = int(time.time()) // 86400
    assert active(daemon)
    message = mailbox(daemon)
    kept = ask(daemon, "control", "/accounts/expire", address=ALICE, before_day=today)

    assert kept == (200, {"deleted": False})
    assert message.exists()
    gone = ask(daemon, "control", "/accounts/expire", address=ALICE, before_day=today + 1)
    assert gone == (200, {"deleted": True})
    assert not message.exists()
    assert f"kick {ALICE}" in doveadm.commands
    assert not active(daemon)


@pytest.mark.parametrize("day", [None, 0, -1, "20000", True, 10**9])
def test_no_account_expires_without_a_day(daemon: Daemon, day: object) -> None:
    """A mistake of the caller must not delete all accounts."""
    assert active(daemon)

    status, _ = ask(daemon, "control", "/accounts/expire", address=ALICE, before_day=day)

    assert status == 400
    assert active(daemon)


def test_the_filter_knows_exceptions_from_the_cleartext_rule(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """Its directory is filled again after a reboot, and when the relay's rule changes."""
    settings["incoming"] = {"cleartext": True}
    daemon = start()
    exceptions = AddressFlags(daemon.directory / "exceptions")
    for one in (ALICE, BOB):
        assert active(daemon, one)

    def choose(address: str, *, allowed: bool | None) -> tuple[int, Any]:
        return ask(daemon, "control", "/accounts/cleartext", address=address, allowed=allowed)

    assert choose(ALICE.upper(), allowed=False) == (200, {})
    assert choose(BOB, allowed=True) == (200, {})
    assert ALICE in exceptions
    assert BOB not in exceptions

    daemon.stop()
    exceptions.remove(ALICE)
    daemon = start()
    assert ALICE in exceptions

    daemon.stop()
    settings["incoming"] = {"cleartext": False}
    daemon = start()
    assert ALICE not in exceptions
    assert BOB in exceptions

    assert choose(BOB, allowed=None) == (200, {})
    assert BOB not in exceptions


def test_a_choice_needs_an_account_and_is_one_of_three(daemon: Daemon, doveadm: Doveadm) -> None:
    """No choice is stored for a later owner of the name."""
    path = "/accounts/cleartext"
    assert ask(daemon, "control", path, address=ALICE, allowed=False) == (
        404,
        {"reason": f"there is no account {ALICE}"},
    )
    assert active(daemon)
    assert ask(daemon, "control", path, address=ALICE, allowed="no")[0] == 400

    assert ask(daemon, "control", path, address=ALICE, allowed=False)[0] == 200
    assert ask(daemon, "control", "/accounts/delete", address=ALICE) == (200, {})
    assert ALICE not in AddressFlags(daemon.directory / "exceptions")
    assert doveadm.commands
