"""The relay's DNS records: printed, compared with name servers, written to a primary server."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import dns.resolver
import pytest

from harness.dns import UPDATE_KEY
from harness.network import DNS, address4

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.process import Result
    from harness.relay import Relay

DOMAIN = "records.test"
KEY_FILE = "/root/update.key"


@pytest.fixture(scope="module")
def target(lab: Lab) -> Relay:
    """A relay whose zone is damaged in every way."""
    return lab.relay(DOMAIN, {"reports": {"mail": f"reports@{DOMAIN}"}})


@pytest.fixture(scope="module")
def zone(target: Relay) -> str:
    """Return the zone that the relay needs."""
    return target.chatmail("dns").out


def check(target: Relay, text: str) -> Result:
    """Publish a zone and let the relay check it."""
    target.dns.publish_zone_text(DOMAIN, text)
    return target.chatmail("dns", "--check", check=False)


def without(pattern: str) -> Callable[[str], str]:
    """Remove the lines that match; there must be at least one."""

    def change(text: str) -> str:
        kept = [line for line in text.splitlines() if not re.search(pattern, line)]
        assert len(kept) < len(text.splitlines()), pattern
        return "\n".join(kept)

    return change


def instead(pattern: str, by: str) -> Callable[[str], str]:
    """Replace text in the zone; it must be present."""

    def change(text: str) -> str:
        changed, count = re.subn(pattern, by, text, flags=re.MULTILINE)
        assert count, pattern
        return changed

    return change


def and_also(line: str) -> Callable[[str], str]:
    """Add a record."""
    return lambda text: f"{text}\n{line}\n"


def spread(text: str) -> str:
    """Split every TXT value into strings of twenty octets, as web forms and people do."""

    def cut(match: re.Match[str]) -> str:
        whole = match[2].replace('" "', "").strip('"')
        parts = [whole[start : start + 20] for start in range(0, len(whole), 20)]
        return match[1] + " ".join(f'"{part}"' for part in parts)

    return re.sub(r"^(.* IN TXT )(.*)$", cut, text, flags=re.MULTILINE)


def test_the_printed_zone_passes_the_check(target: Relay, zone: str) -> None:
    """Both use the same data."""
    said = check(target, zone)

    assert said.status == 0
    assert said.out == f"{DOMAIN}: all records are correct at 1 name server\n"


def test_the_zone_has_the_records_that_other_servers_query(target: Relay, zone: str) -> None:
    """These are MTA-STS, TLS reporting, and the key of the certificate for DANE."""
    key = target.machine.run(
        f"openssl pkey -in {target.value.daemons['paths']['certificateKey']} -pubout -outform DER"
        " | sha256sum"
    ).out.split()[0]
    assert f"_25._tcp.{DOMAIN}. 3600 IN TLSA 3 1 1 {key}\n" in zone
    assert f'_smtp._tls.{DOMAIN}. 3600 IN TXT "v=TLSRPTv1; rua=mailto:reports@{DOMAIN}"\n' in zone
    assert re.search(rf'^_mta-sts\.{DOMAIN}\. .* TXT "v=STSv1; id=[0-9a-f]+"$', zone, re.MULTILINE)
    published = dns.resolver.resolve(f"_mta-sts.{DOMAIN}", "TXT")
    assert published[0].strings[0].decode() in zone


@pytest.mark.parametrize(
    ("change", "status", "told", "consequence"),
    [
        (without(" MX "), 1, f"missing: {DOMAIN}. MX 10 {DOMAIN}.", "some servers send no mail"),
        (
            without("opendkim._domainkey"),
            1,
            f"missing: opendkim._domainkey.{DOMAIN}. TXT v=DKIM1",
            "cannot verify its signatures",
        ),
        (
            without("^_mta-sts"),
            1,
            f"missing: _mta-sts.{DOMAIN}. TXT v=STSv1; id=",
            "do not look for the MTA-STS policy",
        ),
        (without(" AAAA "), 1, f"missing: {DOMAIN}. AAAA 2001:db8::", "over IPv6"),
        (
            instead(r" A 192\S+", " A 192.0.2.200"),
            1,
            f"wrong: {DOMAIN}. A is 192.0.2.200",
            "over IPv4",
        ),
        (
            and_also("@ MX 5 old.test."),
            1,
            f"wrong: {DOMAIN}. MX is 10 {DOMAIN}. and 5 old.test.",
            "mail goes to old.test as well",
        ),
        (instead("p=MII", "p=MIJ"), 1, "wrong: opendkim._domainkey", "by another key"),
        (
            and_also('@ TXT "v=spf1 -all"'),
            0,
            f"wrong: {DOMAIN}. TXT is v=spf1 -all and v=spf1 a ~all",
            "several records",
        ),
        (
            instead('"v=spf1 a ~all"', '"v=spf1 -all"'),
            0,
            f"wrong: {DOMAIN}. TXT is v=spf1 -all",
            "refuse mail from 192.0.2.",
        ),
        (without("_dmarc"), 0, f"missing: _dmarc.{DOMAIN}. TXT v=DMARC1", "forged mail"),
        (without("TLSA"), 0, f"missing: _25._tcp.{DOMAIN}. TLSA 3 1 1 ", "by DANE"),
        (
            instead("3 1 1 ....", "3 1 1 0000"),
            0,
            f"wrong: _25._tcp.{DOMAIN}. TLSA is 3 1 1 0000",
            "verify DANE send no mail",
        ),
    ],
)
def test_says_what_is_missing_or_wrong(
    target: Relay,
    zone: str,
    change: Callable[[str], str],
    status: int,
    told: str,
    consequence: str,
) -> None:
    """Each fault is named with what does not work; only required records fail the command."""
    said = check(target, change(zone))

    assert told in said.out
    assert consequence in said.out.partition(told)[2].splitlines()[1]
    assert said.status == status


def test_reports_everything_at_once(target: Relay) -> None:
    """Operators fill in the provider's form once: for an empty zone all records are reported."""
    said = check(target, '@ TXT "something else"')

    wanted = re.findall(r"^(\S+) 3600 IN (\S+) ", target.chatmail("dns").out, re.MULTILINE)
    for name, kind in wanted:
        assert f"missing: {name} {kind} " in said.out
    assert said.out.index("required (") < said.out.index("recommended (")
    assert said.status == 1


