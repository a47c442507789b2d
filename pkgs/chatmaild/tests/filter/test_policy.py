"""Which mail may pass in either direction, and the replies to refused mail."""

import base64
import quopri
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mails
from chatmaild.filter import policy
from chatmaild.filter.policy import Accept, Envelope, Kind, Refuse, Role, Verdict
from chatmaild.message.addresses import parse_path
from mails import (
    ALICE,
    BOB,
    BOUNDARY,
    PACKETS,
    PKESK,
    SEIPD,
    armor,
    crlf,
    encrypted_body,
    packet,
    split,
)


def submit(
    mail: bytes, *, sender: str = ALICE, login: str = ALICE, to: tuple[str, ...] = (BOB,)
) -> Verdict:
    """Judge a submission."""
    return policy.outgoing(Envelope(sender, to, login, "192.0.2.9"), *split(mail))


def receive(mail: bytes, *, cleartext: bool = False) -> Verdict:
    """Judge an incoming message of an authenticated author."""
    headers, body = split(mail)
    author = policy.author_of(headers)
    if isinstance(author, Refuse):
        return author
    return policy.incoming(author, headers, body, cleartext_allowed=lambda: cleartext)


def internal(mail: bytes, sender: str = "") -> Verdict:
    """Judge a message that claims to be from Postfix itself."""
    headers, _ = split(mail)
    return policy.internal(Envelope(sender, (BOB,), "", ""), headers, "chat.example.org")


def reply(verdict: Verdict) -> str:
    """Return the reply that a refused client sees."""
    assert isinstance(verdict, Refuse), verdict
    return str(verdict.reply)


def pgp_mime(**pieces: str | bytes) -> bytes:
    """Build PGP/MIME with one piece changed."""
    content_type = str(pieces.pop("content_type", mails.ENCRYPTED))
    return mails.header(content_type) + b"\n" + encrypted_body(**pieces)  # type: ignore[arg-type]


NEEDS_ENCRYPTION = "523 Encryption Needed: Invalid Unencrypted Mail"

FAKES = {
    "plain text": mails.cleartext(),
    "armor in plain text": mails.header("text/plain") + b"\n" + armor(),
    "no armor": pgp_mime(data=b"hello\n"),
    "armor of text": pgp_mime(data=armor(b"hello, this is no packet at all")),
    "literal packet": pgp_mime(data=armor(packet(11, b"b\0\0\0\0\0hello"))),
    "literal before container": pgp_mime(data=armor(packet(11, b"b\0\0\0\0\0hello") + SEIPD)),
    "text after the container": pgp_mime(data=armor(PACKETS + b"hello")),
    "session keys only": pgp_mime(data=armor(PKESK)),
    "text before armor": pgp_mime(data=b"hello\n\n" + armor()),
    "text after armor": pgp_mime(data=armor() + b"hello\n"),
    "wrong control part": pgp_mime(control="Content-Type: text/plain\n\nVersion: 1\n"),
    "wrong version": pgp_mime(control="Content-Type: application/pgp-encrypted\n\nVersion: 2\n"),
    "wrong data part": pgp_mime(data_header="Content-Type: text/plain\n"),
    "third part": pgp_mime(before=f"--{BOUNDARY}\n\nhello\n"),
    "one part": mails.header(mails.ENCRYPTED) + f"\n--{BOUNDARY}\n\nx\n--{BOUNDARY}--\n".encode(),
    "signed": pgp_mime(content_type=f"multipart/signed; boundary={BOUNDARY}"),
    "two content types": mails.header(mails.ENCRYPTED, extra="Content-Type: text/plain\n")
    + b"\n"
    + encrypted_body(),
    "secure-join with another body": mails.secure_join(text="secure-join: hello"),
    "secure-join with more text": mails.secure_join(text="secure-join: vc-request\nhello"),
    "secure-join of a later step": mails.secure_join(step="vc-auth-required"),
    "secure-join without its header": mails.secure_join().replace(b"\nSecure-Join:", b"\nX-Join:"),
    "secure-join as plain text": mails.header("text/plain", extra="Secure-Join: vc-request\n")
    + b"\nsecure-join: vc-request\nhello\n",
    "secure-join as html": mails.secure_join().replace(b"text/plain", b"text/html"),
}


