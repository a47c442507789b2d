"""
`chatmail-filter`: the milter between Postfix and `pipeline`. Only translation happens here.

Postfix speaks the milter protocol to one UNIX socket for all its services and says with
`milter_macro_daemon_name` which of them is asking. When this process is down or answers with an
error, mail waits at its sender: Postfix is set to refuse, never to let pass.

libmilter runs callbacks of one connection on changing threads, one at a time. So what belongs to a
connection lives in its `Session`, and what is shared lives behind locks in `Pipeline`.
"""

import contextlib
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import Milter

from chatmaild import daemon, numbers, sockets, systemd
from chatmaild.config import Config, ConfigError, is_address
from chatmaild.filter import keys, replies, resolver, signing
from chatmaild.filter.pipeline import Pass, Pipeline
from chatmaild.filter.policy import Envelope, Refuse, Role
from chatmaild.filter.replies import Reply

if TYPE_CHECKING:
    from chatmaild.filter.structure import Header

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MAX_HEADERS = 1000
MAX_HEADER_BYTES = 524_288
"""A To field with 1000 recipients has 40 KB; Postfix bounds one field, not their sum."""
REPORT_INTERVAL_SECONDS = 3600
SOCKET_UMASK = 0o007
"""The socket is for the filter's user and its group, in which Postfix is."""

# Once, because pymilter has no types and int() at each field would be for the type checker alone.
CONTINUE = int(Milter.CONTINUE)
NO_REPLY = int(Milter.NOREPLY)

log = logging.getLogger("chatmail-filter")

_Decorator = Callable[[Callable[..., int]], Callable[..., int]]
_noreply: _Decorator = Milter.noreply
"""Tells Postfix not to wait for an answer: saves a round trip per header field."""
_lossy: _Decorator = Milter.decode("replace")
"""Addresses that are not UTF-8 arrive with replacement characters and so match nobody's."""


def _guarded(callback: Callable[..., int]) -> Callable[..., int]:
    """Turn an unexpected exception into a temporary refusal and one log line without content."""

    @functools.wraps(callback)
    def wrapper(self: "Session", *arguments: Any) -> int:
        try:
            return callback(self, *arguments)
        except Exception as error:  # noqa: BLE001 whatever it is, the mail must wait and not pass
            self.stumble(error, callback.__name__)
            if callback.__name__ in ("envrcpt", "eom"):
                return self.refuse(replies.INTERNAL_ERROR)
            return CONTINUE

    return wrapper


