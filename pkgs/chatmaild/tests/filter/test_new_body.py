"""The header of a rebuilt message says what the new body is, and nothing of the old one."""

import pytest

from chatmaild.filter import headers as cleaning
from chatmaild.filter.headers import Edit, Edited
from chatmaild.filter.new_body import retyped
from chatmaild.filter.policy import Kind
from chatmaild.message.structure import Header

NEW = b" multipart/encrypted; boundary=new"
HEADER: list[Header] = [
    (b"From", b" <a@b.example>"),
    (b"content-description", b" one"),
    (b"Content-TYPE", b" text/plain"),
    (b"User-Agent", b" x"),
    (b"Content-Description", b" two"),
    (b"Content-Transfer-Encoding", b" base64"),
]


def applied(header: list[Header], edits: list[Edit]) -> list[Header]:
    """Change a header as Postfix does: one edit after the other, each counting what is there."""
    fields = list(header)
    for edit in edits:
        places = [i for i, (name, _) in enumerate(fields) if name.lower() == edit.name.lower()]
        place = places[edit.index - 1]
        fields[place : place + 1] = [] if edit.value is None else [(fields[place][0], edit.value)]
    return fields


def test_only_the_new_type_is_left_of_what_described_the_old_body() -> None:
    """A transfer encoding of the old one would make the new one unreadable."""
    cleaned = cleaning.clean_submission(HEADER)
    made = retyped(HEADER, cleaned, NEW)

    assert applied(HEADER, made.edits) == [(b"From", b" <a@b.example>"), (b"Content-TYPE", NEW)]
    assert made.headers == [(b"From", b" <a@b.example>"), (b"Content-Type", NEW)]


def test_fields_that_go_anyhow_go_once() -> None:
    """Postfix would take a second edit of the same number for another field."""
    gone = [Edit(b"Content-Description", 2, None), Edit(b"content-description", 1, None)]
    changed = Edit(b"Content-Type", 1, b" text/html")
    kept = [field for field in HEADER if b"escription" not in field[0]]
    made = retyped(HEADER, Edited(kept, [*gone, changed]), NEW)

    assert (b"Content-TYPE", NEW) in applied(HEADER, made.edits)
    assert len(applied(HEADER, made.edits)) == 3
    assert len(made.edits) == len({(edit.name.lower(), edit.index) for edit in made.edits}) == 4


@pytest.mark.parametrize("covered", [None, {b"from": 1}, {b"from": 1, b"content-type": 9}])
def test_one_type_is_left_of_several(covered: dict[bytes, int] | None) -> None:
    """Incoming, the lowest was judged; signed or not, its value is the relay's now."""
    header = [(b"Content-Type", b" text/html"), *HEADER, (b"content-type", b" text/plain")]
    cleaned = cleaning.clean_incoming(header, covered, Kind.ENCRYPTED)
    made = retyped(header, cleaned, NEW)

    left = applied(header, made.edits)
    assert [value for name, value in left if name.lower().startswith(b"content-")] == [NEW]
    assert len(left) == len(made.headers)
