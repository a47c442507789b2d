"""Milter packets, split at any point, or wrong in any way."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.postfix import milter_protocol
from chatmaild.postfix.milter_protocol import MilterProtocolError, Reader

PACKETS = st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=40)), max_size=8)


@given(PACKETS, st.lists(st.integers(min_value=0, max_value=400), max_size=12))
def test_packets_do_not_depend_on_chunks(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """A stream has no packet boundaries; a chunk may end within the next packet's length."""
    stream = b"".join(milter_protocol.packet(command, data) for command, data in sent)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = Reader()
    got = [
        one for start, end in itertools.pairwise(places) for one in reader.feed(stream[start:end])
    ]

    assert got == [(command[0], data) for command, data in sent]


def test_the_largest_packet_may_arrive_octet_by_octet() -> None:
    """It is assembled once, not again with every chunk."""
    data = b"x" * (milter_protocol.MAX_PACKET_BYTES - 1)
    reader = Reader()
    stream = milter_protocol.packet(b"B", data) + milter_protocol.packet(b"E")
    got = [one for at in range(len(stream)) for one in reader.feed(stream[at : at + 1])]

    assert got == [(milter_protocol.BODY, data), (milter_protocol.END, b"")]


@pytest.mark.parametrize(
    "length", [0, milter_protocol.MAX_PACKET_BYTES + 1, 0xFFFFFFFF, 0x47455420]
)
def test_an_impossible_length_is_an_error_at_once(length: int) -> None:
    """The filter never waits for, or stores, more than Postfix can send."""
    with pytest.raises(MilterProtocolError, match=f"a packet of {length} octets"):
        list(Reader().feed(length.to_bytes(4)))


def test_asks_postfix_for_what_it_needs_and_no_more() -> None:
    """The answer has the same format as the offer."""
    answer = milter_protocol.negotiated(struct.pack("!III", 6, 0x1FF, 0x1FFFFF) + b"future")
    [(command, data)] = Reader().feed(answer)

    assert (command, *struct.unpack("!III", data)) == (ord("O"), 6, 0x53, 0x1853C2)


@pytest.mark.parametrize(
    ("version", "actions", "options"),
    [(2, 0x1FF, 0x1FFFFF), (6, 0x01, 0x1FFFFF), (6, 0x1FF, 0x7F)],
)
def test_does_not_run_without_all_features(version: int, actions: int, options: int) -> None:
    """The filter cannot work with a mail server that does not let it delete fields."""
    with pytest.raises(MilterProtocolError, match="is not enough"):
        milter_protocol.negotiated(struct.pack("!III", version, actions, options))


def test_an_offer_has_three_numbers() -> None:
    """Otherwise the error names what is missing."""
    with pytest.raises(MilterProtocolError, match="too short"):
        milter_protocol.negotiated(b"\0\0\0\6")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", {}),
        (b"{daemon_name}\0submission\0", {b"{daemon_name}": b"submission"}),
        (b"i\0\0{auth_authen}\0a b\0", {b"i": b"", b"{auth_authen}": b"a b"}),
    ],
)
def test_reads_macros(data: bytes, said: dict[bytes, bytes]) -> None:
    """A value may be empty."""
    assert milter_protocol.macros(data) == said


@pytest.mark.parametrize("data", [b"x", b"x\0", b"x\0y", b"x\0y\0z\0"])
def test_an_incomplete_macro_is_an_error_without_its_text(data: bytes) -> None:
    """The macro could be a user's login."""
    with pytest.raises(MilterProtocolError) as refused:
        milter_protocol.macros(data)

    assert not {"x", "y", "z"} & set(str(refused.value).replace("macro", "").split())


@pytest.mark.parametrize(
    ("data", "client"),
    [
        (b"unknown\x004\x12\x67192.0.2.9\0", ("192.0.2.9", 4711)),
        (b"name\x006\0\x192001:db8::9\0", ("2001:db8::9", 25)),
        (b"localhost\x004\0\x00127.0.0.1\0", ("127.0.0.1", 0)),
        (b"localhost\0L\0\0/run/socket\0", None),
        (b"unknown\0U", None),
    ],
)
def test_reads_the_clients_address(data: bytes, client: tuple[str, int] | None) -> None:
    """Mail that did not arrive by SMTP has no address, or no port."""
    assert milter_protocol.client(data) == client


@pytest.mark.parametrize("data", [b"", b"name", b"name\0", b"name\x004\0\x19192.0.2.9"])
def test_a_client_without_an_address_is_an_error(data: bytes) -> None:
    """The address decides about mail from relays without a domain."""
    with pytest.raises(MilterProtocolError):
        milter_protocol.client(data)


def test_percent_signs_in_a_reply_are_escaped() -> None:
    """Postfix treats a single percent sign as an error of the filter."""
    assert milter_protocol.reply("500", "5.1.1 100%s") == b"\0\0\0\x12y500 5.1.1 100%%s\0"


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 200_000])
def test_a_new_body_comes_in_pieces(size: int) -> None:
    """Postfix closes the connection after a piece above 65,535 octets."""
    body = bytes(range(256)) * (size // 256 + 1)
    packets = list(
        milter_protocol.Reader().feed(b"".join(milter_protocol.replace_body(body[:size])))
    )

    assert {command for command, _ in packets} == {ord("b")}
    assert b"".join(data for _, data in packets) == body[:size]
    assert max(len(data) for _, data in packets) <= 65_535
