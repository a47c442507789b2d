"""
What one connection from Postfix says of its messages, and what it is told.

A `Session` takes packets and gives back packets; it has no socket and no thread. Only judging a
message may take long, because a DKIM key comes from the DNS, so that is handed back to be done
elsewhere.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

from chatmaild.filter import replies
from chatmaild.filter.pipeline import Pass, Pipeline
from chatmaild.filter.policy import Envelope, Refuse, Role
from chatmaild.filter.replies import Reply
from chatmaild.message.structure import Header
from chatmaild.postfix import milter_protocol
from chatmaild.postfix.milter_protocol import MilterProtocolError

MAX_HEADERS = 1000
MAX_HEADER_BYTES = 524_288
"""A To field with 1000 recipients has 40 KB; Postfix bounds one field, not their sum."""
LARGE_BYTES = 262_144
"""A body above this is not judged at once: 7 ms of 1 MB are nobody's delay, 200 ms of 30 MB are."""

log = logging.getLogger("chatmail-filter")

Judging = Callable[[], bytes]
"""Judges a message on whatever thread, and returns the packets that say how; never raises."""


class MemoryBudget:
    """
    How much may be held at once of all messages of one kind, in octets; for one thread.

    A quarter of it is for small messages: a stranger whose name server says nothing makes the
    filter hold his messages for 20 seconds, and a few of the largest would take all of it.
    """

    def __init__(self, size: int) -> None:
        """Start with nothing in it."""
        self.left = size
        self._for_small = size // 4

    def take(self, more: int, held: int) -> bool:
        """Take room for `more` of a message of which `held` is in here already, if there is any."""
        if self.left - (self._for_small if held + more > LARGE_BYTES else 0) < more:
            return False
        self.left -= more
        return True