@pytest.mark.parametrize(
    ("mail", "kind"),
    [
        (mails.encrypted(), Kind.ENCRYPTED),
        (mails.encrypted(author=f"Alice <{ALICE.upper()}>"), Kind.ENCRYPTED),
        (mails.secure_join(), Kind.SECURE_JOIN),
        (mails.secure_join("vg-request", "Secure-Join: vg-request"), Kind.SECURE_JOIN),
    ],
)
def test_passes_encrypted_mail_and_handshakes_in_both_directions(mail: bytes, kind: Kind) -> None:
    """Chatmail relays exist for these; those of chat clients pass unchanged."""
    assert submit(mail) == Accept(kind)
    assert receive(mail) == Accept(kind)


@pytest.mark.parametrize(
    ("mail", "kind"),
    [
        (mails.secure_join("vg-request", "Secure-Join: VG-request"), Kind.SECURE_JOIN),
        (pgp_mime(content_type=f"Multipart/Encrypted; boundary={BOUNDARY}"), Kind.ENCRYPTED),
        (pgp_mime(before="hello\n"), Kind.ENCRYPTED),
        (pgp_mime(data=armor(headers="Version: GnuPG v2\n")), Kind.ENCRYPTED),
    ],
)
def test_rebuilds_the_same_in_another_form(mail: bytes, kind: Kind) -> None:
    """In both directions only the canonical form is forwarded."""
    for verdict in (submit(mail), receive(mail)):
        assert isinstance(verdict, Accept)
        assert verdict.kind is kind
        assert verdict.rebuilt is not None
        assert b"hello" not in verdict.rebuilt.body


INTEROP = Path(__file__).parent / "interop"


@pytest.mark.parametrize(
    "path",
    [*INTEROP.glob("shape-*.eml"), *INTEROP.glob("pgp-*.eml"), *INTEROP.glob("securejoin-*.eml")],
    ids=lambda path: path.stem,
)
def test_passes_what_real_programs_write(path: Path) -> None:
    """Otherwise invites would fail, and friends who use GnuPG could not be answered."""
    mail = path.read_bytes()
    author = policy.author_of(split(mail)[0])
    assert not isinstance(author, Refuse)

    for verdict in (submit(mail, sender=str(author), login=str(author)), receive(mail)):
        assert isinstance(verdict, Accept)
        assert verdict.rebuilt is not None


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_passes_encrypted_mail_in_a_transfer_encoding(encoding: str) -> None:
    """Gateways re-encode parts; what the reader decodes counts."""
    raw = crlf(armor())
    coded = base64.encodebytes(raw) if encoding == "base64" else quopri.encodestring(armor(), True)
    field = f"Content-Type: application/octet-stream\nContent-Transfer-Encoding: {encoding}\n"
    verdict = receive(pgp_mime(data=coded, data_header=field))

    assert isinstance(verdict, Accept)
    assert verdict.kind is Kind.ENCRYPTED


@pytest.mark.parametrize("mail", FAKES.values(), ids=FAKES.keys())
def test_refuses_readable_mail_in_both_directions(mail: bytes) -> None:
    """Every disguise gets the same reply, which tells the sender what is wrong."""
    assert reply(submit(mail)) == NEEDS_ENCRYPTION
    assert reply(receive(mail)) == NEEDS_ENCRYPTION


@pytest.mark.parametrize("mail", FAKES.values(), ids=FAKES.keys())
def test_passes_incoming_cleartext_where_the_operator_allows_it(mail: bytes) -> None:
    """Newsletters and sign-up mail reach a throw-away address."""
    assert receive(mail, cleartext=True) == Accept(Kind.CLEARTEXT)


