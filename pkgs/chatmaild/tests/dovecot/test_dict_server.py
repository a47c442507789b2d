import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from chatmaild.dovecot import dict_server
from chatmaild.dovecot.dict_protocol import Change, Set
from chatmaild.dovecot.dict_server import MAX_LINE_BYTES, DictRefusedError, DictServer

DEADLINE_SECONDS = 10

type Dialogue = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class FakeHandler:
    """Stores what is committed, and knows one key."""

    def __init__(self) -> None:
        """Start empty."""
        self.commits: list[tuple[str, Sequence[Change]]] = []

    async def lookup(self, key: str, user: str) -> str | None:
        """Never answer `hang`, refuse `forbidden`, and answer `known` with the user."""
        if key == "hang":
            await asyncio.Event().wait()
        if key == "forbidden":
            raise DictRefusedError("not for you")
        return user if key == "known" else None

    async def iterate(self, path: str, user: str) -> Sequence[tuple[str, str]]:
        """Return two rows."""
        return [(path + "a", user), (path + "b", user)]

    async def commit(self, user: str, changes: Sequence[Change]) -> None:
        """Store or refuse."""
        if any(isinstance(change, Set) and change.key == "forbidden" for change in changes):
            raise DictRefusedError("not for you")
        self.commits.append((user, list(changes)))


@pytest.fixture
def handler() -> FakeHandler:
    """Return the handler of the server."""
    return FakeHandler()


def converse(
    tmp_path: Path,
    handler: FakeHandler,
    dialogue: Dialogue,
    *,
    idle_seconds: float = 600,
    answer_seconds: float = 5,
    max_connections: int = 100,
) -> None:
    """Run one dialogue with a server on a real socket."""

    async def run() -> None:
        path = tmp_path / "dict.sock"
        server = DictServer(
            handler,
            idle_seconds=idle_seconds,
            answer_seconds=answer_seconds,
            max_connections=max_connections,
        )
        listener = await asyncio.start_unix_server(server.serve, path, limit=MAX_LINE_BYTES)
        async with listener, asyncio.timeout(DEADLINE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            await dialogue(reader, writer)
            writer.close()

    asyncio.run(run())


def test_answers_several_commands_of_one_connection(tmp_path: Path, handler: FakeHandler) -> None:
    """Dovecot 2.4.5 keeps connections open, and sends a whole transaction in one packet."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"H4\t0\t0\t\tmetadata\nB1\tu\t0\nS1\tk\tv\nC1\nLknown\tu\nLother\tu\n")
        assert await reader.readline() == b"O1\n"
        assert await reader.readline() == b"Ou\n"
        assert await reader.readline() == b"N\n"
        writer.write(b"I1\t0\tp/\tu\n")
        assert await reader.readuntil(b"\n\n") == b"Op/a\tu\nOp/b\tu\n\n"
        writer.write(b"I1\t1\tp/\tu\n")
        assert await reader.readuntil(b"\n\n") == b"Op/a\tu\n\n"

    converse(tmp_path, handler, dialogue)

    assert handler.commits == [("u", [Set(1, "k", "v")])]


def test_interleaved_transactions_keep_their_users(tmp_path: Path, handler: FakeHandler) -> None:
    """A transaction belongs to the user who began it, and a rolled back one has no effect."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"B1\talice\t0\nB2\tbob\t0\nB3\teve\t0\nS2\tk\t2\nS1\tk\t1\nR3\nC2\nC1\n")
        assert await reader.readline() == b"O2\n"
        assert await reader.readline() == b"O1\n"

    converse(tmp_path, handler, dialogue)

    assert handler.commits == [("bob", [Set(2, "k", "2")]), ("alice", [Set(1, "k", "1")])]


def test_a_refusal_keeps_the_connection(tmp_path: Path, handler: FakeHandler) -> None:
    """One client's bad value must not cost Dovecot its connection."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"B1\tu\t0\nS1\tforbidden\tv\nC1\nLforbidden\tu\nC9\nLknown\tu\n")
        assert await reader.readline() == b"F1\tnot for you\n"
        assert await reader.readline() == b"Fnot for you\n"
        assert await reader.readline() == b"F9\tno such transaction is open\n"
        assert await reader.readline() == b"Ou\n"

    converse(tmp_path, handler, dialogue)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"\n", b"an unknown command letter"),
        (b"GET / HTTP/1.1\r\n", b"an unknown command letter"),
        (b"Lkey\n", b"too few fields"),
        (b"S7\tk\tv\n", b"no open transaction"),
        (b"B1\tu\nB1\tu\n", b"begun twice"),
        (b"H5\t0\t0\t\tx\n", b"a major version other"),
        (b"".join(b"B%d\tu\n" % n for n in range(17)), b"too many transactions"),
        (b"L" + b"x" * (MAX_LINE_BYTES + 1), b"too long"),
    ],
)
def test_a_protocol_error_closes_the_connection(
    tmp_path: Path, handler: FakeHandler, line: bytes, sentence: bytes
) -> None:
    """A client out of sync cannot recover; its next connection starts afresh."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        answer = await reader.read()
        assert answer.startswith(b"F")
        assert sentence in answer
        assert answer.count(b"\n") == 1

    converse(tmp_path, handler, dialogue)

    assert handler.commits == []


def test_a_transaction_that_is_too_large_is_refused(tmp_path: Path, handler: FakeHandler) -> None:
    """Memory is limited by count and by size, whatever a client sends."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"B1\tu\t0\n" + b"S1\tk\tv\n" * (dict_server.MAX_CHANGES + 1) + b"C1\n")
        assert await reader.readline() == b"F1\tthe transaction is too large\n"
        writer.write(b"B2\tu\t0\n" + (b"S2\tk\t" + b"v" * 100_000 + b"\n") * 3 + b"C2\n")
        assert await reader.readline() == b"F2\tthe transaction is too large\n"

    converse(tmp_path, handler, dialogue)

    assert handler.commits == []


def test_a_slow_answer_becomes_a_failure(tmp_path: Path, handler: FakeHandler) -> None:
    """Dovecot would wait 30 to 65 seconds, and a client with it."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Lhang\tu\nLknown\tu\n")
        assert await reader.readline() == b"Fno answer in time\n"
        assert await reader.readline() == b"Ou\n"

    converse(tmp_path, handler, dialogue, answer_seconds=0.05)


def test_a_silent_connection_is_closed(tmp_path: Path, handler: FakeHandler) -> None:
    """A client that hangs must not hold a connection forever."""

    async def dialogue(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""

    converse(tmp_path, handler, dialogue, idle_seconds=0.05)


def test_connections_beyond_the_limit_are_closed(tmp_path: Path, handler: FakeHandler) -> None:
    """Connections that are already open keep working."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Lknown\tu\n")
        assert await reader.readline() == b"Ou\n"
        late, late_writer = await asyncio.open_unix_connection(tmp_path / "dict.sock")
        assert await late.read() == b""
        late_writer.close()
        writer.write(b"Lknown\tu\n")
        assert await reader.readline() == b"Ou\n"

    converse(tmp_path, handler, dialogue, max_connections=1)


def test_an_incomplete_line_is_ignored(tmp_path: Path, handler: FakeHandler) -> None:
    """A mail process that dies during a commit has not committed."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"B1\tu\t0\nS1\tk\tv\nC1")
        writer.write_eof()
        assert await reader.read() == b""

    converse(tmp_path, handler, dialogue)

    assert handler.commits == []
