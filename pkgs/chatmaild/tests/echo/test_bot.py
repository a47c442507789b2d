import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chatmaild.echo.bot import MAX_TEXT, NO_TEXT, EchoPolicy, Received, forget_old

HELLO = Received(10, "Hello", encrypted=True, from_bot=False, is_info=False, one_to_one=True)


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the bot's clock."""
    return Clock()


@pytest.fixture
def echo(clock: Clock) -> EchoPolicy:
    """Return a bot on a relay with the default limit."""
    return EchoPolicy(60, clock)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Hello", "Hello"), ("ä\n🙂", "ä\n🙂"), ("", NO_TEXT), ("x" * 9000, "x" * MAX_TEXT)],
)
def test_repeats_messages(echo: EchoPolicy, text: str, answer: str) -> None:
    """The text is repeated up to a maximum length, and a picture gets an answer too."""
    assert echo.answer(dataclasses.replace(HELLO, text=text)) == answer


@pytest.mark.parametrize(
    "other", [{"encrypted": False}, {"from_bot": True}, {"is_info": True}, {"one_to_one": False}]
)
def test_is_silent_where_an_answer_would_do_harm(echo: EchoPolicy, other: dict[str, Any]) -> None:
    """Two bots would never stop, a group has not asked, and cleartext would be refused."""
    assert echo.answer(dataclasses.replace(HELLO, **other)) is None


def test_one_person_cannot_take_all_answers(echo: EchoPolicy, clock: Clock) -> None:
    """A sender gets ten answers at once, then one every six seconds; others are not affected."""
    answers = [echo.answer(HELLO) for _ in range(30)]
    assert sum(answer is not None for answer in answers) == 10
    assert echo.answer(dataclasses.replace(HELLO, sender=11)) == "Hello"

    clock.now += 6
    assert echo.answer(HELLO) == "Hello"
    assert echo.answer(HELLO) is None


def test_stays_below_the_relays_sending_limit(echo: EchoPolicy) -> None:
    """Above that limit, answers would queue up and arrive much later."""
    people = [dataclasses.replace(HELLO, sender=number) for number in range(100)]

    assert sum(echo.answer(message) is not None for message in people) == 30


class FakeChat:
    """A chat with a time of its last message."""

    def __init__(self, last: float) -> None:
        """Note the time of it."""
        self.last = last
        self.forgotten = False

    def last_activity(self) -> float:
        """Return the time."""
        return self.last

    def forget(self) -> None:
        """Record the call."""
        self.forgotten = True


def test_forgets_chats_after_an_hour() -> None:
    """Their contacts are deleted too; a current chat stays."""
    chats = [FakeChat(0), FakeChat(6399), FakeChat(6401), FakeChat(9999)]

    assert forget_old(chats, 10_000) == 2
    assert [chat.forgotten for chat in chats] == [True, True, False, False]


def test_decisions_do_not_need_core() -> None:
    """The bot's policy can be tested without Delta Chat core."""
    source = Path(__file__).parents[2] / "src/chatmaild/echo/bot.py"

    assert "deltachat" not in source.read_text()
