"""Invalid input gets one error, and the daemon keeps running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from people.broken import ACCOUNTS, DOMAIN, SETTINGS, WEB, pid, talk
from people.dialogue import Dialogue, insecure

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay
    from people.people import Person

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay whose journal is searched for tracebacks of these tests."""
    return lab.relay(DOMAIN, SETTINGS)


MALFORMED_HTTP = {
    "no HTTP": b"EHLO client.test\r\n\r\n",
    "binary": bytes(range(256)),
    "endless line": b"POST /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
    "wrong length": b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n",
    "cut short": b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ngrant",
    "no form": b"POST /token HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\n\r\n%%%",
    "unknown path": b"GET /etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("words", MALFORMED_HTTP)
@pytest.mark.parametrize(("socket", "unit"), [("grantSocket", ACCOUNTS), ("webSocket", WEB)])
def test_malformed_http_gets_one_short_refusal(
    relay: Relay, socket: str, unit: str, words: str
) -> None:
    """The answer is one line with status 400 to 499, or nothing; the same process keeps running."""
    process = pid(relay, unit)
    answer = talk(relay, socket, MALFORMED_HTTP[words])
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer
    assert answer.count(b"HTTP/1.") <= 1
    assert len(answer) < 500
    assert talk(
        relay, socket, b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ).startswith(b"HTTP/1.1 404 ")
    assert pid(relay, unit) == process


MALFORMED_DICT = {
    "no protocol": b"GET / HTTP/1.1\r\n\r\n",
    "other version": b"H9\t0\t0\t\tmetadata\n",
    "commit of nothing": b"H4\t0\t0\t\tmetadata\nC7\n",
    "change of nothing": b"H4\t0\t0\t\tmetadata\nS7\tpriv/x\ty\n",
    "no number": b"H4\t0\t0\t\tmetadata\nBx\tuser\t0\n",
    "bad escape": b"H4\t0\t0\t\tmetadata\nLpriv/\x01z/devicetoken\tuser\n",
    "binary": bytes(range(256)) + b"\n",
    "endless line": b"L" + b"a" * 1000000,
}


@pytest.mark.parametrize("words", MALFORMED_DICT)
def test_malformed_dict_line_gets_one_error(relay: Relay, alice: Person, words: str) -> None:
    """Only that client gets the error; the same process continues to serve METADATA."""
    process = pid(relay, ACCOUNTS)
    answer = talk(relay, "dictSocket", MALFORMED_DICT[words])
    assert answer.count(b"\n") <= 1, answer
    assert answer[:1] in (b"", b"F", b"N"), answer
    assert pid(relay, ACCOUNTS) == process
    with Dialogue.connect(relay.address, 993, insecure()) as imap:
        imap.line()
        imap.answer(f'LOGIN "{alice.address}" "{alice.password}"')
        said = imap.answer('GETMETADATA "" /shared/vendor/deltachat/maxsmtprecipients')
    assert any("OK Getmetadata completed" in line for line in said), said


def test_no_daemon_showed_a_traceback(relay: Relay) -> None:
    """Runs after the tests above: bad input is not an error of the program."""
    journal = relay.machine.journal()
    assert "Traceback" not in journal
