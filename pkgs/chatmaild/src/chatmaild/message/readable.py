"""
Tell text from ciphertext.

Ciphertext looks like random octets. Each test below mistakes random octets for text with a
probability below 2^-64, so in practice no encrypted message is refused. The tests cannot find text
that is encoded to look random; no test can.
"""

from math import comb, e, log2
from random import random

# The octets of readable ASCII text: 98 of 256. A random octet is readable with a probability of
# 98/256, that is 2^-1.385.
_READABLE = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))
_BITS = 1.385
_MARKED = bytes(0 if octet in _READABLE else 1 for octet in range(256))
_BLOCK = 65_536
_CERTAIN_BITS = 64
_PHRASE = bytes(16)
_PHRASE_CHANCE = e * 2 ** (-_BITS * len(_PHRASE))

_PIECES = 4


def _most_distinct(octets: int) -> int:
    """
    Find the largest number of distinct values that still means text rather than random octets.

    The probability that random octets have at most k distinct values is below
    C(256, k) (k / 256)^octets. For 256 octets, k is 108. Text has fewer values: in any script, in
    UTF-8 or UTF-16, in base64 and in hexadecimal.
    """
    return max(k for k in range(1, 256) if comb(256, k) * k**octets << _CERTAIN_BITS < 256**octets)


_MOST_DISTINCT = {octets: _most_distinct(octets) for octets in (256, 128, 64)}


def is_text(data: bytes | memoryview) -> bool:
    """Whether `data` contains ASCII text, or too few distinct octets to be random."""
    return has_text(data) or _has_few_values(data)


def has_text(data: bytes | memoryview, *, structure: int = 0) -> bool:
    """
    Whether `data` has longer or more runs of ASCII text than random octets have.

    A run of r octets begins at one of n places with a probability of at most n (98/256)^r. That is
    below 2^-64 for r = (64 + log2 n) / 1.385: 54 octets in 1 KB, 65 in 30 MB. And k phrases of 16
    octets are at k of n places with a probability of at most (e n (98/256)^16 / k)^k. So 6 phrases
    are too many for 2 KB, and 15 for 1 MB. `structure` is the number of octets in a run that may be
    readable for another reason. It makes a phrase at most seven times as likely.
    """
    run = int((_CERTAIN_BITS + len(data).bit_length()) / _BITS) + 1 + structure
    wanted = bytes(run)
    expected = _PHRASE_CHANCE * len(data) * (7 if structure else 1)
    phrases = 0
    for at in range(0, len(data), _BLOCK):
        marked = bytes(data[at : at + _BLOCK + run]).translate(_MARKED)
        phrases += marked.count(_PHRASE, 0, _BLOCK)
        too_many = phrases > expected and phrases * log2(phrases / expected) >= _CERTAIN_BITS
        if too_many or wanted in marked:
            return True
    return False


def _has_few_values(data: bytes | memoryview) -> bool:
    """Sample up to 256 octets: all of them, or four pieces at unpredictable places."""
    for octets, most in _MOST_DISTINCT.items():
        if len(data) >= octets:
            size = octets // _PIECES
            room = (len(data) - octets) // _PIECES
            # These numbers stay secret, so Python's own generator is good enough.
            starts = [turn * (size + room) + int(random() * room) for turn in range(_PIECES)]  # noqa: S311
            return len(set(b"".join([data[at : at + size] for at in starts]))) <= most
    return False
