import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from chatmaild.admin.cli import main
from chatmaild.config import DnsRecord, load
from chatmaild.zone import records
from chatmaild.zone.records import ZoneError
from conftest import RENDERED


def config_file(tmp_path: Path, settings: dict[str, Any]) -> Path:
    """Write the settings to a file."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return path


def test_long_txt_values_are_split_for_a_name_server() -> None:
    """A character-string holds 255 bytes, and a DKIM key of 2048 bits has about 400."""
    record = DnsRecord("k._domainkey.a.", "TXT", "p=" + "A" * 398, "required")

    split = list(records.lines("a", [record], split=True))[1]
    whole = list(records.lines("a", [record], split=False))[1]

    strings = re.findall(r'"([^"]*)"', split)
    assert [len(string) for string in strings] == [255, 145]
    assert "".join(strings) == record.data
    assert re.findall(r'"([^"]*)"', whole) == [record.data]


def test_txt_values_are_quoted_and_others_are_not() -> None:
    """A quote inside a value must not end it."""
    lines = list(
        records.lines(
            "a",
            [
                DnsRecord("a.", "TXT", 'say "ä" \\', "required"),
                DnsRecord("a.", "MX", "10 a.", "required"),
                DnsRecord("a.", "TXT", "", "required"),
            ],
            split=True,
        )
    )

    assert lines[1:4] == [
        'a. 3600 IN TXT "say \\"\\195\\164\\" \\\\"',
        "a. 3600 IN MX 10 a.",
        'a. 3600 IN TXT ""',
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("v=spf1 a ~all", "v=spf1"),
        ("V=SPF1 -all", "v=spf1"),
        ("v = DKIM1; p=AB", "v=dkim1"),
        ("v=DMARC1;p=reject", "v=dmarc1"),
        ("dkim=discardable", "dkim"),
        ("google-site-verification=v=spf1", "google-site-verification"),
        ("something else", "something else"),
        ("", ""),
    ],
)
def test_knows_kinds_of_txt_records(text: str, kind: str) -> None:
    """Two functions once disagreed: `vv=spf1` and `googl` were kinds."""
    assert records.record_kind(text) == kind


def test_a_long_text_with_quotes_stays_whole_in_one_string() -> None:
    """Escaped quotes must not be split."""
    text = 'a" "b\\" "' * 40
    line = list(records.lines("a", [DnsRecord("a.", "TXT", text, "required")], split=False))[1]

    found = re.fullmatch(r'a\. 3600 IN TXT "((?:[^"\\]|\\.)*)"', line)
    assert found
    assert re.sub(r"\\(.)", r"\1", found[1]) == text


def test_required_records_are_a_separate_group() -> None:
    """Operators can start with this group."""
    zone = [
        DnsRecord("a.", "TXT", "v=spf1 a ~all", "recommended"),
        DnsRecord("a.", "MX", "10 a.", "required"),
    ]

    lines = list(records.lines("a", zone, split=True))

    assert lines[0].startswith("; a: without these records")
    assert lines[1] == "a. 3600 IN MX 10 a."
    assert lines[3].startswith("; a: with these records it works better")
    assert lines[4] == 'a. 3600 IN TXT "v=spf1 a ~all"'


def test_configured_addresses_win(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Behind NAT the host cannot know its public address."""
    assert records.addresses(load(config_file(tmp_path, settings))) == ["192.0.2.1", "2001:db8::1"]


def test_the_hosts_own_public_address_is_found(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public address is preferred to a private one of the same version."""
    monkeypatch.setattr(records, "host_addresses", lambda: ["10.0.0.5", "8.8.4.4", "fd00::1"])
    settings["addresses"] = {"ipv4": None, "ipv6": None}

    assert records.addresses(load(config_file(tmp_path, settings))) == ["8.8.4.4", "fd00::1"]


def test_without_an_address_the_error_names_the_settings(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone without an address would be published but not work."""
    monkeypatch.setattr(records, "host_addresses", list)
    settings["addresses"] = {"ipv4": None, "ipv6": None}

    with pytest.raises(ZoneError, match=r"set `addresses\.ipv4`"):
        records.addresses(load(config_file(tmp_path, settings)))


def test_prints_the_whole_zone_with_the_hosts_key(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The host's addresses and key are added to the configured records."""
    from chatmaild.signatures import keys

    path = config_file(tmp_path, settings)
    keys.make(tmp_path / "dkim.pem")

    assert main(["--config", str(path), "dns"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "chat.example.org. 3600 IN A 192.0.2.1" in lines
    assert "chat.example.org. 3600 IN AAAA 2001:db8::1" in lines
    assert "chat.example.org. 3600 IN MX 10 chat.example.org." in lines
    (key,) = [line for line in lines if "opendkim._domainkey" in line]
    assert key.startswith('opendkim._domainkey.chat.example.org. 3600 IN TXT "v=DKIM1;k=rsa;p=')


def test_a_second_key_has_a_record_of_its_own(tmp_path: Path, settings: dict[str, Any]) -> None:
    """It is recommended only, because the RSA key signs everything as well."""
    from chatmaild.signatures import keys

    settings["dkim"] = copy.deepcopy(RENDERED["everything"]["dkim"])
    for key in settings["dkim"]:
        key["file"] = str(tmp_path / Path(key["file"]).name)
    keys.make(tmp_path / "dkim.pem")
    keys.make(tmp_path / "dkim-ed25519.pem", "ed25519")

    found = records.records(load(config_file(tmp_path, settings)))

    by_name = {record.name: record for record in found if "k=" in record.data}
    assert by_name.keys() == {f"{s}._domainkey.chat.example.org." for s in ("opendkim", "ed25519")}
    record = by_name["ed25519._domainkey.chat.example.org."]
    assert record.data.startswith("v=DKIM1;k=ed25519;p=")
    assert record.need == "recommended"


def test_a_missing_key_is_one_sentence(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The filter creates the key when it first starts; before that there is nothing to publish."""
    assert main(["--config", str(config_file(tmp_path, settings)), "dns"]) == 1

    error = capsys.readouterr().err
    assert error.startswith("chatmail dns: ")
    assert str(tmp_path / "dkim.pem") in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "options", [[], ["--check"], ["--update", "--server", "192.0.2.9", "--key-file", "key"]]
)
def test_an_address_needs_no_records(
    tmp_path: Path,
    settings: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    """A relay at an IP address works without DNS, so there is nothing to print, query or write."""
    settings |= {"host": "192.0.2.1", "domain": "[192.0.2.1]"}

    assert main(["--config", str(config_file(tmp_path, settings)), "dns", *options]) == 0
    said = capsys.readouterr().out
    assert said == "; 192.0.2.1 is an IP address: this relay needs no DNS records\n"
