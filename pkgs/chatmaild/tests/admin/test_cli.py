import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import segno

import chatmaild
from chatmaild.admin import cli
from chatmaild.admin.cli import main
from chatmaild.book.accounts import Book
from running import environment

ALICE = "alice1234@chat.example.org"


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> str:
    """Provide a configuration whose relay has one account."""
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
    """With days, size and address, but without hashes."""
    assert main(["--config", config, "accounts", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["2024-10-04", "2024-10-05", "8.0", "KiB", ALICE]
    assert len(lines) == 2


def test_shows_one_account_for_programs(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts as JSON; the case of the typed address does not matter."""
    assert main(["--config", config, "accounts", "show", ALICE.upper(), "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["address"] == ALICE
    assert answer["last_login"] == "2024-10-05"
    assert answer["size"] == 8192
    assert "password" not in answer


def test_several_accounts_are_shown_and_an_unknown_one_is_named(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is one object per line, and a failure does not hide the others."""
    addresses = ["nobody@chat.example.org", ALICE, ALICE]
    assert main(["--config", config, "accounts", "show", *addresses, "--json"]) == 1

    said = capsys.readouterr()
    assert [json.loads(line)["address"] for line in said.out.splitlines()] == [ALICE]
    assert said.err == "chatmail accounts: there is no account nobody@chat.example.org\n"


def test_an_unknown_account_is_one_sentence(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command failed, so the exit code is 1."""
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
        (["accounts", "lsit"], "did you mean `list`?"),
        (["accounts", "show"], "required: ADDRESS"),
        (["accounts", "block"], "required: ADDRESS"),
        (["accounts", "cleartext", "a@b", "allwo"], "did you mean `allow`?"),
        (["invites", "remove", "0"], "invalid number value: '0'"),
    ],
)
def test_a_mistyped_command_has_its_own_exit_code(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with a hint and the usage."""
    said = refused(capsys, *arguments)

    assert sentence in said
    assert "usage: chatmail" in said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("status --jsno", "chatmail status: unknown option `--jsno`; did you mean `--json`?"),
        ("dns --chekc", "chatmail dns: unknown option `--chekc`; did you mean `--check`?"),
        ("dns --sever ns1", "chatmail dns: unknown option `--sever`; did you mean `--server`?"),
        ("dns --sever=ns1", "chatmail dns: unknown option `--sever`; did you mean `--server`?"),
        ("dns --zzz", "chatmail dns: unknown option `--zzz`"),
        ("dns now", "chatmail dns: unexpected argument `now`"),
        (
            "expire --dryrun",
            "chatmail expire: unknown option `--dryrun`; did you mean `--dry-run`?",
        ),
        (
            "invites add --coment x",
            "chatmail invites add: unknown option `--coment`; did you mean `--comment`?",
        ),
        ("invite --json", "chatmail invite: unknown option `--json`"),
        ("--confg x status", "chatmail: unknown option `--confg`; did you mean `--config`?"),
        ("accounts show a@b --jsn", "chatmail accounts show: unknown option `--jsn`; did you"),
    ],
)
def test_a_hint_is_an_option_of_the_command_that_was_typed(
    line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hints once came from a fixed list, so that `dns --chekc` suggested `--help`."""
    first, usage = refused(capsys, *line.split()).split("\n", 1)

    assert first.startswith(sentence)
    assert "`" not in first.removeprefix(sentence) or sentence.endswith("did you")
    assert usage.startswith(f"usage: {first.partition(':')[0]} ")


@pytest.mark.parametrize(
    "words",
    ["--key-file x", "--server x", "--update", "--update --server x", "--update --key-file x"],
)
def test_options_that_do_nothing_alone_are_refused(
    config: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dns --key-file x` once printed the zone, and the operator thought that it was sent."""
    said = refused(capsys, "--config", config, "dns", *words.split())

    assert "--update" in said
    assert "--server and --key-file" in said


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Mistype a command; return the output."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments])

    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    return said.err


def chatmail(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a separate process."""
    program = "import sys; from chatmaild.admin.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("line", ["accounts list", "dns --help", "--version"])
def test_output_that_cannot_be_written_is_one_sentence(config: str, line: str) -> None:
    """A full disk behind `>` once caused a traceback, and help ended with exit code 120."""
    with Path("/dev/full").open("w") as full:
        result = chatmail("--config", config, *line.split(), stdout=full)

    assert result.stderr == ("chatmail: the output cannot be written: No space left on device\n")
    assert result.returncode == 1


def test_a_reader_that_has_enough_is_no_error(config: str) -> None:
    """`chatmail accounts list | head -1` prints one line without a warning."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        assert chatmail("--config", config, "accounts", "list", stdout=pipe).stderr == ""


def test_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Fault reports start with it."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"chatmail {chatmaild.__version__}\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its own summary and options."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: chatmail {command} ")
    assert cli.COMMANDS[command].HELP[1:] in " ".join(said.split())


@pytest.mark.parametrize("line", ["--help", "dns --help", "dns --chekc"])
def test_help_loads_nothing_heavy(line: str) -> None:
    """`chatmail --help` must not take a second on a Raspberry Pi."""
    program = (
        "import sys\nfrom chatmaild.admin.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'cryptography', 'segno', 'aiohttp', 'dns', 'dkim', 'asyncio', 'sqlite3', 'ssl'}\n"
        "sys.exit(str(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *line.split()],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stderr.splitlines()[-1] == "set()"


def test_a_missing_configuration_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The most common mistake is to run the command on another machine."""
    assert main(["--config", "/nowhere/chatmaild.json", "status"]) == 1
    assert capsys.readouterr().err == (
        "chatmail status: /nowhere/chatmaild.json: cannot be read: No such file or directory\n"
    )


def test_invite_is_a_link_and_its_code(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One to paste into a chat, one for the camera."""
    assert main(["--config", config, "invite"]) == 0

    link, *drawn = capsys.readouterr().out.splitlines()
    assert link == "DCACCOUNT:https://chat.example.org/new"
    assert modules(drawn) == expected(link)


def modules(drawn: list[str]) -> list[list[int]]:
    """Decode the printed code as a camera sees it: 1 is black, whatever the terminal's colours."""
    rows: list[list[int]] = []
    for line in drawn:
        shown = re.fullmatch("\x1b\\[38;5;16;48;5;231m([ ▀▄█]+)\x1b\\[0m", line)
        assert shown, line
        rows += [[int(half in "▀█") for half in shown[1]], [int(half in "▄█") for half in shown[1]]]
    return rows


def expected(text: str) -> list[list[int]]:
    """Return the modules of a text's code with its border, padded to an even number of rows."""
    rows = [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=4)]
    return rows if len(rows) % 2 == 0 else [*rows, [0] * len(rows[0])]


def test_invite_of_a_self_signed_relay_makes_one_account(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A client could not request one over verified HTTPS."""
    settings["certificate"]["source"] = "self-signed"
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    assert main(["--config", str(path), "invite"]) == 0
    assert capsys.readouterr().out.startswith("dclogin:")


def test_certificate_is_made_in_self_signed_mode_only(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise it would overwrite a real one."""
    assert main(["--config", config, "certificate"]) == 1
    assert "is `self-signed`; it is `acme`" in capsys.readouterr().err


def test_status_fails_when_something_is_wrong(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is for monitoring. Every fault has a remedy, and the verdict is last."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert main(["--config", config, "status", "--json"]) == 1

    answer = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in answer["checks"]}
    assert checks["accounts"] == {"name": "accounts", "state": "ok", "text": "1", "remedy": ""}
    assert checks["units"]["state"] == "unknown"
    assert checks["certificate"]["state"] == "wrong"
    assert all(check["remedy"] for check in checks.values() if check["state"] == "wrong")

    assert main(["--config", config, "status"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert any(line.startswith("WRONG  certificate") for line in shown)
    assert shown[-1] == answer["verdict"]
