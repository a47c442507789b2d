"""What chat clients find when they look for their messages."""

from __future__ import annotations

import http.client
import re
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from people import messages
from people.dialogue import Dialogue, insecure
from people.imap import imaps, logged_in
from people.people import Person

if TYPE_CHECKING:
    from harness.relay import Relay

TLS_1_2_ONLY = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
DELTACHAT = "/shared/vendor/deltachat"


def capabilities(lines: list[str]) -> set[str]:
    """Read the words of an untagged CAPABILITY answer."""
    found = [line for line in lines if line.startswith("* CAPABILITY ")]
    return set(found[0].split()[2:]) if found else set()


def test_says_what_it_is_before_login(relay: Relay) -> None:
    """Clients recognise a chatmail relay, and that it can wake them, without an account."""
    with imaps(relay) as imap:
        found = capabilities(imap.answer("CAPABILITY"))

    assert {"XCHATMAIL", "XDELTAPUSH", "IMAP4rev1"} <= found


def test_offers_what_clients_need_after_login(alice: Person) -> None:
    """Chatmail core leaves out what is not offered: push, news, warnings of a full mailbox."""
    with logged_in(alice) as imap:
        found = capabilities(imap.answer("CAPABILITY"))

    assert {
        "XCHATMAIL",
        "XDELTAPUSH",
        "IDLE",
        "MOVE",
        "QUOTA",
        "METADATA",
        "ID",
        "UIDPLUS",
    } <= found


def test_offers_no_compression(alice: Person) -> None:
    """A compressed connection cannot hibernate and costs two hundred times the memory."""
    with logged_in(alice) as imap:
        found = capabilities(imap.answer("CAPABILITY"))

    assert found
    assert not any(word.startswith("COMPRESS") for word in found)


def test_plain_port_takes_a_login_after_starttls(alice: Person) -> None:
    """Port 143 is for clients that know nothing better, and TLS comes first there too."""
    with Dialogue.connect(alice.relay.address, 143) as imap:
        assert "STARTTLS" in imap.line()
        assert imap.answer("STARTTLS")[-1].startswith("a OK")
        imap.secure()

        assert imap.answer(f'LOGIN "{alice.address}" "{alice.password}"')[-1].startswith("a OK")


@pytest.mark.parametrize("command", ["LOGIN {address} {password}", "AUTHENTICATE PLAIN AGEAYg=="])
def test_refuses_a_login_without_tls(alice: Person, command: str) -> None:
    """A password in the clear is everybody's, so it is not even looked at."""
    with Dialogue.connect(alice.relay.address, 143) as imap:
        assert "LOGINDISABLED" in imap.line()
        answer = imap.answer(command.format(address=alice.address, password=alice.password))

    assert answer[-1].startswith("a NO [PRIVACYREQUIRED]")


def test_nothing_said_before_starttls_counts_after_it(alice: Person) -> None:
    """Commands injected ahead of the handshake would run inside TLS (CVE-2011-0411)."""
    with Dialogue.connect(alice.relay.address, 143) as imap:
        imap.line()
        imap.send(b"a STARTTLS\r\nb NOOP\r\n")
        assert imap.until("a")[-1].startswith("a OK")
        try:
            imap.secure()
        except ssl.SSLError:
            return  # The relay took the injected line for a broken handshake.
        said = imap.answer("NOOP", tag="c")

    assert not [line for line in said if line.startswith("b ")]


def test_port_443_speaks_imap_to_whoever_asks_for_it(alice: Person) -> None:
    """Some networks let nothing but 443 through; ALPN tells the protocols apart (RFC 7301)."""
    with logged_in(alice, 443) as imap:
        assert imap.answer("SELECT INBOX")[-1].startswith("a OK")


def test_port_443_speaks_http_to_all_others(relay: Relay) -> None:
    """A browser offers http/1.1 or nothing and gets the site."""
    for alpn in (None, "http/1.1"):
        site = http.client.HTTPSConnection(relay.domain, timeout=15, context=insecure(alpn))
        with closing(site):
            site.request("GET", "/")

            assert site.getresponse().status == 200


@pytest.mark.parametrize(
    ("port", "alpn"), [(993, None), (443, "imap"), (465, None), (443, "smtp")], ids=str
)
def test_clients_need_tls_1_3(relay: Relay, port: int, alpn: str | None) -> None:
    """Every chat client speaks it, and it alone has no weak choices left."""
    Dialogue.connect(relay.address, port, insecure(alpn)).close()

    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
        Dialogue.connect(relay.address, port, insecure(alpn, TLS_1_2_ONLY))