@pytest.mark.parametrize(
    "change",
    [
        spread,
        instead(r"v=DKIM1;k=rsa;", "v=DKIM1; k=rsa; "),
        and_also('@ TXT "site-verification=1234"'),
        # Correct changes by operators were once reported as wrong.
        instead('"v=spf1 a ~all"', '"V=SPF1 A MX -ALL"'),
        instead("v=DMARC1;p=reject;", "v=DMARC1; p=reject; rua=mailto:dmarc@elsewhere.test; "),
        and_also(f"_25._tcp TLSA 3 1 1 {'ab' * 32}"),
        and_also("@ MX 20 backup.test."),
        # Some providers have no aliases, or resolve them themselves.
        lambda text: without("^mta-sts")(text) + "\nmta-sts A {ipv4}\nmta-sts AAAA {ipv6}\n",
        # A key may be stored under another name.
        lambda text: (
            instead("^opendkim._domainkey", "elsewhere")(text)
            + "\nopendkim._domainkey CNAME elsewhere\n"
        ),
    ],
)
def test_accepts_equivalent_records(target: Relay, zone: str, change: Callable[[str], str]) -> None:
    """Other strings, spaces, additional records and aliases have the same meaning."""
    addresses = {"ipv4": target.address, "ipv6": target.address6}
    said = check(
        target,
        change(zone).replace("{ipv4}", addresses["ipv4"]).replace("{ipv6}", addresses["ipv6"]),
    )

    assert said.out == f"{DOMAIN}: all records are correct at 1 name server\n"
    assert said.status == 0


def test_a_silent_secondary_is_named_and_the_others_count(target: Relay, zone: str) -> None:
    """The primary server may be hidden; other servers query its secondaries."""
    said = check(target, f"{zone}\n@ NS second\nsecond A {address4(113)}\n")

    assert f"no answer: second.{DOMAIN} ({address4(113)}): " in said.out
    assert f"{DOMAIN}: all records are correct at 1 name server" in said.out
    assert said.status == 0


def test_an_undelegated_domain_is_reported_in_one_sentence(target: Relay) -> None:
    """Without the registrar's delegation nothing else can be checked."""
    target.dns.remove(DOMAIN)
    said = target.chatmail("dns", "--check", check=False)

    assert said.status == 1
    assert len(said.err.splitlines()) == 1
    assert "Traceback" not in said.err


def test_a_resolver_that_is_down_is_not_an_undelegated_domain(target: Relay, zone: str) -> None:
    """The command once asked whether the domain is delegated."""
    target.dns.publish_zone_text(DOMAIN, zone)
    target.machine.run(["systemctl", "stop", "unbound.service"])
    try:
        said = target.chatmail("dns", "--check", check=False)
    finally:
        target.machine.run(["systemctl", "start", "unbound.service"])

    assert said.status == 1
    assert "resolver" in said.err
    assert "unbound" in said.err
    assert "delegated" not in said.err


def test_writes_the_records_itself(target: Relay, zone: str) -> None:
    """With a key for RFC 2136 nothing is pasted; foreign records stay, outdated ones go."""
    target.machine.write(KEY_FILE, UPDATE_KEY, mode="0600")
    target.dns.publish_zone_text(
        DOMAIN,
        '@ TXT "site-verification=1234"\n@ TXT "v=spf1 -all"\n@ MX 5 old.test.\nwww A 192.0.2.9',
    )
    update = ("dns", "--update", "--server", address4(DNS), "--key-file", KEY_FILE)
    for _ in range(2):
        said = target.chatmail(*update)
        assert re.fullmatch(rf"\d+ records written to {DOMAIN}\. at \S+\n", said.out)

        looked = target.chatmail("dns", "--check", check=False)
        assert looked.out == f"{DOMAIN}: all records are correct at 1 name server\n"
        texts = [b"".join(record.strings) for record in dns.resolver.resolve(DOMAIN, "TXT")]
        assert sorted(texts) == [b"site-verification=1234", b"v=spf1 a ~all"]
    target.dns.publish_zone_text(DOMAIN, zone)


def test_a_wrong_key_changes_nothing_and_is_reported(target: Relay, zone: str) -> None:
    """The operator learns the cause."""
    target.dns.publish_zone_text(DOMAIN, zone)
    wrong = UPDATE_KEY.replace("bGFi", "bGFj")
    target.machine.write(KEY_FILE, wrong, mode="0600")
    update = ("dns", "--update", "--server", address4(DNS), "--key-file", KEY_FILE)

    said = target.chatmail(*update, check=False)

    assert said.status == 1
    assert said.err.startswith(f"chatmail dns: {address4(DNS)} does not accept the TSIG key")
    assert len(said.err.splitlines()) == 1