def test_passes_a_setup_message_to_oneself() -> None:
    """It carries the key to a second device: encrypted to a code, inside a cleartext message."""
    assert submit(mails.setup_message(), to=(ALICE,)) == Accept(Kind.SETUP_MESSAGE)
    assert submit(mails.setup_message(), to=(ALICE.upper(),)) == Accept(Kind.SETUP_MESSAGE)


@pytest.mark.parametrize(
    ("mail", "to"),
    [
        (mails.setup_message(), (BOB,)),
        (mails.setup_message(), (ALICE, BOB)),
        (mails.setup_message(), (ALICE, ALICE)),
        (mails.setup_message(subject="Re: Autocrypt Setup Message"), (ALICE,)),
        (mails.setup_message().replace(b"multipart/mixed", b"multipart/related"), (ALICE,)),
        (mails.cleartext(subject="Autocrypt Setup Message"), (ALICE,)),
    ],
)
def test_refuses_a_setup_message_to_anybody_else(mail: bytes, to: tuple[str, ...]) -> None:
    """Its subject must not be a way to send cleartext."""
    assert reply(submit(mail, to=to)) == NEEDS_ENCRYPTION


def test_refuses_an_incoming_setup_message() -> None:
    """Others have no reason to send one."""
    assert reply(receive(mails.setup_message(author=f"<{BOB}>"))) == NEEDS_ENCRYPTION


def test_passes_an_incoming_bounce() -> None:
    """The sender of an undeliverable message must learn of it."""
    assert receive(mails.report()) == Accept(Kind.REPORT)


@pytest.mark.parametrize(
    "mail",
    [
        mails.report(extra=""),
        mails.report(extra="Auto-Submitted: no\n"),
        mails.report(extra="Auto-Submitted:\n"),
        mails.report(author=f"<{BOB}>"),
        mails.report(author="MAILER-DAEMON <x@other.example>"),
        mails.report().replace(b"multipart/report", b"multipart/mixed"),
    ],
)
def test_refuses_what_only_resembles_a_bounce(mail: bytes) -> None:
    """All three marks of a bounce are required."""
    assert reply(receive(mail)) == NEEDS_ENCRYPTION


def test_refuses_a_bounce_from_a_user() -> None:
    """The relay's bounces do not use the submission service."""
    mail = mails.report(author=f"<{ALICE}>")

    assert reply(submit(mail)) == NEEDS_ENCRYPTION


@pytest.mark.parametrize(
    ("author", "text"),
    [
        ("mallory@chat.example.org", f"500 Invalid FROM <mallory@chat.example.org> for <{ALICE}>"),
        (f"{ALICE} <x@evil.example>", "500 Invalid FROM header: a display name that is another"),
        (f'"{ALICE}" <x@evil.example>', f"500 Invalid FROM <x@evil.example> for <{ALICE}>"),
        (f"{ALICE}, x@evil.example", "500 Invalid FROM header: not exactly one address"),
        (f"x: {ALICE};", "500 Invalid FROM header: not exactly one address"),
        ("", "500 Invalid FROM header: not exactly one address"),
        ("\u212aim@chat.example.org", "500 Invalid FROM header: an address that is not ASCII"),
        ("a" * 200 + "@b.example", "500 Invalid FROM <aaaaaaaa"),
    ],
)
def test_refuses_a_from_field_that_is_not_the_sender(author: str, text: str) -> None:
    """Readers see the From field, so it must be the account that sent."""
    assert reply(submit(mails.encrypted(author=author))).startswith(text)
    assert len(reply(submit(mails.encrypted(author=author)))) < 400


