"""
What a header must say of a body that was rebuilt.

The fields of the old body (RFC 2045 3: those that begin with `Content-`) go; one remains, with the
new type.
"""

from collections import Counter

from chatmaild.filter.headers import Edit, Edited
from chatmaild.message.structure import Header


def retyped(headers: list[Header], edited: Edited, content_type: bytes) -> Edited:
    """
    Make `content_type`, a value with its leading space, the only field about the body.

    `headers` is the header as it came, which the indexes of `edited` refer to.
    """
    total = Counter(name.lower() for name, _ in headers)
    lowest = (b"content-type", total[b"content-type"])
    edits = [edit for edit in edited.edits if (edit.name.lower(), edit.index) != lowest]
    edits.append(Edit(b"Content-Type", lowest[1], content_type))
    known = {(edit.name.lower(), edit.index) for edit in edits}
    seen: Counter[bytes] = Counter()
    for name, _ in headers:
        key = name.lower()
        seen[key] += 1
        if key.startswith(b"content-") and (key, seen[key]) not in known:
            edits.append(Edit(name, seen[key], None))
    # Postfix renumbers after a deletion, so the last field of a name goes first.
    edits.sort(key=lambda edit: -edit.index)
    kept = [field for field in edited.headers if not field[0].lower().startswith(b"content-")]
    return Edited([*kept, (b"Content-Type", content_type)], edits)
