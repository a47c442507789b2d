"""IMAP for chat clients."""

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
    """Return the words of an untagged CAPABILITY answer."""
    found = [line for line in lines if line.startswith("* CAPABILITY ")]
    return set(found[0].split()[2:]) if found else set()


def test_identifies_itself_before_login(relay: Relay) -> None:
    """Without an account, clients recognise a chatmail relay and its push notifications."""
    with imaps(relay) as imap:
        found = capabilities(imap.answer("CAPABILITY"))

    assert {"XCHATMAIL", "XDELTAPUSH", "IMAP4rev1"} <= found


def test_offers_what_clients_need_after_login(alice: Person) -> None:
    """Core does not use what is not offered: push, METADATA, quota warnings."""
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
    """A compressed connection cannot hibernate and takes two hundred times the memory."""
    with logged_in(alice) as imap:
        found = capabilities(imap.answer("CAPABILITY"))

    assert found
    assert not any(word.startswith("COMPRESS") for word in found)


def test_port_143_accepts_a_login_after_starttls(alice: Person) -> None:
    """Port 143 is for older clients, and requires TLS too."""
    with Dialogue.connect(alice.relay.address, 143) as imap:
        assert "STARTTLS" in imap.line()
        assert imap.answer("STARTTLS")[-1].startswith("a OK")
        imap.secure()

        assert imap.answer(f'LOGIN "{alice.address}" "{alice.password}"')[-1].startswith("a OK")


@pytest.mark.parametrize("command", ["LOGIN {address} {password}", "AUTHENTICATE PLAIN AGEAYg=="])
def test_refuses_a_login_without_tls(alice: Person, command: str) -> None:
    """Anyone could have read the password, so it is not even checked."""
    with Dialogue.connect(alice.relay.address, 143) as imap:
        assert "LOGINDISABLED" in imap.line()
        answer = imap.answer(command.format(address=alice.address, password=alice.password))

    assert answer[-1].startswith("a NO [PRIVACYREQUIRED]")


def test_commands_before_starttls_do_not_count_after_it(alice: Person) -> None:
    """Commands injected before the handshake would run inside TLS (CVE-2011-0411)."""
    with Dialogue.connect(alice.relay.address, 143) as imap:
        imap.line()
        imap.send(b"a STARTTLS\r\nb NOOP\r\n")
        assert imap.until("a")[-1].startswith("a OK")
        try:
            imap.secure()
        except ssl.SSLError:
            return  # The relay took the injected line for an invalid handshake.
        said = imap.answer("NOOP", tag="c")

    assert not [line for line in said if line.startswith("b ")]


def test_port_443_offers_imap_by_alpn(alice: Person) -> None:
    """Some networks allow only port 443; ALPN distinguishes the protocols (RFC 7301)."""
    with logged_in(alice, 443) as imap:
        assert imap.answer("SELECT INBOX")[-1].startswith("a OK")


def test_port_443_offers_http_otherwise(relay: Relay) -> None:
    """A browser offers http/1.1 or nothing, and gets the website."""
    for alpn in (None, "http/1.1"):
        site = http.client.HTTPSConnection(relay.domain, timeout=15, context=insecure(alpn))
        with closing(site):
            site.request("GET", "/")

            assert site.getresponse().status == 200


@pytest.mark.parametrize(
    ("port", "alpn"), [(993, None), (443, "imap"), (465, None), (443, "smtp")], ids=str
)
def test_clients_need_tls_1_3(relay: Relay, port: int, alpn: str | None) -> None:
    """Every chat client supports TLS 1.3, and only it has no weak options left."""
    Dialogue.connect(relay.address, port, insecure(alpn)).close()

    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
        Dialogue.connect(relay.address, port, insecure(alpn, TLS_1_2_ONLY))


@pytest.mark.parametrize("port", [143, 587])
def test_clients_need_tls_1_3_after_starttls(relay: Relay, port: int) -> None:
    """The plain ports do not weaken this."""
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
    """Test suites of clients expect value and parenthesis on a separate line."""
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
def test_a_missing_entry_is_nil(alice: Person, entry: str) -> None:
    """Clients then use their default server; an empty value would prevent this."""
    with logged_in(alice) as imap:
        lines = imap.answer(f'GETMETADATA "" {entry}')

    assert lines[0] == f'* METADATA "" ({entry} NIL)'
    assert lines[-1].startswith("a OK Getmetadata completed")