@Milter.header_leading_space  # otherwise "simple" signatures of others cannot be verified
class Session(Milter.Base):  # type: ignore[misc]
    """One connection from Postfix, which may carry many messages one after the other."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Start without a message."""
        self._pipeline = pipeline
        self._peer = ""
        self._over_smtp = False
        self._reset()

    def _reset(self) -> None:
        self._role = Role.INTERNAL
        self._sender = ""
        self._login = ""
        self._recipients: list[str] = []
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._size = 0
        self._header_size = 0
        self._refusal: Reply | None = None

    def drop(self, reply: Reply) -> None:
        """Refuse the message as soon as the protocol allows, and forget its content already."""
        self._refusal = self._refusal or reply
        self._headers, self._body = [], []

    def stumble(self, error: Exception, callback: str) -> None:
        """Note an exception that nobody expected, by its place alone, and refuse for now."""
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        line = f"{where.tb_frame.f_code.co_qualname}:{where.tb_lineno}" if where else "?"
        log.error("%s in %s at %s", type(error).__name__, callback, line)
        self.drop(replies.INTERNAL_ERROR)

    def refuse(self, reply: Reply) -> int:
        """Give the client this reply."""
        self._pipeline.counters.count(f"{self._role.value}-refused-{reply.reason}")
        # Without the enhanced code as its own argument libmilter passes the text on unchanged.
        self.setreply(reply.code, None, reply.text.replace("%", "%%"))
        return int(Milter.TEMPFAIL if reply.code.startswith("4") else Milter.REJECT)

    @_noreply
    @_guarded
    def connect(self, hostname: str, family: int, address: Any) -> int:
        """Note the peer: (address, port, ...) for IP, something else or port 0 without SMTP."""
        if isinstance(address, tuple):
            self._peer = str(address[0])
            self._over_smtp = address[1] != 0
        return CONTINUE

    @_noreply
    @_lossy
    @_guarded
    def envfrom(self, sender: str, *parameters: str) -> int:
        """Begin a message. Nothing is decided yet: Postfix has not compared sender and login."""
        self._reset()
        self._role = Role.of_daemon(self.getsymval("{daemon_name}"))
        self._sender = _bare(sender)
        self._login = self.getsymval("{auth_authen}") or ""
        if self._role is Role.INTERNAL and self._over_smtp:
            # Internal mail passes unjudged, and "internal" is Postfix's global setting: an smtpd
            # whose own line was forgotten must not let everything pass.
            log.error("an smtpd has no milter_macro_daemon_name of its own; its mail is put off")
            self.drop(replies.INTERNAL_ERROR)
        return CONTINUE

    @_lossy
    @_guarded
    def envrcpt(self, recipient: str, *parameters: str) -> int:
        """Judge a recipient that Postfix has accepted."""
        if self._role is Role.SUBMISSION and not self._recipients and not self._refusal:
            refused = self._pipeline.open_submission(self._sender, self._login)
            self._refusal = refused.reply if refused else None
        if self._refusal:
            # The same answer for all of them, or the message would go to some and not to others.
            return self.refuse(self._refusal)
        if refused := self._pipeline.check_recipient(self._role, len(self._recipients) + 1):
            return self.refuse(refused.reply)
        self._recipients.append(_bare(recipient))
        return CONTINUE

    @_noreply
    def header(self, name: str, value: str) -> int:
        """Only declares that no answer is sent per field; `header_bytes` is what gets called."""
        raise NotImplementedError

    def header_bytes(self, name: str, value: bytes) -> int:
        """
        Take one field: raw value with its leading space, folds as LF + WSP.

        Called ten times as often as the others, hence without the layers of their decorators.
        """
        try:
            raw = value.replace(b"\n", b"\r\n")
            self._header_size += len(name) + len(raw) + 3
            if len(self._headers) >= MAX_HEADERS or self._header_size > MAX_HEADER_BYTES:
                self.drop(replies.unparsable("the header is too long"))
            elif not self._refusal:
                self._headers.append((name.encode("ascii"), raw))
        except Exception as error:  # noqa: BLE001 as in _guarded
            self.stumble(error, "header")
        return NO_REPLY if self._protocol & Milter.P_NR_HDR else CONTINUE

    @_noreply
    @_guarded
    def body(self, chunk: bytes) -> int:
        """Take a piece of the body, at most 64 KB, with CRLF line ends."""
        self._size += len(chunk)
        if self._size + self._header_size > self._pipeline.max_size:
            self.drop(replies.MESSAGE_TOO_LARGE)
        elif not self._refusal:
            self._body.append(chunk)
        return CONTINUE

    @_guarded
    def eom(self) -> int:
        """Judge the whole message and make the edits."""
        if self._refusal:
            return self.refuse(self._refusal)
        envelope = Envelope(self._sender, tuple(self._recipients), self._login, self._peer)
        body = b"".join(self._body)
        self._body = []
        result = self._pipeline.finish(self._role, envelope, self._headers, body)
        if isinstance(result, Refuse):
            return self.refuse(result.reply)
        self._apply(result)
        self._reset()
        return int(Milter.ACCEPT)

    def _apply(self, result: Pass) -> None:
        for edit in result.edits:
            self.chgheader(edit.name.decode("ascii"), edit.index, _milter_value(edit.value))
        if result.unanswered:
            self.chgfrom("<>")
        for signature in result.signatures:
            self.addheader("DKIM-Signature", _milter_value(signature), 0)

    def abort(self) -> int:
        """Forget a message that will not be finished."""
        self._reset()
        return CONTINUE

    def close(self) -> int:
        """Forget everything: the connection is gone."""
        self._reset()
        return CONTINUE


