"""Records that work in any spelling, and the consequences of others."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from chatmaild.admin import self_signed
from chatmaild.config import DnsRecord
from chatmaild.signatures import keys
from chatmaild.zone.meaning import Own, Values, Wanted, judge, relevant

HOST = "chat.test."
ADDRESSES = {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"], "MX": ["10 chat.test."]}
OTHERS = {
    ("elsewhere.test.", "A"): ["192.0.2.99"],
    ("include.test.", "TXT"): ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"],
    ("www.chat.test.", "A"): ["192.0.2.1"],
    ("www.chat.test.", "AAAA"): ["2001:db8::1"],
}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the record of a DKIM key."""
    return keys.dns_record(keys.make(tmp_path_factory.mktemp("key") / "dkim.pem"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    """Describe a relay with two addresses and a certificate that has an issuer."""
    chain = list(_certificates(tmp_path_factory.mktemp("chain")))
    addresses = frozenset({*ADDRESSES["A"], *ADDRESSES["AAAA"]})
    return Own(HOST, addresses, tuple(chain), acme=True)


def _certificates(directory: Path) -> Iterator[x509.Certificate]:
    now = datetime.datetime.now(datetime.UTC)
    for name in ("own", "above"):
        certificate = directory / f"{name}.pem"
        self_signed.ensure(certificate, directory / f"{name}.key", f"{name}.test", now)
        yield x509.load_pem_x509_certificate(certificate.read_bytes())


def ask(name: str, kind: str) -> Values:
    """Answer for names of the zone and some others."""
    return frozenset(ADDRESSES[kind] if name == HOST else OTHERS.get((name, kind), []))


def consequences(own: Own, name: str, kind: str, data: str, *found: str) -> list[str]:
    """Judge the records found where `data` is expected."""
    wanted = Wanted(name, kind, (DnsRecord(name, kind, data, "required"),))
    return [one.text for one in judge(wanted, relevant(wanted, frozenset(found)), own, ask)]


MX = (HOST, "MX", "10 chat.test.")
WWW = ("www.chat.test.", "CNAME", HOST)
STS = ("_mta-sts.chat.test.", "TXT", "v=STSv1; id=abc")
SPF = (HOST, "TXT", "v=spf1 a ~all")
DMARC = ("_dmarc.chat.test.", "TXT", "v=DMARC1;p=reject;adkim=s;aspf=s")
ADSP = ("_adsp._domainkey.chat.test.", "TXT", "dkim=discardable")
REPORTS = ("_smtp._tls.chat.test.", "TXT", "v=TLSRPTv1; rua=mailto:a@chat.test")
CAA = (HOST, "CAA", '0 issue "letsencrypt.org"')
IMAPS = ("_imaps._tcp.chat.test.", "SRV", "0 1 993 chat.test.")
A = (HOST, "A", "192.0.2.1")
AAAA = (HOST, "AAAA", "2001:db8::1")

Group = tuple[str, str, str]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (A, ["192.0.2.1"]),
        (AAAA, ["2001:DB8:0::1"]),
        (MX, ["10 chat.test."]),
        (MX, ["0 CHAT.test."]),
        (MX, ["10 chat.test.", "20 backup.test."]),
        (WWW, ["Chat.Test."]),
        (WWW, []),  # The provider answers with the relay's addresses.
        (WWW, ["chat.cdn.test."]),
        (STS, ["v=STSv1; id=20261121T000000;"]),
        (STS, ["v=STSv1;id=abc; extra=1", "google-site-verification=1"]),
        (SPF, ["v=spf1 a ~all"]),
        (SPF, ["v=spf1 a -all"]),
        (SPF, ["V=SPF1 A -ALL", "site-verification=1"]),
        (SPF, ["v=spf1 mx -all"]),
        (SPF, ["v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::1 -all"]),
        (SPF, ["v=spf1 +a:chat.test/24//64 ?all"]),
        (SPF, ["v=spf1 include:include.test -all"]),
        (SPF, ["v=spf1 redirect=include.test"]),
        (SPF, ["v=spf1 mx/24//64 exp=why.test -all"]),
        (SPF, ["v=spf1 exists:%{i}.list.test -all"]),
        (DMARC, ["v=DMARC1; p=reject; rua=mailto:dmarc@other.test"]),
        (DMARC, ["v=DMARC1;p=Quarantine;sp=none;adkim=r;pct=100;fo=1"]),
        (ADSP, ["dkim=all"]),
        (REPORTS, ["v=TLSRPTv1;rua=https://reports.test/tls"]),
        (CAA, ['0 issue "letsencrypt.org"', '0 iodef "mailto:a@chat.test"']),
        (
            CAA,
            ['0 issue "letsencrypt.org; accounturi=https://acme.test/1"', '0 issue "sectigo.com"'],
        ),
        (CAA, ['128 ISSUE "letsencrypt.org;validationmethods=http-01,dns-01"']),
        (IMAPS, ["5 0 993 chat.test."]),
        (IMAPS, ["0 1 993 Chat.test.", "10 1 993 backup.test."]),
    ],
)
def test_a_record_that_works_is_never_a_fault(own: Own, wanted: Group, found: list[str]) -> None:
    """Spelling, order, extra tags and further values do not matter."""
    assert consequences(own, *wanted, *found) == []


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        (A, [], "cannot be found over IPv4"),
        (AAAA, [], "cannot be found over IPv6"),
        (A, ["192.0.2.1", "192.0.2.9"], "connections to 192.0.2.9 reach this relay only if"),
        (MX, [], "some servers send no mail"),
        (MX, ["10 old.test."], "mail goes to old.test and not to this relay"),
        (MX, ["10 chat.test.", "5 old.test."], "mail goes to old.test as well, before"),
        (MX, ["10 chat.test.", "10 old.test."], "mail goes to old.test as well"),
        (MX, ["0 ."], "mail goes to nowhere and not to this relay"),
        (("mta-sts.chat.test.", "CNAME", HOST), [], "leads nowhere: other servers cannot fetch"),
        (
            ("elsewhere.test.", "CNAME", HOST),
            ["x.test."],
            "leads to 192.0.2.99: browsers do not find the website there, and the certificate",
        ),
        (STS, [], "do not look for the MTA-STS policy"),
        (STS, ["v=STSv1; id=1", "v=STSv1; id=2"], "several records"),
        (STS, ["v=STSv1; id=2026-11-21"], "ignore the record"),
        (STS, ["v=stsv1; id=1"], "ignore the record"),
        (SPF, [], "cannot check by SPF"),
        (SPF, ["v=spf1 a ~all", "v=spf1 -all"], "several records"),
        (SPF, ["v=spf1 -all"], "refuse mail from 192.0.2.1"),
        (SPF, ["v=spf1 ip4:192.0.2.1 -all"], "refuse mail from 2001:db8::1"),
        (SPF, ["v=spf1 ip4:192.0.2.1 ~all"], "distrust mail from 2001:db8::1"),
        (SPF, ["v=spf1 ip4:192.0.2.1"], "distrust mail from 2001:db8::1"),
        (SPF, ["v=spf1 a:elsewhere.test -all"], "refuse mail from 192.0.2.1"),
        (SPF, ["v=spf1 ipv4:192.0.2.1 -all"], "is not valid"),
        (SPF, ["v=spf1 include:missing.test -all"], "is not valid"),
        (SPF, ["v=spf1 " + "a:elsewhere.test " * 11 + "-all"], "is not valid"),
        (DMARC, [], "do not refuse forged mail"),
        (DMARC, ["v=DMARC1; p=none; rua=mailto:a@b.test"], "do not refuse forged mail"),
        (DMARC, ["v=DMARC1; p=reject; pct=0"], "do not refuse forged mail"),
        (DMARC, ["v=DMARC1; rua=mailto:a@b.test"], "it has no policy"),
        (DMARC, ["v=DMARC1; p=rejct"], "it has no policy"),
        (DMARC, ["v=DMARC1;p=reject", "v=DMARC1;p=none"], "several records"),
        (ADSP, [], "ADSP"),
        (REPORTS, [], "do not arrive"),
        (REPORTS, ["v=TLSRPTv1; rua=a@chat.test"], "do not arrive"),
        (CAA, [], "every certificate authority may"),
        (CAA, ['0 iodef "mailto:a@chat.test"'], "every certificate authority may"),
        (CAA, ['0 issue "sectigo.com"'], "letsencrypt.org may not issue"),
        (CAA, ['0 issue ";"'], "letsencrypt.org may not issue"),
        (CAA, ['0 issue "letsencrypt.org; validationmethods=dns-01"'], "over HTTP"),
        (CAA, ['0 issue "letsencrypt.org"', '128 tbs "x"'], "that do not support tbs"),
        (IMAPS, [], "SRV"),
        (IMAPS, ["0 1 143 chat.test."], "SRV"),
        (IMAPS, ["0 0 0 ."], "SRV"),
    ],
)
def test_a_fault_says_what_does_not_work(
    own: Own, wanted: Group, found: list[str], told: str
) -> None:
    """It describes the effect on mail, clients and certificates, not the syntax of the record."""
    said = consequences(own, *wanted, *found)
    assert said, found
    assert told in said[0]


