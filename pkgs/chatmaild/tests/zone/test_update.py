"""Keys that can change a zone."""

from pathlib import Path

import pytest

from chatmaild.zone import update
from chatmaild.zone.records import ZoneError


@pytest.mark.parametrize(
    "text",
    [
        'key "u" { algorithm hmac-sha256; secret "QUJD"; };',
        'key u {\n\talgorithm "hmac-sha256"; # comment\n\tsecret "QUJD";\n};\n',
    ],
)
def test_reads_keys_as_bind_writes_them(tmp_path: Path, text: str) -> None:
    """In the format of tsig-keygen and ddns-confgen."""
    (tmp_path / "key").write_text(text)
    key = update.read_key(tmp_path / "key")
    assert (key.name.to_text(), key.secret) == ("u.", b"ABC")


@pytest.mark.parametrize(
    "text", ["", "QUJD", 'key "u" { algorithm hmac-md5; secret "QUJD"; };', 'key "u" { };']
)
def test_reports_a_file_that_is_not_a_key(tmp_path: Path, text: str) -> None:
    """One sentence with the file's name."""
    (tmp_path / "key").write_text(text)
    with pytest.raises(ZoneError, match=str(tmp_path / "key")):
        update.read_key(tmp_path / "key")
