"""
Tell text from ciphertext.

Ciphertext looks like random octets. Each test below takes random octets for text with a probability
below 2^-64, so no message is ever refused by mistake. They cannot find text that is made to look
random; nothing can.
"""

from math import comb

# The octets of readable ASCII text: 98 of 256. Octets are random, so one of them is readable with
# a probability of 98/256, that is 2^-1.385.
_READABLE = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))
_BITS = 1.385
_MARKED = bytes(0 if octet in _READABLE else 1 for octet in range(256))
_BLOCK = 65_536

_PIECES = 4


def _most_distinct(octets: int) -> int:
    """
    Find the number of different values that so many random octets do not fall below.

    They lie within some set of k values with a probability of at most C(256, k) (k / 256)^octets:
    108 for 256 octets. Text in any script, in UTF-8 or UTF-16, base64 and hexadecimal have fewer.
    """
    return max(k for k in range(1, 256) if comb(256, k) * k**octets << 64 < 256**octets)


_MOST_DISTINCT = {octets: _most_distinct(octets) for octets in (256, 128, 64)}


def is_text(data: bytes | memoryview) -> bool:
    """Whether `data` has a long run of ASCII text in it, or too few different octets for random."""
    return has_run(data) or _has_few_values(data)


def has_run(data: bytes | memoryview, *, structure: int = 0) -> bool:
    """
    Whether ASCII text runs through so many octets of `data` as it never does through random ones.

    A run of r octets begins at one of n places with a probability of at most n (98/256)^r, which
    is below 2^-64 for r = (64 + log2 n) / 1.385: 54 octets of 1 KB, 65 of 30 MB. `structure` is
    how many octets of a run may be readable for another reason.
    """
    run = int((64 + len(data).bit_length()) / _BITS) + 1 + structure
    if len(data) < run:
        return False
    wanted = bytes(run)
    return any(
        wanted in bytes(data[at : at + _BLOCK + run]).translate(_MARKED)
        for at in range(0, len(data), _BLOCK)
    )


def _has_few_values(data: bytes | memoryview) -> bool:
    """Look at up to 256 octets: all of them, or four pieces from all over the data."""
    for octets, most in _MOST_DISTINCT.items():
        if len(data) >= octets:
            size = octets // _PIECES
            stride = (len(data) - size) // (_PIECES - 1)
            sample = b"".join([data[at : at + size] for at in range(0, stride * _PIECES, stride)])
            return len(set(sample)) <= most
    return False
