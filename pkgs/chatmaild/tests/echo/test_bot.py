import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chatmaild.echo.bot import MAX_PEOPLE, MAX_TEXT, NO_TEXT, Allowance, Echo, Incoming, forget_old

HELLO = Incoming(10, "Hello", encrypted=True, from_bot=False, is_info=False, one_to_one=True)


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Hand over the clock of the bot."""
    return Clock()


@pytest.fixture
def echo(clock: Clock) -> Echo:
    """Hand over a bot on a relay with the usual limit."""
    return Echo(60, clock)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Hello", "Hello"), ("ä\n🙂", "ä\n🙂"), ("", NO_TEXT), ("x" * 9000, "x" * MAX_TEXT)],
)
def test_repeats_what_it_is_told(echo: Echo, text: str, answer: str) -> None:
    """Whole, up to a length; and a picture deserves an answer, too."""
    assert echo.answer(dataclasses.replace(HELLO, text=text)) == answer


@pytest.mark.parametrize(
    "other", [{"encrypted": False}, {"from_bot": True}, {"is_info": True}, {"one_to_one": False}]
)
def test_is_silent_where_an_answer_would_do_harm(echo: Echo, other: dict[str, Any]) -> None:
    """Two bots would go on for ever, a group has not asked, cleartext would be refused."""
    assert echo.answer(dataclasses.replace(HELLO, **other)) is None


def test_one_person_cannot_take_all_answers(echo: Echo, clock: Clock) -> None:
    """Ten at once, then one every six seconds; meanwhile others are answered."""
    answers = [echo.answer(HELLO) for _ in range(30)]
    assert sum(answer is not None for answer in answers) == 10
    assert echo.answer(dataclasses.replace(HELLO, sender=11)) == "Hello"

    clock.now += 6
    assert echo.answer(HELLO) == "Hello"
    assert echo.answer(HELLO) is None


def test_stays_below_what_the_relay_lets_it_send(echo: Echo) -> None:
    """Above that limit answers would pile up, to arrive much later."""
    people = [dataclasses.replace(HELLO, sender=number) for number in range(100)]

    assert sum(echo.answer(message) is not None for message in people) == 30


def test_remembers_a_bounded_number_of_people(clock: Clock) -> None:
    """Memory is not a stranger's to fill; who has been silent for a minute is forgotten first."""
    allowance = Allowance(10, clock)
    assert all(allowance.take(number) for number in range(MAX_PEOPLE))
    assert not allowance.take(MAX_PEOPLE)
    assert allowance.take(0)

    clock.now += 60
    assert allowance.take(MAX_PEOPLE)


class FakeChat:
    """A chat with a last message."""

    def __init__(self, last: float) -> None:
        """Note the time of it."""
        self.last = last
        self.forgotten = False

    def last_activity(self) -> float:
        """Tell it."""
        return self.last

    def forget(self) -> None:
        """Note it."""
        self.forgotten = True


def test_forgets_chats_after_an_hour() -> None:
    """With their people; a chat of now stays."""
    chats = [FakeChat(0), FakeChat(6399), FakeChat(6401), FakeChat(9999)]

    assert forget_old(chats, 10_000) == 2
    assert [chat.forgotten for chat in chats] == [True, True, False, False]


def test_nothing_of_core_is_needed_to_decide() -> None:
    """Core is a program of others; what the bot does is decided without it."""
    source = Path(__file__).parents[2] / "src/chatmaild/echo/bot.py"

    assert "deltachat" not in source.read_text()
