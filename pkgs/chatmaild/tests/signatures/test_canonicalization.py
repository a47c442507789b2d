"""Canonical bodies equal dkimpy's, without its worst cases."""

import time
from hashlib import sha256

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.signatures import canonicalization
from chatmaild.signatures.canonicalization import hash_body


@pytest.mark.parametrize("piece", [1, 2, 5, canonicalization.PIECE_BYTES])
@given(body=st.text(alphabet="a \t\r\n", max_size=40).map(str.encode))
def test_hashes_the_same_bytes_as_dkimpy(piece: int, body: bytes) -> None:
    """Any difference would break signatures, wherever a piece ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonicalization, "PIECE_BYTES", piece)
        for relaxed, rules in ((False, Simple), (True, Relaxed)):
            wanted = rules.canonicalize_body(body)
            assert hash_body(body, relaxed=relaxed) == (sha256(wanted).digest(), len(wanted))


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * 15_000_000,
        b" " * 30_000_000,
        b"\t " * 15_000_000 + b"\r\n",
        b" \r\n" * 10_000_000,
        b"a   " * 7_500_000,
        b"a" + b"\r" * 30_000_000,
    ],
    ids=["empty-lines", "spaces", "tabs", "blank-lines", "short-runs", "bare-cr"],
)
def test_stays_linear_on_thirty_megabytes_of_blanks(body: bytes) -> None:
    """Dkimpy alone takes seconds to hours for these."""
    begin = time.process_time()
    hash_body(body, relaxed=False)
    hash_body(body, relaxed=True)

    assert time.process_time() - begin < 4