def dkim(own: Own, data: str, *found: str) -> list[str]:
    """Judge the records at a key's name."""
    return consequences(own, "opendkim._domainkey.chat.test.", "TXT", data, *found)


def test_a_dkim_key_works_as_long_as_verifiers_find_it(own: Own, key: str) -> None:
    """In any order, without optional tags, with blanks and notes."""
    material = key.partition("p=")[2].partition(";")[0]
    for found in (
        key,
        f"p={material}",
        f"v=DKIM1; k=rsa; t=s; n=a note; p={material[:40]} {material[40:]}",
        f"k=rsa; h=sha1:sha256; s=*; x-old=1; p={material};",
    ):
        assert dkim(own, key, found) == [], found


def test_a_dkim_key_that_verifies_nothing_is_a_fault(own: Own, key: str, tmp_path: Path) -> None:
    """Signatures fail, and other relays refuse all mail."""
    other = keys.dns_record(keys.make(tmp_path / "dkim.pem"))
    assert "cannot verify its signatures" in dkim(own, key)[0]
    for found in (
        other,
        "v=DKIM1; p=",
        key.replace("s=email", "s=web"),
        key.replace("v=DKIM1", "v=DKIM2"),
        f"{key}; h=sha1",
        key[:-100],
    ):
        assert "by another key" in dkim(own, key, found)[0], found
    assert "several keys" in dkim(own, key, key, other)[0]


