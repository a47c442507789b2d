"""A record, a missing record and a missing answer are three different results."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from chatmaild.signatures.resolver import lookup_txt
from chatmaild.signatures.verifying import KeyUnavailableError

NAME = "sel._domainkey.other.example."
Answer = Callable[[dns.message.Message], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """Return a function that starts a name server which fills in each answer as given."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def configure(self: Any, path: str | Path = "") -> None:
        self.nameservers = ["127.0.0.1"]
        self.port = server.getsockname()[1]

    def answer_all(fill: Answer) -> None:
        while True:
            query, peer = server.recvfrom(4096)
            if query == b"stop":
                return
            response = dns.message.make_response(dns.message.from_wire(query))
            fill(response)
            server.sendto(response.to_wire(), peer)

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", configure)
    threads: list[threading.Thread] = []

    def begin(fill: Answer) -> None:
        threads.append(threading.Thread(target=answer_all, args=(fill,)))
        threads[0].start()

    yield begin
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"stop", server.getsockname())
    for thread in threads:
        thread.join()
    server.close()


def test_joins_the_strings_of_a_record(serve: Callable[[Answer], None]) -> None:
    """Keys are longer than one string of 255 octets (RFC 6376 3.6.2.2)."""
    serve(
        lambda response: response.answer.append(
            dns.rrset.from_text(NAME, 60, "IN", "TXT", '"v=DKIM1; p=AB" "CD"', '"other"')
        )
    )

    assert sorted(lookup_txt(NAME, 5)) == [b"other", b"v=DKIM1; p=ABCD"]


def test_follows_a_cname(serve: Callable[[Answer], None]) -> None:
    """Many domains point their selectors to a provider's."""

    def fill(response: dns.message.Message) -> None:
        response.answer.append(dns.rrset.from_text(NAME, 60, "IN", "CNAME", "k.provider.example."))
        response.answer.append(
            dns.rrset.from_text("k.provider.example.", 60, "IN", "TXT", '"p=AB"')
        )

    serve(fill)
    assert lookup_txt(NAME, 5) == [b"p=AB"]


@pytest.mark.parametrize("code", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
def test_a_missing_record_is_an_answer(
    serve: Callable[[Answer], None], code: dns.rcode.Rcode
) -> None:
    """Without a key there is no valid signature, now or later."""
    serve(lambda response: response.set_rcode(code))

    assert lookup_txt(NAME, 5) == []


def test_a_server_failure_is_no_answer(serve: Callable[[Answer], None]) -> None:
    """SERVFAIL is temporary, so the mail must wait."""
    serve(lambda response: response.set_rcode(dns.rcode.SERVFAIL))

    with pytest.raises(KeyUnavailableError):
        lookup_txt(NAME, 5)


@pytest.mark.usefixtures("serve")
def test_silence_is_no_answer() -> None:
    """No server answers, and the time limit is kept."""
    with pytest.raises(KeyUnavailableError):
        lookup_txt(NAME, 0.2)


def test_no_time_left_is_no_answer() -> None:
    """Earlier look-ups may have used it up."""
    with pytest.raises(KeyUnavailableError):
        lookup_txt(NAME, 0)


@pytest.mark.parametrize("name", ["a" * 64 + "._domainkey.other.example.", "a." * 130])
def test_an_impossible_name_has_no_record(name: str) -> None:
    """Strangers choose the selector."""
    assert lookup_txt(name, 5) == []
