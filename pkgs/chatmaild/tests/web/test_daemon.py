import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

import malformed
from running import Daemon, UnixHTTPConnection, start_daemon

MODULE = "chatmaild.web.daemon"
ASKED = "chatmaild.accounts.daemon"


@pytest.fixture
def start(tmp_path: Path, settings: dict[str, Any]) -> Iterator[Callable[[], Daemon]]:
    """Start it with the current `settings`, together with chatmail-accounts, for one test."""
    started: list[Daemon] = []

    def start() -> Daemon:
        config = tmp_path / "chatmaild.json"
        config.write_text(json.dumps(settings))
        started.extend(start_daemon(name, tmp_path, config) for name in (ASKED, MODULE))
        return started[-1]

    yield start
    for daemon in started:
        daemon.kill()


def ask(
    daemon: Daemon, method: str, path: str = "/new", body: bytes = b"", login: str = ""
) -> tuple[HTTPResponse, str]:
    """Send one request; return the response and its body."""
    connection = UnixHTTPConnection(daemon.directory / "web.sock")
    basic = base64.b64encode(login.encode()).decode()
    connection.request(method, path, body, {"Authorization": f"Basic {basic}"} if login else {})
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response, content


@pytest.mark.parametrize("path", ["/new", "/new?t=token", "/cgi-bin/newemail.py"])
def test_hands_out_an_address(start: Callable[[], Daemon], path: str) -> None:
    """Both paths work, with and without a query."""
    response, content = ask(start(), "POST", path)
    answer = json.loads(content)

    assert response.status == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert set(answer) == {"email", "password"}
    name, _, domain = answer["email"].partition("@")
    assert (len(name), domain, len(answer["password"])) == (9, "chat.example.org", 12)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_self_signed_relay_adds_the_login_link(
    start: Callable[[], Daemon], settings: dict[str, Any], method: str
) -> None:
    """A script on its page fetches the link, so GET works too."""
    settings["certificate"]["source"] = "self-signed"
    response, content = ask(start(), method)
    answer = json.loads(content)

    assert response.status == 200
    assert answer["dclogin_url"].startswith(f"dclogin:{answer['email']}?p=")


def test_a_browser_is_redirected_to_the_client(start: Callable[[], Daemon]) -> None:
    """A user who opens the invite link in a browser gets to the app."""
    response, _ = ask(start(), "GET")

    assert response.status == 301
    assert response.headers["Location"] == "dcaccount:https://chat.example.org/new"


def test_an_invites_token_stays_in_the_link(start: Callable[[], Daemon]) -> None:
    """The app must use the token, and nothing else from the link."""
    response, _ = ask(start(), "GET", "/new?t=a%0d%0ab%26c&x=y")

    assert response.headers["Location"] == ("dcaccount:https://chat.example.org/new?t=a%0D%0Ab%26c")


