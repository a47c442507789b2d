import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.dovecot import dict_protocol as protocol
from chatmaild.dovecot.dict_protocol import (
    Begin,
    Command,
    Commit,
    DictProtocolError,
    Hello,
    Increment,
    Iterate,
    Lookup,
    Rollback,
    Set,
    Timestamp,
    Unset,
)

numbers = st.integers(0, 2**32 - 1)
# Any bytes that a client can send, decoded as in the program.
texts = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
commands = st.one_of(
    st.builds(Hello, numbers, numbers, texts),
    st.builds(Lookup, texts, texts),
    st.builds(Iterate, numbers, numbers, texts, texts),
    st.builds(Begin, numbers, texts),
    st.builds(Set, numbers, texts, texts),
    st.builds(Unset, numbers, texts),
    st.builds(Increment, numbers, texts, st.integers(-(2**40), 2**40)),
    st.builds(Timestamp, numbers, numbers, numbers),
    st.builds(Commit, numbers),
    st.builds(Rollback, numbers),
)


def render(command: protocol.Command) -> bytes:
    """Print a command as Dovecot would, including the LF; `parse` reads it."""
    match command:
        case protocol.Hello(major, minor, name):
            return protocol._line("H", major, minor, 0, "", name)
        case protocol.Lookup(key, user):
            return protocol._line("L", key, user)
        case protocol.Iterate(flags, max_rows, path, user):
            return protocol._line("I", flags, max_rows, path, user)
        case protocol.Begin(transaction, user):
            return protocol._line("B", transaction, user, 0)
        case protocol.Set(transaction, key, value):
            return protocol._line("S", transaction, key, value)
        case protocol.Unset(transaction, key):
            return protocol._line("U", transaction, key)
        case protocol.Increment(transaction, key, difference):
            return protocol._line("A", transaction, key, difference)
        case protocol.Timestamp(transaction, seconds, nanoseconds):
            return protocol._line("T", transaction, seconds, nanoseconds)
        case protocol.Commit(transaction):
            return protocol._line("C", transaction)
        case protocol.Rollback(transaction):
            return protocol._line("R", transaction)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"H4\t0\t0\t\tmetadata", Hello(4, 0, "metadata")),
        (b"B1\tm1@t.example\t0", Begin(1, "m1@t.example")),
        (b"S1\tpriv/00ff/devicetoken\tfcm-1234", Set(1, "priv/00ff/devicetoken", "fcm-1234")),
        (b"C1", Commit(1)),
        (b"U3\tpriv/00ff/devicetoken", Unset(3, "priv/00ff/devicetoken")),
        (b"Lpriv/00ff/devicetoken\tm1@t.example", Lookup("priv/00ff/devicetoken", "m1@t.example")),
        (b"I9\t0\tpriv/00ff/\tm1@t.example", Iterate(9, 0, "priv/00ff/", "m1@t.example")),
        (b"S1\tk\ta\x01tb\x01nc\x011d\x01re\x010", Set(1, "k", "a\tb\nc\x01d\re\0")),
    ],
)
def test_reads_what_dovecot_writes(line: bytes, command: Command) -> None:
    """These lines were recorded from Dovecot 2.4.1 and 2.4.5."""
    assert protocol.parse(line) == command


@given(commands)
def test_reads_back_what_it_writes(command: Command) -> None:
    """No value can break out of its field or its line, whatever its bytes."""
    line = render(command)

    assert line.count(b"\n") == 1
    assert protocol.parse(line[:-1]) == command


@given(st.binary(max_size=200))
def test_any_line_is_a_command_or_one_error(line: bytes) -> None:
    """Random bytes must raise only the exception that the caller handles."""
    try:
        command = protocol.parse(line)
    except DictProtocolError:
        return

    assert protocol.parse(render(command)[:-1]) == command


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "starts with an unknown command letter"),
        (b"X1", "starts with an unknown command letter"),
        (b"Lkey", "command L has too few fields"),
        (b"S1\tkey", "command S has too few fields"),
        (b"Cone", "field 1 of command C is not a number"),
        (b"C", "field 1 of command C is not a number"),
        (b"C-1", "field 1 of command C is not a number"),
        (b"C" + b"9" * 5000, "field 1 of command C is not a number"),
        ("C\u0661".encode(), "field 1 of command C is not a number"),
        (b"Lkey\x01x\tuser", "unknown escape sequence"),
        (b"Lkey\tuser\x01", "unknown escape sequence"),
    ],
)
def test_says_what_is_wrong_without_repeating_it(line: bytes, sentence: str) -> None:
    """The sentence is logged, so it must contain no key, address or token."""
    with pytest.raises(DictProtocolError, match=sentence):
        protocol.parse(line)


def test_answers_have_the_form_dovecot_expects() -> None:
    """The answers are those of Dovecot's own dict server (dict-client.h)."""
    assert protocol.found("a\tb") == b"Oa\x01tb\n"
    assert protocol.not_found() == b"N\n"
    assert protocol.failed("no") == b"Fno\n"
    assert protocol.committed(3) == b"O3\n"
    assert protocol.commit_failed(3, "no") == b"F3\tno\n"
    assert protocol.iteration([("k", "v\n")]) == b"Ok\tv\x01n\n\n"
    assert protocol.iteration([]) == b"\n"