@pytest.mark.parametrize("count", [0, 2])
def test_refuses_any_number_of_from_fields_but_one(count: int) -> None:
    """The reader's program decides which of two is shown."""
    field = f"From: <{ALICE}>\n".encode()
    mail = mails.encrypted().replace(field, field * count)

    text = f"500 Invalid FROM header: {count} From fields, wanted one"
    assert reply(submit(mail)) == text
    assert reply(receive(mail)) == text


@pytest.mark.parametrize(
    ("sender", "login"),
    [
        ("mallory@chat.example.org", ALICE),
        ("", ALICE),
        (ALICE, ""),
        ("", ""),
        ("alice", "alice"),
        (f"{ALICE}@evil.example", ALICE),
    ],
)
def test_refuses_a_sender_that_is_not_the_login(sender: str, login: str) -> None:
    """Even if Postfix's own check is disabled; only the relay uses null senders."""
    text = reply(submit(mails.encrypted(), sender=sender, login=login))

    assert text.startswith(f"553 5.7.1 <{sender}>: Sender address rejected: not owned by ")


def test_compares_sender_and_login_without_case() -> None:
    """Some clients capitalise what the user typed."""
    assert submit(mails.encrypted(), sender=ALICE.upper()) == Accept(Kind.ENCRYPTED)


@pytest.mark.parametrize("length", [998, 999])
def test_refuses_lines_that_transport_would_fold(length: int) -> None:
    """Postfix folds them after signing, which breaks the signature."""
    line = b"x" * length + b"\n"
    for mail in (mails.setup_message() + line, mails.setup_message() + line + b"short\n"):
        verdict = submit(mail, to=(ALICE,))
        if length > policy.MAX_LINE:
            wanted = "500 Failed to parse message: a line is longer than 998 octets"
            assert reply(verdict) == wanted
        else:
            assert verdict == Accept(Kind.SETUP_MESSAGE)


def test_breaks_the_long_lines_of_encrypted_mail() -> None:
    """Some web mailers write the base64 on one line; the new armor has lines of 64."""
    text = armor().replace(b"\n\n", b"\n@\n").replace(b"-----\n", b"-----@").replace(b"\n-", b"@-")
    mail = pgp_mime(data=text.replace(b"\n", b"").replace(b"@", b"\n"))
    verdict = submit(mail)

    assert max(map(len, mail.split(b"\n"))) > policy.MAX_LINE
    assert isinstance(verdict, Accept)
    assert verdict.rebuilt is not None
    assert max(map(len, verdict.rebuilt.body.split(b"\r\n"))) <= 76


@pytest.mark.parametrize("value", [b" a\rb", b" a\nb", b" a\0b", b" a\r\nb"])
def test_refuses_stray_controls_in_the_header(value: bytes) -> None:
    """Some readers end the field at them, others do not."""
    refused = policy.check_header([(b"To", value), (b"Cc", b" a\r\n\tb")])

    assert refused is not None
    assert reply(refused) == "500 Failed to parse message: stray control character in the header"


@pytest.mark.parametrize("length", [998, 999])
def test_refuses_long_lines_in_the_header(length: int) -> None:
    """The header is signed, too."""
    folded = (b"To", b" a\r\n\t" + b"x" * 900 + b"\r\n\t" + b"x" * 900)
    refused = policy.check_header([folded, (b"Cc", b"x" * (length - len(b"Cc:"))), folded])

    assert (refused is not None) is (length > policy.MAX_LINE)
    if refused:
        wanted = "500 Failed to parse message: a header line is longer than 998 octets"
        assert reply(refused) == wanted