def test_registration_by_invitation_is_explained(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """A user who scanned an old poster learns what to do."""
    settings["registration"] = "invite"
    daemon = start()

    for path, words in (("/new", "by invitation only"), ("/new?t=wrong", "is not valid")):
        response, content = ask(daemon, "POST", path)

        assert response.status == 403
        assert words in json.loads(content)["reason"]


def test_without_the_accounts_daemon_it_asks_to_retry(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """During an update the app shows a sentence, and the log names the cause."""
    config = tmp_path / "chatmaild.json"
    config.write_text(json.dumps(settings))
    daemon = start_daemon(MODULE, tmp_path, config)

    response, content = ask(daemon, "POST")

    assert response.status == 503
    assert response.headers["Retry-After"] == "60"
    assert "try again later" in json.loads(content)["reason"]
    assert "chatmail-accounts is unreachable" in daemon.stop()


@pytest.mark.parametrize(
    "login",
    [
        "",
        "no-colon",
        "alice1234@chat.example.org:",
        ":secret-password",
        "alice1234@chat.example.org:wrong-password",
        "nobody123@chat.example.org:secret-password",
    ],
)
def test_only_the_owner_deletes_an_account(start: Callable[[], Daemon], login: str) -> None:
    """A wrong request reveals nothing about accounts."""
    daemon = start()
    daemon.login("alice1234@chat.example.org", "secret-password")

    response, content = ask(daemon, "POST", "/delete", login=login)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert json.loads(content) == {"reason": "The address or the password is wrong."}
    answer = daemon.login("alice1234@chat.example.org", "secret-password")[1]
    assert answer["active"] == "yes"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_deletion_requires_post(start: Callable[[], Daemon], method: str) -> None:
    """Opening a link must not delete anything."""
    daemon = start()
    login = "alice1234@chat.example.org:secret-password"
    daemon.login(*login.split(":"))

    assert ask(daemon, method, "/delete", login=login)[0].status == 405


def test_a_closed_relay_says_so(start: Callable[[], Daemon], settings: dict[str, Any]) -> None:
    """The client shows `reason` to its user."""
    settings["registration"] = "closed"
    response, content = ask(start(), "POST")

    assert response.status == 403
    assert list(json.loads(content)) == ["reason"]
    assert "does not create new addresses" in json.loads(content)["reason"]


def test_the_nocreate_file_closes_without_a_restart(start: Callable[[], Daemon]) -> None:
    """During an attack the operator creates one file."""
    daemon = start()
    (daemon.directory / "nocreate").touch()

    assert ask(daemon, "POST")[0].status == 403

    (daemon.directory / "nocreate").unlink()

    assert ask(daemon, "POST")[0].status == 200


def test_a_host_without_resources_says_so(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """It hands out nothing that the first login would refuse."""
    settings["admission"]["minAvailableMemory"] = 2**62
    response, content = ask(start(), "POST")

    assert response.status == 503
    assert "too busy" in json.loads(content)["reason"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/new", b"", 405),
        ("DELETE", "/new", b"", 405),
        ("POST", "/", b"", 404),
        ("POST", "/new/", b"", 404),
        ("GET", "/../etc/passwd", b"", 404),
        ("POST", "/new", b"x" * 4096, 200),
        ("POST", "/new", b"x" * 4097, 413),
    ],
)
def test_other_paths_do_not_exist(
    start: Callable[[], Daemon], method: str, path: str, body: bytes, status: int
) -> None:
    """The endpoint has only one purpose."""
    response, _ = ask(start(), method, path, body)

    assert response.status == status
    assert response.headers["Server"] == "chatmail"
    if status == 405:
        assert response.headers["Allow"] == "GET,HEAD,POST"


def test_malformed_http_gets_a_short_answer(start: Callable[[], Daemon]) -> None:
    """The answer has no traceback, and the log shows no request."""
    daemon = start()
    for name in malformed.REQUESTS:
        for path in ("/new", "/delete", "/mxdeliv"):
            status = malformed.answer(daemon.directory / "web.sock", name, path)

            assert status == malformed.REQUESTS[name][1]

    assert ask(daemon, "POST")[0].status == 200
    assert "Traceback" not in daemon.stop()


@pytest.mark.parametrize(
    "field",
    [b"Basic YUB\xf3", b"Basic \xff", b"Basic /w==", b"Basic YQ==", b"Bearer x", b"\xf3", b""],
)
def test_a_login_that_cannot_be_read_is_refused(start: Callable[[], Daemon], field: bytes) -> None:
    """Neither octets beyond ASCII nor bad base64 are a fault of the relay."""
    daemon = start()
    head = b"POST /delete HTTP/1.1\r\nHost: relay\r\nContent-Length: 0\r\n"

    status = malformed.status(
        daemon.directory / "web.sock", head + b"Authorization: " + field + b"\r\n\r\n"
    )

    assert status == b"401"
    assert "Traceback" not in daemon.stop()


def test_a_token_beyond_ascii_is_unknown(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """It arrives as raw octets or percent-encoded, and gets one of the usual answers."""
    settings["registration"] = "invite"
    daemon = start()
    for token, refused in ((b"\xf3", b"400"), (b"%f3", b""), (b"%00", b""), (b"%ed%b3%b3", b"")):
        for method, usual in ((b"POST", b"403"), (b"GET", b"301")):
            line = method + b" /new?t=" + token + b" HTTP/1.1\r\nHost: relay\r\n"
            status = malformed.status(
                daemon.directory / "web.sock", line + b"Content-Length: 0\r\n\r\n"
            )
            assert status == (refused or usual)

    assert "Traceback" not in daemon.stop()


def test_the_log_contains_no_personal_data(start: Callable[[], Daemon]) -> None:
    """New addresses are counted, not logged."""
    daemon = start()
    _, content = ask(daemon, "POST")

    log = daemon.stop()

    assert json.loads(content)["email"].partition("@")[0] not in log
    assert json.loads(content)["password"] not in log
    assert "handed_out=1" in log


def test_excess_mail_is_refused_at_once(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """A hundred silent senders made all other relays wait for a minute."""
    with ExitStack() as stack:
        # Connections to it succeed, but no greeting comes.
        postfix = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200))
        settings["https"]["smtp"] = postfix.getsockname()[1]
        daemon = start()

        def begin() -> UnixHTTPConnection:
            connection = UnixHTTPConnection(daemon.directory / "web.sock")
            stack.callback(connection.close)
            connection.putrequest("POST", "/mxdeliv")
            fields = {"X-MAIL-TO": "a@b.example", "X-Real-IP": "192.0.2.9", "Content-Length": "9"}
            for name, value in fields.items():
                connection.putheader(name, value)
            connection.endheaders(b"x")
            return connection

        for _ in range(100):
            begin()
            stack.enter_context(postfix.accept()[0])
        response = begin().getresponse()

        assert (response.status, response.read()) == (503, b"451 4.3.2 Too many messages at once\n")
