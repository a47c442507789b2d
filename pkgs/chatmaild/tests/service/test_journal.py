import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatmaild.service import journal
from running import environment

PROGRAM = """
import logging, os, threading
os.environ["JOURNAL_STREAM"] = "{0.st_dev}:{0.st_ino}".format(os.fstat(2))
from chatmaild.service import journal
journal.start()
"""


@pytest.fixture
def _journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make standard error look like under systemd."""
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")


def written_by(program: str) -> list[str]:
    """Run a program that logs to the journal; return its lines."""
    command = [sys.executable, "-c", PROGRAM + program]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    return ended.stderr.splitlines()


@pytest.mark.usefixtures("_journal")
@pytest.mark.parametrize(
    ("level", "priority"), [("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 3)]
)
def test_each_level_has_its_priority(level: str, priority: int) -> None:
    """The numbers are those of syslog(3). The journal shows them as colours."""
    record = logging.makeLogRecord(
        {"levelno": logging.getLevelName(level), "msg": "two\n%s", "args": ("lines",)}
    )

    assert journal.Formatter().format(record) == f"<{priority}>two\n<{priority}>lines"


def test_a_terminal_shows_no_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started by a unit may also redirect its standard error."""
    for value in ("", "8:1"):
        monkeypatch.setenv("JOURNAL_STREAM", value)

        assert journal.with_priority("sentence") == "sentence"


@pytest.mark.parametrize(
    "program",
    [
        "1 / 0",
        "one = threading.Thread(target=lambda: 1 / 0); one.start(); one.join()",
        "try: 1 / 0\nexcept ZeroDivisionError: logging.exception('sentence')",
    ],
    ids=["at the top", "in a thread", "logged"],
)
def test_every_line_of_a_traceback_is_an_error(program: str) -> None:
    """The journal treats each line as a separate message."""
    lines = written_by(program)

    assert lines[-1] == "<3>ZeroDivisionError: division by zero"
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)


def test_a_flood_of_lines_is_counted_instead_of_written() -> None:
    """A stranger who causes a line must not fill the journal; other lines are not affected."""
    now = 0.0
    limit = journal.Limit(lambda: now)

    def passed(line: int, exc_info: object = None) -> str | None:
        record = logging.makeLogRecord(
            {"pathname": "a.py", "lineno": line, "msg": "said %d", "args": (1,)}
        )
        record.exc_info = exc_info  # type: ignore[assignment]
        verdict = limit.filter(record)
        if isinstance(verdict, logging.LogRecord):
            return verdict.getMessage()
        return record.getMessage() if verdict else None

    assert [passed(7) for _ in range(1000)].count("said 1") == 5
    assert passed(8) == "said 1"
    now += 12
    assert passed(7) == "said 1 (995 more were not logged)"
    assert [passed(9, (None, None, None)) for _ in range(10)] == ["said 1"] + [None] * 9


def test_a_daemon_ends_with_an_error(tmp_path: Path) -> None:
    """Its last sentence, for the operator, is not a log record."""
    path = tmp_path / "absent.json"
    program = f"""
from chatmaild.service import daemon
daemon.run("chatmail-x", "", lambda _: None, (), ["--config", "{path}"])
"""

    assert written_by(program) == [
        f"<3>chatmail-x: {path}: cannot be read: No such file or directory"
    ]
