"""
One connection from Postfix, as a state machine: packets in, packets out.

A `Session` has no socket and no thread. Only judging a message may take long, because a DKIM key
comes from the DNS. So this work is returned to the caller, who runs it elsewhere.
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
"""Larger bodies are judged on another thread: 30 MB take 200 ms. For 1 MB it is only 7 ms."""

log = logging.getLogger("chatmail-filter")

Judging = Callable[[], bytes]
"""Judges a message on any thread and returns the packets of the answer; never raises."""


class MemoryBudget:
    """
    Octets that all messages of one role may occupy together; for one thread only.

    A quarter is reserved for small messages. If a stranger's name server does not answer, the
    filter holds the stranger's messages for 20 seconds, and a few large ones would use it all.
    """

    def __init__(self, size: int) -> None:
        """Start with the whole budget."""
        self.left = size
        self._for_small = size // 4

    def take(self, more: int, held: int) -> bool:
        """Reserve `more` octets for a message that has `held` octets; False if it is too much."""
        if self.left - (self._for_small if held + more > LARGE_BYTES else 0) < more:
            return False
        self.left -= more
        return True


class Session:
    """One connection from Postfix, which may carry many messages in turn."""

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
        """Forget the message; must also be called when the connection is lost."""
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
        Process one packet; return the packets to send (may be empty) or the judging to run.

        No packet may be processed while a message is judged. An unexpected exception defers the
        message and logs one line without message content.

        Raises:
            MilterProtocolError: the peer is not Postfix, or there is a bug on either side.

        """
        take = self._COMMANDS.get(command)
        if take is None:
            raise MilterProtocolError(f"command 0x{command:02x}")
        try:
            return take(self, data)
        except MilterProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 after any fault mail must wait, not pass
            if command in (milter_protocol.CONNECT, milter_protocol.MACROS):
                # MAIL would reset the refusal, and these commands decide which rules apply.
                raise MilterProtocolError(f"{_stumbled(error).reason} with the client") from None
            return self.stumble(error, command)

    def stumble(self, error: Exception, command: int) -> bytes:
        """Defer the message because of an unexpected exception."""
        self._drop(_stumbled(error))
        return self._refuse() if command in (milter_protocol.RCPT, milter_protocol.END) else b""

    def _drop(self, reply: Reply) -> None:
        """Drop the content now, and refuse the message as soon as the protocol allows."""
        self._refusal = self._refusal or reply
        self._drop_content()

    def _refuse(self, reply: Reply | None = None) -> bytes:
        return _refusal(
            self._pipeline, self._role, reply or self._refusal or replies.INTERNAL_ERROR
        )

    def _negotiate(self, data: bytes) -> bytes:
        return milter_protocol.negotiated(data)

    def _macros(self, data: bytes) -> bytes:
        """Remember the macros for the next command."""
        if data[:1] == b"C":
            self._daemon = milter_protocol.macros(data[1:]).get(b"{daemon_name}", b"")
        elif data[:1] == b"M":
            login = milter_protocol.macros(data[1:]).get(b"{auth_authen}", b"")
            self._next_login = login.decode("utf-8", "replace")
        return b""

    def _connect(self, data: bytes) -> bytes:
        """Remember the client. Mail that did not arrive by SMTP has no address, or port 0."""
        client = milter_protocol.client(data)
        if client:
            self._peer = client[0]
            self._over_smtp = client[1] != 0
        return b""

    def _mail(self, data: bytes) -> bytes:
        """Begin a message; it is not judged yet, as Postfix has not compared sender and login."""
        login = self._next_login
        self.forget()
        self._begun = True
        self._role = Role.of_daemon(self._daemon.decode("ascii", "replace"))
        self._budget = self._budgets[self._role]
        self._sender = _address(data)
        self._login = login
        if self._role in (Role.INTERNAL, Role.LOCAL) and self._over_smtp:
            # "internal" is Postfix's global setting. An smtpd without its own must not let mail in.
            log.error("an smtpd service sets no milter_macro_daemon_name; its mail is deferred")
            self._drop(replies.INTERNAL_ERROR)
        return b""

    def _rcpt(self, data: bytes) -> bytes:
        """Judge a recipient that Postfix has accepted."""
        self._need_mail()
        if self._role is Role.SUBMISSION and not self._recipients and not self._refusal:
            refused = self._pipeline.open_submission(self._sender, self._login)
            self._refusal = refused.reply if refused else None
        if self._refusal:
            # All recipients get the same answer; otherwise only some would get the message.
            return self._refuse()
        if refused := self._pipeline.check_recipient(self._role, len(self._recipients) + 1):
            return self._refuse(refused.reply)
        self._recipients.append(_address(data))
        return milter_protocol.CONTINUE

    def _header(self, data: bytes) -> bytes:
        """Add a field: its raw value has a leading space and folds as LF + WSP."""
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
        """Add a piece of the body, with CRLF line ends."""
        self._need_mail()
        if self._size + len(data) > self._pipeline.max_size:
            self._drop(replies.MESSAGE_TOO_LARGE)
        elif self._hold(len(data)):
            self._body.append(data)
        return b""

    def _need_mail(self) -> None:
        """Reject a message without MAIL FROM, because its sender is unknown."""
        if not self._begun:
            raise MilterProtocolError("a message without MAIL FROM")

    def _hold(self, size: int) -> bool:
        """Reserve `size` octets for the message; False if it is refused."""
        if self._refusal:
            return False
        if not self._budget.take(size, self._size):
            self._drop(replies.NO_ROOM)
            return False
        self._size += size
        return True

    def _end(self, data: bytes) -> bytes | Judging:
        """Judge the whole message, immediately if that is fast."""
        self._need_mail()
        if data:  # Sendmail sends its last piece here, Postfix does not
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
        """Forget the judged message, and return the answer."""
        self.forget()
        return answer

    def _abort(self, _data: bytes) -> bytes:
        """Forget an unfinished message."""
        self.forget()
        return b""

    def _next(self, _data: bytes) -> bytes:
        """Forget everything, because another client uses this connection now."""
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
    """Return the packets that edit the message and accept it."""
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
    """Write a field value for the milter protocol: folds as LF, empty to delete the field."""
    return b"" if value is None else value.replace(b"\r\n", b"\n")


def _address(data: bytes) -> str:
    """
    Return the address without its brackets and without the ESMTP parameters after it.

    Octets that are not UTF-8 become replacement characters, so that the address matches no login.
    """
    path = milter_protocol.strings(data)[0].decode("utf-8", "replace")
    return path.removeprefix("<").removesuffix(">")


def _refusal(pipeline: Pipeline, role: Role, reply: Reply) -> bytes:
    pipeline.counters.add("messages_refused", role.value, reply.reason)
    return milter_protocol.reply(reply.code, reply.text)


def _stumbled(error: Exception) -> Reply:
    """Log the type and place of an unexpected exception, and return a temporary refusal."""
    where = error.__traceback__
    while where and where.tb_next:
        where = where.tb_next
    line = f"{where.tb_frame.f_code.co_qualname}:{where.tb_lineno}" if where else "?"
    log.error("%s at %s", type(error).__name__, line)
    return replies.INTERNAL_ERROR
