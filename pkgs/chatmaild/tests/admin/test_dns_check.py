"""Comparing records with what name servers say, and the key that may change them."""

from pathlib import Path

import pytest

from chatmaild.admin import dns_check, dns_update
from chatmaild.admin.command import CommandError
from chatmaild.admin.dns_check import NoAnswerError, Values
from chatmaild.config import DnsRecord

MX = DnsRecord("a.test.", "MX", "10 a.test.", "required")
SPF = DnsRecord("a.test.", "TXT", "v=spf1 a ~all", "recommended")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("MX", "10 A.test.", "10 a.test"),
        ("AAAA", "2001:db8:0::1", "2001:DB8::1"),
        ("TLSA", "3 1 1 ABCD EF", "3 1 1 abcdef"),
        ("TXT", "v=DKIM1; k=rsa; p=AB CD", "v=DKIM1;k=rsa;p=ABCD;"),
        ("TXT", "v=spf1  a ~all", "v=spf1 a ~all"),
    ],
)
def test_the_same_in_other_words_is_the_same(kind: str, one: str, other: str) -> None:
    """Providers write case, dots and spaces as they like."""
    assert dns_check.normal(kind, one) == dns_check.normal(kind, other)


def test_base64_keeps_its_case() -> None:
    """A key in other letters is another key."""
    assert dns_check.normal("TXT", "v=DKIM1;p=AB") != dns_check.normal("TXT", "v=DKIM1;p=ab")


def run(monkeypatch: pytest.MonkeyPatch, servers: dict[str, dict[str, Values] | None]) -> int:
    """Check two records against servers, of which those that are None say nothing."""
    monkeypatch.setattr(dns_check, "authoritative", lambda _: [(name, name) for name in servers])

    def asking(address: str) -> dns_check.Ask:
        def ask(_: str, kind: str) -> Values:
            zone = servers[address]
            if zone is None:
                raise NoAnswerError("Timeout")
            return zone.get(kind, frozenset())

        return ask

    monkeypatch.setattr(dns_check, "asking", asking)
    return dns_check.run("a.test", [MX, SPF])


RIGHT: dict[str, Values] = {
    "MX": frozenset({"10 a.test"}),
    "TXT": frozenset({"v=spf1 a ~all", "x=1"}),
}


def test_a_secondary_that_lags_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the world sees the old record, which explains half of the failures."""
    old = {**RIGHT, "MX": frozenset({"10 old.test"})}
    assert run(monkeypatch, {"ns1.test": RIGHT, "ns2.test": old}) == 1
    assert "wrong at ns2.test: a.test. MX is 10 old.test" in capsys.readouterr().out


def test_what_is_only_recommended_is_told_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts go by the exit code."""
    assert run(monkeypatch, {"ns1.test": {"MX": RIGHT["MX"]}, "ns2.test": None}) == 0
    told = capsys.readouterr().out
    assert "missing: a.test. TXT v=spf1 a ~all" in told
    assert "no answer: ns2.test (ns2.test): Timeout" in told


def test_nobody_answering_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither right nor wrong: the command did not work."""
    with pytest.raises(CommandError, match=r"no name server of a\.test answers"):
        run(monkeypatch, {"ns1.test": None})


@pytest.mark.parametrize(
    "text",
    [
        'key "u" { algorithm hmac-sha256; secret "QUJD"; };',
        'key u {\n\talgorithm "hmac-sha256"; # comment\n\tsecret "QUJD";\n};\n',
    ],
)
def test_reads_keys_as_bind_writes_them(tmp_path: Path, text: str) -> None:
    """tsig-keygen and ddns-confgen print this."""
    (tmp_path / "key").write_text(text)
    key = dns_update.read_key(tmp_path / "key")
    assert (key.name.to_text(), key.secret) == ("u.", b"ABC")


@pytest.mark.parametrize(
    "text", ["", "QUJD", 'key "u" { algorithm hmac-md5; secret "QUJD"; };', 'key "u" { };']
)
def test_says_what_is_no_key(tmp_path: Path, text: str) -> None:
    """One sentence with the file's name."""
    (tmp_path / "key").write_text(text)
    with pytest.raises(CommandError, match=str(tmp_path / "key")):
        dns_update.read_key(tmp_path / "key")