def _bare(path: str) -> str:
    return path.removeprefix("<").removesuffix(">")


def _milter_value(value: bytes | None) -> str:
    """Write a field value for the milter protocol: folds as LF; "" deletes the field."""
    return "" if value is None else value.replace(b"\r\n", b"\n").decode("ascii")


def _report_forever(pipeline: Pipeline) -> None:
    pause = threading.Event()
    while not pause.wait(REPORT_INTERVAL_SECONDS):
        log.info("last hour: %s", pipeline.counters.report() or "nothing")


def run(config: Config) -> None:
    """
    Serve until SIGTERM. Raises `ConfigError` for an unusable DKIM key or socket path.

    systemd is told READY=1 once the socket listens: libmilter opens it before its main loop.
    """
    pipeline = Pipeline(config, _signer(config), resolver.lookup_txt)
    os.umask(SOCKET_UMASK)
    _register(lambda: Session(pipeline))
    Milter.setconn(f"unix:{config.paths.filter_socket}")
    try:
        Milter.opensocket(True)  # removes the socket of a run that was killed
    except Milter.error:
        raise ConfigError(f"{config.paths.filter_socket}: the socket cannot be opened.") from None
    # Every thread made from here on leaves these signals to the main thread's sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    if config.metrics:
        listener = sockets.listener("numbers", config.metrics.filter_socket, {})
        numbers.tell_forever(listener, pipeline.counters.totals)
    threading.Thread(target=_report_forever, args=(pipeline,), daemon=True).start()
    threading.Thread(target=_serve, daemon=True).start()
    systemd.notify("READY=1")
    signal.sigwait(STOP_SIGNALS)
    systemd.notify("STOPPING=1")
    log.info("since the last report: %s", pipeline.counters.report() or "nothing")
    logging.shutdown()
    # libmilter looks for a stop only every 5 s, and its threads cannot be ended sooner. Messages
    # under way are put off: without an answer Postfix refuses for now, so none is lost or doubled.
    os._exit(0)


def _signer(config: Config) -> signing.Signer | None:
    """Read the relay's keys, made first if there are none; a relay without a name has none."""
    if is_address(config.host):
        return None
    private = {config.dkim.selector: keys.load(config.paths.dkim_key)}
    if config.dkim.ed25519_selector is not None:
        path = config.paths.dkim_ed25519_key
        private[config.dkim.ed25519_selector] = keys.load(path, "ed25519")
    return signing.load(config.domain, private)


def _serve() -> None:
    """Run libmilter's loop, which ends by itself only when it cannot go on."""
    with contextlib.suppress(Milter.error):
        Milter.main()
    log.error("libmilter ended by itself")
    logging.shutdown()
    os._exit(1)


def _register(factory: Callable[[], Session]) -> None:
    """Do what `Milter.runmilter` does before it opens the socket, which it leaves no room after."""
    Milter.factory = factory
    Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGFROM)
    Milter.set_exception_policy(Milter.TEMPFAIL)
    Milter.set_connect_callback(Milter.connect_callback)
    Milter.set_envfrom_callback(lambda context, *words: context.getpriv().envfrom_bytes(*words))
    Milter.set_envrcpt_callback(lambda context, *words: context.getpriv().envrcpt_bytes(*words))
    Milter.set_header_callback(
        lambda context, name, value: context.getpriv().header_bytes(name, value)
    )
    Milter.set_body_callback(lambda context, chunk: context.getpriv().body(chunk))
    Milter.set_eom_callback(lambda context: context.getpriv().eom())
    Milter.set_abort_callback(lambda context: context.getpriv().abort())
    Milter.set_close_callback(Milter.close_callback)
    Milter.register("chatmail-filter", negotiate=Milter.negotiate_callback)


def main(arguments: list[str] | None = None) -> int:
    """Run chatmail-filter; see `chatmail-filter --help`."""
    return daemon.run(
        "chatmail-filter",
        "Judge, clean, sign and verify mail for Postfix.",
        run,
        (sockets.SocketError,),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
