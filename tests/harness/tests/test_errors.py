"""Error messages name the cause."""

from __future__ import annotations

import pytest

from harness.errors import is_full


@pytest.mark.parametrize(
    ("said", "full"),
    [
        # Output of mmdebstrap on a tmpfs of 40, 150 and 300 MB, and of pip.
        ("  Write error - write (28: No space left on device)", True),
        ("E: You don't have enough free space in /x/var/cache/apt/archives/.", True),
        ("cannot copy extracted data for './usr/sbin/adduser': (No space left on device)", True),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", True),
        ("E: Failed to fetch http://mirror/dists/trixie/InRelease  Connection timed out", False),
    ],
)
def test_a_full_disk_is_not_reported_as_an_unreachable_mirror(said: str, *, full: bool) -> None:
    """The remedies are different."""
    assert is_full(said) == full
