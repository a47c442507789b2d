"""Our canonical bodies are dkimpy's, without its worst cases."""

import time

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.signatures.canonicalization import relaxed_body, simple_body


@given(st.text(alphabet="a \t\r\n", max_size=40).map(str.encode))
def test_gives_the_same_bytes_as_dkimpy(body: bytes) -> None:
    """Any difference would break signatures."""
    assert simple_body(body) == Simple.canonicalize_body(body)
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


@pytest.mark.parametrize(
    "body",
    [b"\r\n" * 15_000_000, b" " * 30_000_000, b" \t" * 15_000_000 + b"\r\n", b" \r\n" * 10_000_000],
    ids=["empty-lines", "spaces", "tabs", "blank-lines"],
)
def test_stays_linear_on_thirty_megabytes_of_blanks(body: bytes) -> None:
    """Plain dkimpy needs seconds to hours for these."""
    begin = time.process_time()
    simple_body(body)
    relaxed_body(body)

    assert time.process_time() - begin < 4