@pytest.mark.parametrize("body", [b"\r\n" * 15_000_000, (b"x" * 76 + b"\r\n") * 400_000])
def test_stays_fast_on_thirty_megabytes(body: bytes) -> None:
    """The line check visits every line of every submission."""
    headers, _ = split(mails.encrypted())
    begin = time.process_time()
    policy.outgoing(Envelope(ALICE, (BOB,), ALICE, ""), headers, body)

    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("author", "peer", "text"),
    [
        ("a@[192.0.2.7]", "192.0.2.7", None),
        ("a@[IPv6:2001:db8::1]", "2001:DB8::1", None),
        ("a@[IPv6:2001:db8::1]", "IPv6:2001:db8::1", None),
        ("a@other.example", "192.0.2.7", None),
        (
            "a@[192.0.2.7]",
            "192.0.2.8",
            "500 Invalid FROM domain literal: 192.0.2.7 does not match origin IP 192.0.2.8",
        ),
        (
            "a@[192.0.2.7]",
            "",
            "500 Invalid FROM domain literal: 192.0.2.7 does not match origin IP ",
        ),
    ],
)
def test_an_address_literal_must_be_the_peers(author: str, peer: str, text: str | None) -> None:
    """Relays without a name have no DKIM, so only their address can be checked."""
    verdict = policy.check_origin(Envelope("", (), "", peer), parse_path(author))

    assert (verdict and str(verdict.reply)) == text


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("submission", Role.SUBMISSION),
        ("incoming", Role.INCOMING),
        ("internal", Role.INTERNAL),
        ("local", Role.LOCAL),
        (None, Role.LOCAL),
    ],
)
def test_the_daemon_name_gives_the_role(name: str | None, role: Role) -> None:
    """Postfix's configuration uses the same names."""
    assert Role.of_daemon(name) is role


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_answers_any_bytes_with_a_verdict(body: bytes, value: bytes) -> None:
    """Any input gives a verdict, not an exception."""
    headers, _ = split(mails.encrypted())
    for extra in (b"From", b"Content-Type", b"Secure-Join", b"Subject", b"Auto-Submitted"):
        fields = [(name, old) for name, old in headers if name != extra] + [(extra, value)]
        envelope = Envelope(ALICE, (ALICE,), ALICE, "")
        assert isinstance(policy.outgoing(envelope, fields, body), Accept | Refuse)


@pytest.mark.parametrize(
    ("sender", "author", "answered"),
    [
        ("", "x@shop.example", True),
        ("x@shop.example", "x@shop.example", True),
        ("x@SHOP.example", "x@shop.example", True),
        ("bounce=1@mail.shop.example", "news@shop.example", True),
        ("victim@other.example", "x@shop.example", False),
        ("victim@myshop.example", "x@shop.example", False),
        ("victim@example", "x@shop.example", False),
        ("x@shop.example", "news@mail.shop.example", False),
        ("x@[192.0.2.1]", "x@[192.0.2.1]", True),
        ("x@[192.0.2.2]", "x@[192.0.2.1]", False),
        ("no address", "x@shop.example", False),
    ],
)
def test_only_an_authenticated_domain_is_answered(sender: str, author: str, answered: bool) -> None:
    """DKIM proves nothing about MAIL FROM; a bounce to an unproven one would be backscatter."""
    envelope = Envelope(sender, (ALICE,), "", "")
    assert policy.may_answer(envelope, parse_path(author)) is answered


OWN_REPORT = mails.report(author="Mail Delivery System <MAILER-DAEMON@chat.example.org>")


def test_signs_the_reports_of_postfix() -> None:
    """Other servers must be able to verify bounces and delay warnings."""
    assert internal(OWN_REPORT) == Accept(Kind.REPORT)


@pytest.mark.parametrize(
    ("mail", "sender"),
    [
        (OWN_REPORT, ALICE),
        (mails.encrypted(), ""),
        (mails.cleartext(author="<mailer-daemon@chat.example.org>"), ""),
        (mails.report(), ""),
        (mails.cleartext(), ALICE),
    ],
    ids=["with a sender", "somebody's", "no report", "of another domain", "cleartext"],
)
def test_refuses_internal_mail_that_is_not_a_report_of_our_own(mail: bytes, sender: str) -> None:
    """A local process with access to cleanup(8) gets no signature for a text of its own."""
    assert reply(internal(mail, sender)) == "550 5.7.1 Programs on this host may not send mail"
