"""
Takes a message through the filter: judge, clean, sign or verify.

It combines the modules that decide, and holds the state that all messages share. It knows nothing
of the milter protocol, so another front end could use it.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from chatmaild.book.address_flags import AddressFlags
from chatmaild.config import Config
from chatmaild.filter import headers as cleaning
from chatmaild.filter import policy, replies
from chatmaild.filter.headers import Edit
from chatmaild.filter.policy import Envelope, Refuse, Role
from chatmaild.filter.submitted import FieldError, clean_submission
from chatmaild.filter.turns import Turns
from chatmaild.message.addresses import Address, parse_path
from chatmaild.message.structure import Header
from chatmaild.service.counters import Counters
from chatmaild.service.ratelimit import RateLimit
from chatmaild.signatures import verifying
from chatmaild.signatures.signing import Signer
from chatmaild.signatures.verifying import Lookup, Outcome

TURNS = 2
"""Messages of one role that are judged at the same time on their own threads."""


@dataclass(frozen=True, slots=True)
class Pass:
    """
    The message may pass with these edits, and with these DKIM-Signature values added on top.

    With `unanswered` the envelope sender becomes the null sender, so that the message never
    bounces. `body` replaces the body.
    """

    edits: list[Edit]
    signatures: list[bytes]
    unanswered: bool = False
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Proof:
    """The author in From is authenticated; for `covered` see `cleaning.clean_incoming`."""

    covered: dict[bytes, int] | None


class Pipeline:
    """
    All decisions of the filter; can be shared between threads.

    `signer` is None on a relay without a domain name. Clocks are arguments for the tests.
    """

    def __init__(
        self,
        config: Config,
        signer: Signer | None,
        lookup: Lookup,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with the full budget for every account."""
        self.counters = Counters()
        self.max_size = config.message.max_size
        self._domain = config.domain
        self._max_recipients = config.sending.max_recipients
        self._cleartext = config.incoming.cleartext
        self._revoked = AddressFlags(config.paths.revoked)
        self._exceptions = AddressFlags(config.paths.exceptions)
        self._signer = signer
        # Separate turns, so that strangers do not delay the relay's users.
        self.turns = {role: Turns(TURNS) for role in Role}
        self._lookup = lookup
        self._limit = RateLimit(60 / config.sending.per_minute, config.sending.burst)
        self._wall = wall
        self._monotonic = monotonic

    def open_submission(self, sender: str, login: str) -> Refuse | None:
        """
        Admit a submission at its first accepted recipient, and count it for the login.

        MAIL FROM would be too early: Postfix asks the filter before it compares sender and login,
        so anyone could use up the budget of others.
        """
        if refused := policy.check_sender(sender, login):
            return refused
        if login in self._revoked:
            return Refuse(replies.ACCOUNT_REVOKED)
        wait = self._limit.wait(login.lower(), self._monotonic())
        if not wait:
            return None
        until = datetime.fromtimestamp(self._wall(), UTC) + timedelta(seconds=ceil(wait))
        return Refuse(replies.rate_limited(sender, f"{until:%H:%M:%S}", ceil(wait)))

    def check_recipient(self, role: Role, number: int) -> Refuse | None:
        """Judge the `number`th recipient (from 1) of a message."""
        if role is Role.SUBMISSION and number > self._max_recipients:
            return Refuse(replies.too_many_recipients(self._max_recipients))
        return None

    def finish(
        self, role: Role, envelope: Envelope, headers: list[Header], body: bytes
    ) -> Pass | Refuse:
        """Judge a whole message; `body` has CRLF line ends, and header values are raw."""
        if role is Role.SUBMISSION:
            result = self._finish_submission(envelope, headers, body)
        elif role is Role.INCOMING:
            result = self._finish_incoming(envelope, headers, body)
        elif role is Role.INTERNAL:
            result = self._finish_internal(envelope, headers, body)
        else:
            result = Refuse(replies.LOCAL_MAIL)
        return result

    def _finish_internal(
        self, envelope: Envelope, headers: list[Header], body: bytes
    ) -> Pass | Refuse:
        verdict = policy.internal(envelope, headers, self._domain)
        if isinstance(verdict, Refuse):
            return verdict
        author = policy.author_of(headers)
        if isinstance(author, Refuse):
            return author
        self.counters.add("messages_accepted", "internal", "own")
        return Pass([], self._sign(envelope, author, headers, body))

    def _finish_submission(
        self, envelope: Envelope, headers: list[Header], body: bytes
    ) -> Pass | Refuse:
        verdict = policy.outgoing(envelope, headers, body)
        if isinstance(verdict, Refuse):
            return verdict
        author = parse_path(envelope.sender)  # the same as the author, or it was refused
        new = verdict.rebuilt
        try:
            edited = clean_submission(
                headers,
                author,
                verdict.kind,
                content_type=new.content_type if new else None,
                now=self._wall(),
            )
        except FieldError as error:
            return Refuse(replies.unparsable(str(error)))
        if refused := policy.check_header(edited.headers):
            return refused
        self.counters.add("messages_accepted", "submission", verdict.kind.value)
        if new:
            self.counters.add("messages_rebuilt", "submission")
        signatures = self._sign(envelope, author, edited.headers, new.body if new else body)
        return Pass(edited.edits, signatures, body=new.body if new else None)

    def _finish_incoming(
        self, envelope: Envelope, headers: list[Header], body: bytes
    ) -> Pass | Refuse:
        author = policy.author_of(headers)
        if isinstance(author, Refuse):
            return author
        proof = self._authenticate(envelope, author, headers, body)
        if isinstance(proof, Refuse):
            return proof
        verdict = policy.incoming(
            author,
            cleaning.lowest(headers),
            body,
            cleartext_allowed=lambda: self._all_take_cleartext(envelope.recipients),
        )
        if isinstance(verdict, Refuse):
            return verdict
        if author.domain == self._domain and (refused := policy.check_return(verdict.kind)):
            return refused
        self.counters.add("messages_accepted", "incoming", verdict.kind.value)
        unanswered = not policy.may_answer(envelope, author)
        if unanswered:
            self.counters.add("unanswered")
        new = verdict.rebuilt
        if new:
            self.counters.add("messages_rebuilt", "incoming")
        edited = cleaning.clean_incoming(
            headers,
            proof.covered,
            verdict.kind,
            content_type=new.content_type if new else None,
        )
        return Pass(edited.edits, [], unanswered, new.body if new else None)

    def _all_take_cleartext(self, recipients: Iterable[str]) -> bool:
        """All recipients must allow it, because there is one answer for the whole message."""
        return all((one in self._exceptions) is not self._cleartext for one in recipients)

    def _authenticate(
        self, envelope: Envelope, author: Address, headers: list[Header], body: bytes
    ) -> _Proof | Refuse:
        if author.literal is not None:
            return policy.check_origin(envelope, author) or _Proof(None)
        result = verifying.verify(
            headers, body, author.domain, self._look_up, now=self._wall(), clock=self._monotonic
        )
        if result.outcome is Outcome.VALID:
            self.counters.add("dkim_verified")
            return _Proof(result.covered)
        return Refuse(
            {
                Outcome.MISSING: replies.NO_DKIM_SIGNATURE,
                Outcome.INVALID: replies.NO_VALID_DKIM_SIGNATURE,
                Outcome.UNKNOWN: replies.DKIM_KEY_UNAVAILABLE,
            }[result.outcome]
        )

    def _look_up(self, name: str, seconds: float) -> list[bytes]:
        with self.turns[Role.INCOMING].released():
            return self._lookup(name, seconds)

    def _sign(
        self, envelope: Envelope, author: Address, headers: list[Header], body: bytes
    ) -> list[bytes]:
        """
        Sign messages of the relay's own authors that leave the relay.

        Local messages need no signature, and making one is half of the work for a message.
        """
        if self._signer is None or author.domain != self._signer.domain:
            return []
        local = f"@{self._domain}"
        if all(recipient.lower().endswith(local) for recipient in envelope.recipients):
            return []
        self.counters.add("dkim_signed")
        return self._signer.sign(headers, body)