class Session:
    """One connection from Postfix, which may carry many messages one after the other."""

    def __init__(self, pipeline: Pipeline, budgets: Mapping[Role, MemoryBudget]) -> None:
        """Start without a client and without a message."""
        self._pipeline = pipeline
        self._budgets = budgets
        self._budget = budgets[Role.LOCAL]
        self._size = 0
        self._forget_client()

    def _forget_client(self) -> None:
        self._daemon = b""
        self._peer = ""
        self._over_smtp = False
        self.forget()

    def forget(self) -> None:
        """Forget the message; to be called when the connection is gone, too."""
        self._drop_content()
        self._begun = False
        self._role = Role.LOCAL
        self._sender = ""
        self._login = ""
        self._next_login = ""
        self._recipients: list[str] = []
        self._header_size = 0
        self._refusal: Reply | None = None

    def _drop_content(self) -> None:
        self._budget.left += self._size
        self._size = 0
        self._headers: list[Header] = []
        self._body: list[bytes] = []

    def handle(self, command: int, data: bytes) -> bytes | Judging:
        """
        Take one packet; return the packets to be sent, which may be none, or what is to be judged.

        Nothing may be handled while a message is judged. An exception that nobody expected puts
        the mail off and leaves one log line without content.

        Raises:
            MilterProtocolError: this connection is not with Postfix, or one of the two has a fault.

        """
        take = self._COMMANDS.get(command)
        if take is None:
            raise MilterProtocolError(f"command 0x{command:02x}")
        try:
            return take(self, data)
        except MilterProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 whatever it is, the mail must wait and not pass
            if command in (milter_protocol.CONNECT, milter_protocol.MACROS):
                # MAIL would forget the fault, and what it is about decides who may pass.
                raise MilterProtocolError(f"{_stumbled(error).reason} with the client") from None
            return self.stumble(error, command)

    def stumble(self, error: Exception, command: int) -> bytes:
        """Put the message off because of an exception that nobody expected."""
        self._drop(_stumbled(error))
        return self._refuse() if command in (milter_protocol.RCPT, milter_protocol.END) else b""

    def _drop(self, reply: Reply) -> None:
        """Refuse the message as soon as the protocol allows, and forget its content already."""
        self._refusal = self._refusal or reply
        self._drop_content()

    def _refuse(self, reply: Reply | None = None) -> bytes:
        return _refusal(
            self._pipeline, self._role, reply or self._refusal or replies.INTERNAL_ERROR
        )

    def _negotiate(self, data: bytes) -> bytes:
        return milter_protocol.negotiated(data)

    def _macros(self, data: bytes) -> bytes:
        """Take what Postfix tells with the command that comes next."""
        if data[:1] == b"C":
            self._daemon = milter_protocol.macros(data[1:]).get(b"{daemon_name}", b"")
        elif data[:1] == b"M":
            login = milter_protocol.macros(data[1:]).get(b"{auth_authen}", b"")
            self._next_login = login.decode("utf-8", "replace")
        return b""

    def _connect(self, data: bytes) -> bytes:
        """Note the client. Mail that came without SMTP has no address, or port 0."""
        client = milter_protocol.client(data)
        if client:
            self._peer = client[0]
            self._over_smtp = client[1] != 0
        return b""

    def _mail(self, data: bytes) -> bytes:
        """Begin a message. Nothing is decided yet: Postfix has not compared sender and login."""
        login = self._next_login
        self.forget()
        self._begun = True
        self._role = Role.of_daemon(self._daemon.decode("ascii", "replace"))
        self._budget = self._budgets[self._role]
        self._sender = _address(data)
        self._login = login
        if self._role in (Role.INTERNAL, Role.LOCAL) and self._over_smtp:
            # "internal" is Postfix's global setting: an smtpd whose own line was forgotten must not
            # let anything pass.
            log.error("an smtpd has no milter_macro_daemon_name of its own; its mail is put off")
            self._drop(replies.INTERNAL_ERROR)
        return b""

    def _rcpt(self, data: bytes) -> bytes:
        """Judge a recipient that Postfix has accepted."""
        self._need_mail()
        if self._role is Role.SUBMISSION and not self._recipients and not self._refusal:
            refused = self._pipeline.open_submission(self._sender, self._login)
            self._refusal = refused.reply if refused else None
        if self._refusal:
            # The same answer for all of them, or the message would go to some and not to others.
            return self._refuse()
        if refused := self._pipeline.check_recipient(self._role, len(self._recipients) + 1):
            return self._refuse(refused.reply)
        self._recipients.append(_address(data))
        return milter_protocol.CONTINUE

    def _header(self, data: bytes) -> bytes:
        """Take one field: raw value with its leading space, folds as LF + WSP."""
        self._need_mail()
        name, _, value = data.partition(b"\0")
        value = value[:-1].replace(b"\n", b"\r\n")
        self._header_size += len(name) + len(value) + 3
        if len(self._headers) >= MAX_HEADERS or self._header_size > MAX_HEADER_BYTES:
            self._drop(replies.unparsable("the header is too long"))
        elif self._hold(len(name) + len(value)):
            self._headers.append((name, value))
        return b""

    def _body_chunk(self, data: bytes) -> bytes:
        """Take a piece of the body, with CRLF line ends."""
        self._need_mail()
        if self._size + len(data) > self._pipeline.max_size:
            self._drop(replies.MESSAGE_TOO_LARGE)
        elif self._hold(len(data)):
            self._body.append(data)
        return b""

    def _need_mail(self) -> None:
        """Of a message that has not begun nobody knows from whom it is."""
        if not self._begun:
            raise MilterProtocolError("a message without its beginning")

    def _hold(self, size: int) -> bool:
        """Whether that much more of the message is to be held."""
        if self._refusal:
            return False
        if not self._budget.take(size, self._size):
            self._drop(replies.NO_ROOM)
            return False
        self._size += size
        return True

    def _end(self, data: bytes) -> bytes | Judging:
        """Judge the whole message, at once where that takes no time."""
        self._need_mail()
        if data:  # Sendmail's last piece; Postfix sends it apart
            self._body_chunk(data)
        if self._refusal:
            reply = self._refuse()
            self.forget()
            return reply
        judging = partial(
            _judge,
            self._pipeline,
            self._role,
            Envelope(self._sender, tuple(self._recipients), self._login, self._peer),
            self._headers,
            self._body,
        )
        if self._role is not Role.INCOMING and self._size <= LARGE_BYTES:
            return self.judged(judging())
        return partial(_judge_in_turn, self._pipeline.turns[self._role].turn(self._size), judging)

    def judged(self, answer: bytes) -> bytes:
        """Take note that the message is judged, and return the answer."""
        self.forget()
        return answer

    def _abort(self, _data: bytes) -> bytes:
        """Forget a message that will not be finished."""
        self.forget()
        return b""

    def _next(self, _data: bytes) -> bytes:
        """Forget everything: the next client uses this connection."""
        self._forget_client()
        return b""

    _COMMANDS: ClassVar[dict[int, Callable[["Session", bytes], bytes | Judging]]] = {
        milter_protocol.NEGOTIATE: _negotiate,
        milter_protocol.MACROS: _macros,
        milter_protocol.CONNECT: _connect,
        milter_protocol.MAIL: _mail,
        milter_protocol.RCPT: _rcpt,
        milter_protocol.HEADER: _header,
        milter_protocol.BODY: _body_chunk,
        milter_protocol.END: _end,
        milter_protocol.ABORT: _abort,
        milter_protocol.QUIT_FOR_NEXT: _next,
    }


