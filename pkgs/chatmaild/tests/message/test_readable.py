"""Text is recognised, and ciphertext is never taken for text."""

import time
from bisect import bisect_left
from math import comb, log2

import pytest

from chatmaild.message import readable
from chatmaild.message.readable import has_text, is_text
from mails import noise

ENGLISH = b"The quick brown fox tells a secret to the lazy dog, and nobody is any the wiser. "
RUSSIAN = "Быстрая лиса рассказывает секрет ленивой собаке, и никто ничего не знает. ".encode()
CHINESE = "敏捷的狐狸把一個秘密告訴了懶惰的狗但是誰也不知道這件事情的真相到底是什麼".encode()


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        ENGLISH[:51],
        ENGLISH * 100,
        RUSSIAN * 4,
        CHINESE * 3,
        (ENGLISH * 4).decode().encode("utf-16-le"),
        noise(400).hex().encode(),
        b"\0" * 256,
        b"\xe0m\xe0e\xe0e\xe0t" * 40,
        noise(3000) + ENGLISH + noise(3000),
        noise(70_000) + ENGLISH + noise(70_000),
        noise(readable._BLOCK - 40) + ENGLISH + noise(100),
        b"\x80".join(ENGLISH.split()) * 30,
        b"\0".join(ENGLISH[at : at + 40] for at in range(0, 80, 40)) * 5,
        noise(50).join(ENGLISH[at : at + 16] for at in (0, 16, 32, 48, 64)) * 3,
    ],
)
def test_finds_text(text: bytes) -> None:
    """In any script; a sentence in ASCII anywhere."""
    assert is_text(text)


@pytest.mark.parametrize("size", [0, 1, 40, 63, 64, 127, 128, 255, 256, 257, 1000, 65_536, 200_000])
def test_takes_no_ciphertext_for_text(size: int) -> None:
    """The probability is negligible for all mail ever sent; these are some samples."""
    assert not any(is_text(noise(size)) for _ in range(200 if size < 10_000 else 5))


@pytest.mark.parametrize("octets", readable._MOST_DISTINCT)
def test_the_bound_on_different_octets_is_what_is_promised(octets: int) -> None:
    """Computed with real numbers instead of integers; the bound is not needlessly low."""
    most = readable._MOST_DISTINCT[octets]

    def bits(k: int) -> float:
        return log2(comb(256, k)) + octets * log2(k / 256)

    assert bits(most) < -64 < bits(most + 1)


@pytest.mark.parametrize("size", [100, 1000, 30_000_000])
def test_the_bound_on_a_run_is_what_is_promised(size: int) -> None:
    """The number of places where it may begin, times its probability."""
    run = 40 + bisect_left(
        range(40, 99), x=True, key=lambda r: has_text(bytes(size - r) + b"x" * r)
    )

    assert log2(size) + run * log2(98 / 256) < -64 < log2(size) + (run - 3) * log2(98 / 256)


@pytest.mark.parametrize("size", [200, 2000, 1_000_000])
def test_the_bound_on_phrases_is_what_is_promised(size: int) -> None:
    """Places where they may be, times the chance that all of them are text."""
    gap = b"\0" * 4
    phrases = next(
        k for k in range(1, 9999) if has_text((gap + b"x" * 16) * k + bytes(size - 20 * k))
    )

    def bits(k: int) -> float:
        return log2(comb(size, k)) + 16 * k * log2(98 / 256)

    assert bits(phrases) < -64
    # Stirling's formula instead of binomial coefficients gives away little.
    assert bits(phrases * 9 // 10) > -64 - phrases


def test_a_run_may_include_readable_structure() -> None:
    """The length of a wrapped key is such an octet."""
    run = next(r for r in range(1, 99) if has_text(bytes(1000) + b"x" * r))

    assert not has_text(bytes(1000) + b"x" * (run + 1), structure=2)
    assert has_text(bytes(1000) + b"x" * (run + 2), structure=2)


@pytest.mark.parametrize("data", [noise(30_000_000), bytes(30_000_000), b"x" * 64 + b"\0" * 9])
def test_stays_fast_on_thirty_megabytes(data: bytes) -> None:
    """Every encrypted message is checked from end to end."""
    begin = time.process_time()
    has_text(data)

    assert time.process_time() - begin < 1