@pytest.mark.parametrize("port", [143, 587])
def test_clients_need_tls_1_3_after_starttls(relay: Relay, port: int) -> None:
    """The plain ports are no way around it."""
    with Dialogue.connect(relay.address, port) as session:
        if port == 143:
            session.line()
            session.answer("STARTTLS")
        else:
            session.expect("220 ")
            session.say("EHLO client.test").expect("250 ")
            session.say("STARTTLS").expect("220 ")

        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
            session.secure(insecure(versions=TLS_1_2_ONLY))


def test_metadata_comes_as_a_literal_on_the_second_line(alice: Person) -> None:
    """Test suites of clients read exactly this: value and parenthesis on a line of their own."""
    with logged_in(alice) as imap:
        imap.say(f'a GETMETADATA "" {DELTACHAT}/maxsmtprecipients')
        lines = imap.until("a")

    assert lines[0] == f'* METADATA "" ({DELTACHAT}/maxsmtprecipients {{4}}'
    assert lines[1] == "1000)"
    assert lines[2].startswith("a OK Getmetadata completed")
    assert len(lines) == 3


@pytest.mark.parametrize(
    "entry", [f"{DELTACHAT}/irohrelay", f"{DELTACHAT}/nothing", "/shared/comment"]
)
def test_an_entry_that_is_not_there_is_nil(alice: Person, entry: str) -> None:
    """Clients then use a server of their own, from which an empty text would keep them."""
    with logged_in(alice) as imap:
        lines = imap.answer(f'GETMETADATA "" {entry}')

    assert lines[0] == f'* METADATA "" ({entry} NIL)'
    assert lines[-1].startswith("a OK Getmetadata completed")


def test_device_tokens_are_kept_side_by_side(alice: Person) -> None:
    """One person has several devices to be woken, and a device says its token many times."""
    tokens = ["openpgp:wV4DJvryGFYGDj4SAQdA", "fcm-chat.delta:cGVvcGxl"]
    with logged_in(alice) as imap:
        for token in [*tokens, tokens[0]]:
            lines = imap.answer(f'SETMETADATA INBOX (/private/devicetoken "{token}")')
            assert lines[-1].startswith("a OK Setmetadata completed")
        lines = imap.answer("GETMETADATA INBOX /private/devicetoken")

    assert re.fullmatch(r'\* METADATA "?INBOX"? \(/private/devicetoken \{\d+\}', lines[0])
    assert sorted(lines[1].removesuffix(")").split(" ")) == sorted(tokens)
    assert lines[2].startswith("a OK Getmetadata completed")


def test_a_device_token_is_its_owners(alice: Person, bob: Person) -> None:
    """Whoever reads another's token can wake another's telephone."""
    with logged_in(alice) as imap:
        imap.answer('SETMETADATA INBOX (/private/devicetoken "alices-token")')
    with logged_in(bob) as imap:
        lines = imap.answer("GETMETADATA INBOX /private/devicetoken")

    assert "NIL" in lines[0]
    assert not any("alices-token" in line for line in lines)


@pytest.mark.parametrize("token", ["", "two words", "x" * 4097, "ümlaut", "back\\slash"])
def test_refuses_what_is_no_device_token(alice: Person, token: str) -> None:
    """A token goes to the push proxy as it is, so it must be one word and no more than a line."""
    data = token.encode()
    with logged_in(alice) as imap:
        imap.say(f"a SETMETADATA INBOX (/private/devicetoken {{{len(data)}+}}").send(data).say(")")
        refused = imap.until("a")[-1]
        lines = imap.answer("GETMETADATA INBOX /private/devicetoken")

    assert refused.startswith("a NO")
    assert "NIL" in lines[0]


def test_refuses_to_change_what_is_the_relays(alice: Person) -> None:
    """Otherwise anyone could send everybody's calls and channels through a server of their own."""
    with logged_in(alice) as imap:
        refused = imap.answer(f'SETMETADATA "" ({DELTACHAT}/irohrelay "https://evil.test")')[-1]
        lines = imap.answer(f'GETMETADATA "" {DELTACHAT}/irohrelay')

    assert refused.startswith("a NO")
    assert lines[0].endswith("/irohrelay NIL)")


def test_tells_the_contact_for_privacy(public_relay: Relay) -> None:
    """Clients show whom to ask, if the operator has said so."""
    with logged_in(Person.on(public_relay)) as imap:
        lines = imap.answer('GETMETADATA "" /shared/admin')

    assert lines[1] == "mailto:privacy@two.test)"