def _judge_in_turn(turn: AbstractContextManager[None], judging: Judging) -> bytes:
    with turn:
        return judging()


def _judge(
    pipeline: Pipeline, role: Role, envelope: Envelope, headers: list[Header], body: list[bytes]
) -> bytes:
    try:
        whole = b"".join(body)
        body.clear()
        result = pipeline.finish(role, envelope, headers, whole)
        if isinstance(result, Refuse):
            return _refusal(pipeline, role, result.reply)
        return _edits(result)
    except Exception as error:  # noqa: BLE001 as in Session.handle
        return _refusal(pipeline, role, _stumbled(error))


def _edits(result: Pass) -> bytes:
    """Write what is to be changed, and that it may then pass."""
    edits = [
        milter_protocol.change_header(edit.index, edit.name, _folded(edit.value))
        if edit.index
        else milter_protocol.add_header(edit.name, _folded(edit.value))
        for edit in result.edits
    ]
    if result.body is not None:
        edits += milter_protocol.replace_body(result.body)
    if result.unanswered:
        edits.append(milter_protocol.change_from(b"<>"))
    edits += [
        milter_protocol.insert_header(0, b"DKIM-Signature", _folded(value))
        for value in result.signatures
    ]
    return b"".join([*edits, milter_protocol.ACCEPT])


def _folded(value: bytes | None) -> bytes:
    """Write a field value as the milter protocol does: folds as LF, and nothing to delete it."""
    return b"" if value is None else value.replace(b"\r\n", b"\n")


def _address(data: bytes) -> str:
    """
    Read the address before the ESMTP parameters, without its brackets.

    What is not UTF-8 in it gets replacement characters and so matches nobody's.
    """
    path = milter_protocol.strings(data)[0].decode("utf-8", "replace")
    return path.removeprefix("<").removesuffix(">")


def _refusal(pipeline: Pipeline, role: Role, reply: Reply) -> bytes:
    pipeline.counters.add("messages_refused", role.value, reply.reason)
    return milter_protocol.reply(reply.code, reply.text)


def _stumbled(error: Exception) -> Reply:
    """Note an exception that nobody expected, by its place alone, and refuse for now."""
    where = error.__traceback__
    while where and where.tb_next:
        where = where.tb_next
    line = f"{where.tb_frame.f_code.co_qualname}:{where.tb_lineno}" if where else "?"
    log.error("%s at %s", type(error).__name__, line)
    return replies.INTERNAL_ERROR