def test_an_account_can_have_several_device_tokens(alice: Person) -> None:
    """A user has several devices, and each sets its token many times."""
    tokens = ["openpgp:wV4DJvryGFYGDj4SAQdA", "fcm-chat.delta:cGVvcGxl"]
    with logged_in(alice) as imap:
        for token in [*tokens, tokens[0]]:
            lines = imap.answer(f'SETMETADATA INBOX (/private/devicetoken "{token}")')
            assert lines[-1].startswith("a OK Setmetadata completed")
        lines = imap.answer("GETMETADATA INBOX /private/devicetoken")

    assert re.fullmatch(r'\* METADATA "?INBOX"? \(/private/devicetoken \{\d+\}', lines[0])
    assert sorted(lines[1].removesuffix(")").split(" ")) == sorted(tokens)
    assert lines[2].startswith("a OK Getmetadata completed")


def test_a_device_token_is_private(alice: Person, bob: Person) -> None:
    """Anyone who knows the token can wake the phone."""
    with logged_in(alice) as imap:
        imap.answer('SETMETADATA INBOX (/private/devicetoken "alices-token")')
    with logged_in(bob) as imap:
        lines = imap.answer("GETMETADATA INBOX /private/devicetoken")

    assert "NIL" in lines[0]
    assert not any("alices-token" in line for line in lines)


@pytest.mark.parametrize("token", ["", "two words", "x" * 4097, "ümlaut", "back\\slash"])
def test_refuses_invalid_device_tokens(alice: Person, token: str) -> None:
    """A token is sent to the push proxy unchanged, so it must be one word of limited length."""
    data = token.encode()
    with logged_in(alice) as imap:
        imap.say(f"a SETMETADATA INBOX (/private/devicetoken {{{len(data)}+}}").send(data).say(")")
        refused = imap.until("a")[-1]
        lines = imap.answer("GETMETADATA INBOX /private/devicetoken")

    assert refused.startswith("a NO")
    assert "NIL" in lines[0]


def test_refuses_to_change_server_entries(alice: Person) -> None:
    """Otherwise a user could redirect everyone's calls and channels to another server."""
    with logged_in(alice) as imap:
        refused = imap.answer(f'SETMETADATA "" ({DELTACHAT}/irohrelay "https://evil.test")')[-1]
        lines = imap.answer(f'GETMETADATA "" {DELTACHAT}/irohrelay')

    assert refused.startswith("a NO")
    assert lines[0].endswith("/irohrelay NIL)")


def test_shows_the_privacy_contact(public_relay: Relay) -> None:
    """Clients show it, if the operator has configured one."""
    with logged_in(Person.on(public_relay)) as imap:
        lines = imap.answer('GETMETADATA "" /shared/admin')

    assert lines[1] == "mailto:privacy@two.test)"


def test_reports_the_quota(alice: Person) -> None:
    """Clients warn their users at 80 %, so they need limit and usage in KiB (RFC 9208)."""
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


def test_standard_folders_have_special_uses(alice: Person) -> None:
    """Other clients find Sent and Trash by their special use, in any language (RFC 6154)."""
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


def test_deleting_a_folder_keeps_push_notifications(alice: Person) -> None:
    """DELETE failed with SERVERBUG and logged the folder's name; tokens are the account's."""
    token = "/private/devicetoken"
    with logged_in(alice) as imap:
        assert imap.answer(f'SETMETADATA INBOX ({token} "fcm-1")')[-1].startswith("a OK")
        assert imap.answer("CREATE Archive")[-1].startswith("a OK")
        cursor = alice.relay.machine.cursor()
        assert imap.answer("DELETE Archive")[-1].startswith("a OK")
        assert not any("Archive" in line for line in imap.answer('LIST "" "*"'))
        assert "fcm-1)" in imap.answer(f"GETMETADATA INBOX ({token})")

    assert "Archive" not in alice.relay.machine.journal("dovecot", after=cursor)


def test_an_idle_client_is_notified_of_new_mail(alice: Person, bob: Person) -> None:
    """A chat client waits in IDLE, and learns of a message only through EXISTS."""
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


def test_answers_id_with_its_name(alice: Person) -> None:
    """Core sends ID and accepts any answer (RFC 2971)."""
    with logged_in(alice) as imap:
        lines = imap.answer('ID ("name" "Delta Chat")')

    assert lines[0].startswith("* ID ")
    assert lines[-1].startswith("a OK")


def test_header_fields_that_clients_read_arrive(alice: Person, bob: Person) -> None:
    """Core decides by them whether to download a message."""
    extra = (
        "Chat-Is-Post-Message: 1",
        "In-Reply-To: <before@client.test>",
        "Auto-Submitted: auto-replied",
    )
    usual = ("Message-ID", "Date", "From", "To", "Content-Type", "MIME-Version", "Chat-Version")
    names = [*usual, *(line.partition(":")[0] for line in extra)]
    message = messages.encrypted(alice.address, bob.address, fields=extra)
    alice.send(message, bob.address)

    arrived = bob.wait_for(message)

    assert {name: messages.header(arrived, name) for name in names} == {
        name: messages.header(message, name) for name in names
    }