def test_reports_the_quota(alice: Person) -> None:
    """Clients warn their people at 80 %, so they need the limit and the use in KiB (RFC 9208)."""
    alice.send(messages.encrypted_of_size(alice.address, alice.address, 100_000), alice.address)
    alice.wait_for_any()

    with logged_in(alice) as imap:
        lines = imap.answer("GETQUOTAROOT INBOX")

    assert "* QUOTAROOT INBOX user" in lines
    found = [re.search(r"\(STORAGE (\d+) (\d+) MESSAGE (\d+) (\d+)\)", line) for line in lines]
    used, limit, messages_used, messages_limit = next(
        map(int, hit.groups()) for hit in found if hit
    )
    bounds = alice.relay.value.daemons["mailbox"]
    assert (limit, messages_limit) == (bounds["maxSize"] // 1024, bounds["maxMessages"])
    assert 97 <= used <= 100
    assert messages_used == 1


def test_folders_that_clients_make_have_their_use(alice: Person) -> None:
    """Other clients find Sent and Trash by their use, whatever the language (RFC 6154)."""
    uses = {
        "Drafts": "\\Drafts",
        "Junk": "\\Junk",
        "Trash": "\\Trash",
        "Sent": "\\Sent",
        "Sent Messages": "\\Sent",
    }
    with logged_in(alice) as imap:
        for folder in uses:
            assert imap.answer(f'CREATE "{folder}"')[-1].startswith("a OK")
        lines = imap.answer('LIST "" "*"')

    folders = {
        found[2]: found[1].split()
        for line in lines
        if (found := re.match(r'\* LIST \(([^)]*)\) "/" "?([^"]+)"?$', line))
    }
    assert set(folders) == {"INBOX", *uses}
    assert all(use in folders[folder] for folder, use in uses.items())


def test_a_folder_can_be_deleted_and_pushes_go_on(alice: Person) -> None:
    """It said SERVERBUG, and the log had the folder's name; a device token is the account's."""
    token = "/private/devicetoken"
    with logged_in(alice) as imap:
        assert imap.answer(f'SETMETADATA INBOX ({token} "fcm-1")')[-1].startswith("a OK")
        assert imap.answer("CREATE Archive")[-1].startswith("a OK")
        cursor = alice.relay.machine.cursor()
        assert imap.answer("DELETE Archive")[-1].startswith("a OK")
        assert not any("Archive" in line for line in imap.answer('LIST "" "*"'))
        assert "fcm-1)" in imap.answer(f"GETMETADATA INBOX ({token})")

    assert "Archive" not in alice.relay.machine.journal("dovecot", after=cursor)


def test_an_idle_client_is_told_of_new_mail(alice: Person, bob: Person) -> None:
    """A chat client sleeps in IDLE: without the word EXISTS there is no message for it."""
    message = messages.encrypted(alice.address, bob.address)
    with logged_in(bob) as imap:
        imap.answer("SELECT INBOX")
        imap.say("b IDLE")
        assert imap.line().startswith("+")
        alice.send(message, bob.address)

        assert imap.line() == "* 1 EXISTS"

        imap.say("DONE")
        assert imap.until("b")[-1].startswith("b OK")
        lines = imap.answer("FETCH 1 (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        assert any(messages.id_of(message) in line for line in lines)


def test_tells_its_name_to_clients_that_tell_theirs(alice: Person) -> None:
    """Chatmail core sends ID and goes on with whatever comes back (RFC 2971)."""
    with logged_in(alice) as imap:
        lines = imap.answer('ID ("name" "Delta Chat")')

    assert lines[0].startswith("* ID ")
    assert lines[-1].startswith("a OK")


def test_header_fields_that_clients_read_arrive(alice: Person, bob: Person) -> None:
    """Chatmail core decides by them whether it downloads a message."""
    extra = (
        "X-Microsoft-Original-Message-ID: <original@client.test>",
        "Chat-Is-Post-Message: 1",
        "Autocrypt-Setup-Message: v1",
        "Autocrypt: addr=someone@client.test; keydata=eHh4eA==",
        "In-Reply-To: <before@client.test>",
        "References: <first@client.test> <before@client.test>",
    )
    usual = ("Message-ID", "Date", "From", "To", "Content-Type", "MIME-Version", "Chat-Version")
    names = [*usual, *(line.partition(":")[0] for line in extra)]
    message = messages.encrypted(alice.address, bob.address, fields=extra)
    alice.send(message, bob.address)

    arrived = bob.wait_for(message)

    assert {name: messages.header(arrived, name) for name in names} == {
        name: messages.header(message, name) for name in names
    }
