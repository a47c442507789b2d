"""Applies the filter's edits to a header as Postfix does."""

from chatmaild.filter.headers import Edit
from mails import Header


def apply(headers: list[Header], edits: list[Edit]) -> list[Header]:
    """Edit a header, one edit after the other."""
    result = list(headers)
    for edit in edits:
        if edit.index == 0:
            assert edit.value is not None
            result.append((edit.name, edit.value))
            continue
        at = [i for i, (name, _) in enumerate(result) if name.lower() == edit.name.lower()]
        position = at[edit.index - 1]
        if edit.value is None:
            del result[position]
        else:
            result[position] = (result[position][0], edit.value)
    return result
