"""MTA-STS records and policies, as RFC 8461 writes them and as people may."""

import pytest

from chatmaild.tlspolicy import sts
from chatmaild.tlspolicy.sts import Policy, StsError

GOOD = (
    b"version: STSv1\r\nmode: enforce\r\n"
    b"mx: mx.example.org\r\nmx: *.Example.net\r\nmax_age: 86400\r\n"
)


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([b"v=STSv1; id=20261121T1;"], "20261121T1"),
        ([b"v=spf1 -all", b"v=STSv1;id=a"], "a"),
        ([b"v=STSv1; x=y; id=1"], "1"),
        ([b" v = STSv1 ; id = 1"], "1"),
        ([b"V=stsv1; ID=1"], "1"),
        ([b"v=STSv1; id=2026-11-21T08:00:00"], "2026-11-21T08:00:00"),
        ([], None),
        ([b"v=STSv1; id=1", b"v=STSv1; id=2"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1; id=" + b"1" * 65], None),
        ([b"v=STSv1; id=\xc3\xa4"], None),
        ([b"v=STSv2; id=1"], None),
        ([b"v=STSv10; id=1"], None),
    ],
)
def test_reads_the_one_record(records: list[bytes], found: str | None) -> None:
    """Blanks, case and dates are harmless; two records, or one without an id, are none."""
    assert sts.record_id(records) == found


def test_writes_a_policy_that_reads_the_same() -> None:
    """So it is kept as the text it came in, and checked as strictly when read again."""
    for policy in (sts.parse(GOOD), Policy("none", (), 0)):
        assert sts.parse(sts.text(policy)) == policy


def test_reads_a_policy() -> None:
    """Line ends of both kinds, hosts in any case."""
    wanted = Policy("enforce", ("mx.example.org", "*.example.net"), 86400)
    assert sts.parse(GOOD) == wanted
    assert sts.parse(GOOD.replace(b"\r\n", b"\n")) == wanted


@pytest.mark.parametrize(
    ("line", "by"),
    [
        (b"mx: 192.0.2.56", "admins who list every name of their server"),
        (b"mx: [192.0.2.56]", "the same, as RFC 5321 writes addresses"),
        (b"mx: 2001:db8::1", "the same with IPv6"),
        (b"mx: 10 mx.example.org", "copies of the MX record"),
        (b"mx: mx.example.org, mx2.example.org", "hosts in one line"),
        (b"mx: *.*.example.org", "a wildcard that the RFC does not have"),
        (b"mx: *", "a wildcard for everything"),
        (b"mx: localhost", "templates"),
        (b"mx:", "templates"),
        ("mx: mäx.example.org".encode(), "names of a browser's address bar"),
        (b"mx: mx.example.org servername=evil.test", "an attacker of Postfix's policy"),
        (b"mx: mx.example.org:evil.test", "an attacker of Postfix's policy"),
        (b"mx: " + b"a." * 127 + b"test", "nobody: a name above 255 octets"),
        (b"# a comment", "people"),
        ("operator: Jürgen".encode(), "RFC 8461 3.2, which allows UTF-8 in other fields"),
    ],
)
def test_ignores_lines_that_name_no_host(line: bytes, by: str) -> None:
    """A policy with an IP address among its hosts kept mail away from a good server."""
    wanted = Policy("enforce", ("mx.example.org", "*.example.net"), 86400)
    assert sts.parse(line + b"\r\n" + GOOD) == wanted, by
    assert sts.parse(GOOD + line) == wanted, by


@pytest.mark.parametrize(
    ("body", "by"),
    [
        (GOOD.replace(b"mx.example.org", b"mx.example.org."), "zone files"),
        (b"\xef\xbb\xbf" + GOOD, "Windows editors"),
        (GOOD.replace(b"\r\n", b"\r"), "old editors"),
        (GOOD.replace(b"mode: enforce", b"Mode : Enforce"), "people"),
        (GOOD.replace(b"version: STSv1", b"Version: stsv1"), "people"),
        (GOOD + b"mx: MX.example.org\n", "people who list a host twice"),
        (GOOD + b"mode: none\n", "RFC 8461 3.2: the first of duplicate fields counts"),
    ],
)
def test_reads_policies_as_people_write_them(body: bytes, by: str) -> None:
    """No attack is stopped by refusing these, and their meaning is certain."""
    wanted = Policy("enforce", ("mx.example.org", "*.example.net"), 86400)
    assert sts.parse(body) == wanted, by


@pytest.mark.parametrize(
    ("body", "because"),
    [
        (b"", "version or mode"),
        (b"<html>not found</html>", "version or mode"),
        (GOOD.replace(b"STSv1", b"STSv2"), "version or mode"),
        (GOOD.replace(b"enforce", b"enforced"), "version or mode"),
        (GOOD.replace(b"86400", b"-1"), "max_age"),
        (GOOD.replace(b"86400", b"1d"), "max_age"),
        (GOOD.replace(b"86400", b"9" * 5000), "max_age"),
        (GOOD.replace(b"max_age", b"age"), "max_age"),
        (b"version: STSv1\nmode: enforce\nmax_age: 1\n", "no host"),
        (b"version: STSv1\nmode: enforce\nmx: 192.0.2.56\nmax_age: 1\n", "no host"),
        (GOOD + b"".join(b"mx: a%d.example.org\n" % n for n in range(99)), "too many hosts"),
    ],
)
def test_refuses_invalid_policies(body: bytes, because: str) -> None:
    """The policy is unclear, would block all mail, or costs too much."""
    with pytest.raises(StsError, match=because):
        sts.parse(body)


def test_a_policy_without_hosts_ends_a_policy() -> None:
    """RFC 8461 8.3: mode `none` needs no host."""
    assert sts.parse(b"version: STSv1\nmode: none\nmax_age: 60\n") == Policy("none", (), 60)
