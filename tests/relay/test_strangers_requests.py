"""Requests by which a stranger could fill the memory or the journal of a relay."""

from __future__ import annotations

import gzip
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from people.broken import pid
from people.dialogue import SECONDS, insecure
from people.imap import logged_in
from people.people import Person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

BOMB = gzip.compress(b"\0" * 32_000_000)
"""32 KB that become 32 MB."""
AT_ONCE = 20
AGAIN = 200
MAX_GROWTH = 50 * 1024
"""KiB that a daemon may take for it."""
MAX_LINES = 100
"""Lines of the journal in a minute, from all that happens below."""
DAEMONS = ("accounts", "filter", "tls", "web")
MAIL = {"X-MAIL-FROM": "a@stranger.test", "X-MAIL-TO": "b@stranger.test"}


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A separate relay with fresh daemons."""
    return lab.relay("_attacked.test")


def peak(relay: Relay, name: str) -> int:
    """Return the highest memory usage of a daemon so far, in KiB (proc_pid_status(5))."""
    number = pid(relay, f"chatmail-{name}.service")
    shown = relay.machine.run(["grep", "VmHWM", f"/proc/{number}/status"]).out
    return int(shown.split()[1])


def posts(relay: Relay, path: str, headers: Mapping[str, str], body: bytes, count: int) -> set[int]:
    """
    Send a request repeatedly, on one connection while it lasts; return the statuses.

    0 stands for a connection that was closed before the request was complete.
    """
    found = set()
    connection = http.client.HTTPSConnection(relay.domain, timeout=SECONDS, context=insecure())
    for _ in range(count):
        try:
            connection.putrequest("POST", path)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            response = connection.getresponse()
            response.read()
            found.add(response.status)
        except (OSError, http.client.HTTPException):
            found.add(0)
            connection.close()
    connection.close()
    return found


def test_a_compressed_body_is_not_unpacked(relay: Relay) -> None:
    """20 requests of 32 KB once took 700 MB of memory."""
    Person.on(relay)
    before = {name: peak(relay, name) for name in DAEMONS}
    headers = {**MAIL, "Content-Encoding": "gzip"}

    with ThreadPoolExecutor(AT_ONCE) as strangers:
        found = list(
            strangers.map(lambda _: posts(relay, "/mxdeliv", headers, BOMB, 1), range(5 * AT_ONCE))
        )

    grown = {name: peak(relay, name) - before[name] for name in DAEMONS}
    assert {name: size for name, size in grown.items() if size > MAX_GROWTH} == {}
    assert 415 in set().union(*found) <= {0, 415, 429, 503}


def test_strangers_do_not_fill_the_journal(relay: Relay) -> None:
    """200 requests once wrote 17,800 lines; refused SETMETADATA wrote one each, 375 a second."""
    person = Person.on(relay)
    cursor = relay.machine.cursor()

    assert 415 in posts(relay, "/mxdeliv", {**MAIL, "Content-Encoding": "gzip"}, b"no", AGAIN)
    assert 401 in posts(relay, "/delete", {"Authorization": "Basic YUB\xf3"}, b"", 8)
    assert posts(relay, "/new?t=%f3%ff", {}, b"", 5) == {200}
    with logged_in(person) as imap:
        said = imap.answer('SETMETADATA INBOX (/private/devicetoken "not a token")')
        assert said[-1].startswith("a NO")
        for number in range(AGAIN):
            imap.answer(f'SETMETADATA INBOX (/private/vendor/x/{number} "refused")')
            imap.answer('SETMETADATA INBOX (/private/devicetoken "not a token")')
        assert "NIL" in imap.answer("GETMETADATA INBOX /private/devicetoken")[0]

    relay.machine.run(["journalctl", "--sync"])
    shown = relay.machine.run(["journalctl", "--output=json", f"--after-cursor={cursor}"]).out
    lines = [json.loads(line) for line in shown.splitlines()]
    assert len(lines) <= MAX_LINES, [line.get("MESSAGE") for line in lines[:20]]
