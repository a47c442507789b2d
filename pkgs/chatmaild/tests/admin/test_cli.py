import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chatmaild.admin import status
from chatmaild.admin.cli import main
from chatmaild.book.accounts import Book
from chatmaild.book.last_night import Record, write
from running import environment

ALICE = "alice1234@chat.example.org"


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> str:
    """Hand over a configuration whose relay has one account."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    book.create(ALICE, "{BLF-CRYPT}hash", 20_000)
    book.record_logins([ALICE], 20_001)
    book.close()
    mailbox = tmp_path / "mail" / ALICE / "Maildir" / "new"
    mailbox.mkdir(parents=True)
    (mailbox / "1").write_bytes(b"x" * 5000)
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return str(path)


def test_lists_accounts(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Days, size and address; never a hash."""
    assert main(["--config", config, "accounts", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["2024-10-04", "2024-10-05", "8.0", "KiB", ALICE]
    assert len(lines) == 2


def test_shows_one_account_for_programs(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts as JSON, whatever the case the address was typed in."""
    assert main(["--config", config, "accounts", "show", ALICE.upper(), "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["address"] == ALICE
    assert answer["last_login"] == "2024-10-05"
    assert answer["size"] == 8192
    assert "password" not in answer


def test_an_unknown_account_is_one_sentence(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It did not work: exit code 1."""
    assert main(["--config", config, "accounts", "show", "nobody@chat.example.org"]) == 1
    assert capsys.readouterr().err == (
        "chatmail accounts: there is no account nobody@chat.example.org\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["statsu"], "did you mean `status`?"),
        (["acounts", "list"], "did you mean `accounts`?"),
        ([], "required: COMMAND"),
        (["accounts"], "required: ACTION"),
        (["status", "--jsno"], "did you mean `--json`?"),
        (["dns", "--zzz"], "unrecognized arguments: --zzz"),
        (["accounts", "lsit"], "did you mean `list`?"),
        (["accounts", "show"], "required: ADDRESS"),
    ],
)
def test_a_mistyped_command_is_told_apart(arguments: list[str], sentence: str) -> None:
    """Exit code 2, a hint and the usage."""
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from chatmaild.admin.cli import main; sys.exit(main())",
            *arguments,
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert sentence in result.stderr
    assert "usage: chatmail" in result.stderr


def test_help_loads_nothing_heavy() -> None:
    """`chatmail --help` on a Raspberry Pi should not take a second."""
    program = (
        "import sys\nfrom chatmaild.admin.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'cryptography', 'segno', 'aiohttp', 'dkim', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


def test_a_missing_configuration_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The commonest mistake: the command is run on another machine."""
    assert main(["--config", "/nowhere/chatmaild.json", "status"]) == 1
    assert capsys.readouterr().err == (
        "chatmail status: /nowhere/chatmaild.json: cannot be read: No such file or directory\n"
    )


def test_invite_is_a_link_and_its_code(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One for the chat, one for the camera."""
    assert main(["--config", config, "invite"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "DCACCOUNT:https://chat.example.org/new"
    assert len(lines) > 15


def test_invite_of_a_self_signed_relay_makes_one_account(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A client could not ask its endpoint over verified HTTPS."""
    settings["certificate"]["source"] = "self-signed"
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    assert main(["--config", str(path), "invite"]) == 0
    assert capsys.readouterr().out.startswith("dclogin:")


def test_certificate_is_made_in_self_signed_mode_only(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere it would overwrite a real one."""
    assert main(["--config", config, "certificate"]) == 1
    assert "`certificate.source` is `acme`" in capsys.readouterr().err


def test_status_fails_when_something_is_wrong(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is for monitoring; every line says what it is about."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert main(["--config", config, "status", "--json"]) == 1

    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["accounts"] == {"name": "accounts", "ok": True, "text": "1"}
    assert checks["units"]["text"] == "`systemctl` is not installed"
    assert not checks["certificate"]["ok"]
    assert not checks["DKIM key"]["ok"]


@pytest.mark.parametrize(
    ("hours", "change", "ok", "says"),
    [
        (5, {}, True, "UTC: removed 12 messages (3.0 MiB), 1 idle accounts"),
        (5, {"held": True}, True, "nothing by its age, for the relay was away"),
        (5, {"fault": "7 mailboxes could not be read"}, False, "UTC: 7 mailboxes could not be"),
        (60, {}, False, "last ran"),
    ],
)
def test_status_says_when_expiry_last_ran(
    config: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    hours: int,
    change: dict[str, Any],
    ok: bool,
    says: str,
) -> None:
    """A timer that no longer comes shows in nothing else until the disk is full."""
    at = int(time.time()) - hours * 3600
    last = Record(
        at, 12, 3_145_728, 1, 0, 4.5, held=False, fault="", stored_messages=3, stored_bytes=900
    )
    write(tmp_path / "expired.json", dataclasses.replace(last, **change))
    main(["--config", config, "status", "--json"])

    [found] = [one for one in json.loads(capsys.readouterr().out) if one["name"] == "expiry"]
    assert (found["ok"], says in found["text"]) == (ok, True), found


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 9, '{"at": 5}'])
def test_status_names_a_record_that_is_none(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """A half-restored directory must not end in a traceback."""
    (tmp_path / "expired.json").write_text(text)
    main(["--config", config, "status"])

    assert "expired.json: is no record of a night" in capsys.readouterr().out


SHOWN = """\
Id=postfix.service
LoadState=loaded
ActiveState=active
SubState=running
Type=forking
Result=success

Id=chatmail-certificate.service
LoadState=loaded
ActiveState=inactive
SubState=dead
Type=oneshot
Result=success

Id=nginx.service
LoadState=loaded
ActiveState=failed
SubState=failed
Type=notify
Result=exit-code

Id=absent.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""


def test_a_unit_is_judged_by_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A oneshot that has done its work is well although it does not run."""
    monkeypatch.setattr(status, "_output", lambda _: SHOWN)

    checks = status.units(["postfix.service", "certificate", "nginx.service", "absent.service"])

    assert [(check.ok, check.text) for check in checks] == [
        (True, "active (running)"),
        (True, "inactive (dead)"),
        (False, "failed (failed)"),
        (False, "not-found"),
    ]