def test_tlsa_works_with_any_form_of_the_key_or_a_certificate(own: Own) -> None:
    """RFC 7671 8.1 requires two records during a change of the key."""
    leaf, above = own.chain
    whole = leaf.public_bytes(Encoding.DER).hex()
    mine = (
        f"3 0 1 {leaf.fingerprint(SHA256()).hex()}",
        f"3 0 0 {whole[:90]} {whole[90:]}",
        f"2 0 1 {above.fingerprint(SHA256()).hex()}",
        f"3 1 1 {'ab' * 32}",
    )
    other = f"3 1 1 {'cd' * 32}"
    tlsa = ("_25._tcp.chat.test.", "TLSA", f"3 1 1 {'ab' * 32}")
    for record in mine:
        assert consequences(own, *tlsa, record) == []
        assert consequences(own, *tlsa, record.upper(), other) == []
    assert "send no mail" in consequences(own, *tlsa, other)[0]
    assert "send no mail" in consequences(own, *tlsa, mine[0].replace("3 0 1", "2 0 1"))[0]
    assert "cannot verify" in consequences(own, *tlsa)[0]
    assert "cannot verify" in consequences(own, *tlsa, f"1 1 1 {'ab' * 32}")[0]


def test_an_authority_that_may_not_issue_is_more_than_a_recommendation(own: Own) -> None:
    """The relay works today, but only until its certificate expires."""
    wanted = Wanted(HOST, "CAA", (DnsRecord(*CAA, "recommended"),))
    [consequence] = judge(wanted, frozenset({'0 issue "sectigo.com"'}), own, ask)
    assert consequence.need == "required"
    [consequence] = judge(wanted, frozenset(), own, ask)
    assert consequence.need == "recommended"
