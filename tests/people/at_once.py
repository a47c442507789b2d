"""Many simultaneous SMTP sessions in one thread (aiosmtplib)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiosmtplib

from people.dialogue import SECONDS, insecure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from harness.relay import Relay
    from people.people import Person

# The exceptions that end a session: a refusal, a deadline, a closed connection.
FAULTS = (aiosmtplib.SMTPException, OSError)


def _client(relay: Relay) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=relay.address,
        port=465,
        use_tls=True,
        tls_context=insecure(),
        local_hostname="client.test",
        timeout=SECONDS,
    )


@asynccontextmanager
async def session(person: Person) -> AsyncIterator[aiosmtplib.SMTP]:
    """Log in on port 465."""
    async with _client(person.relay) as smtp:
        await smtp.ehlo()
        await smtp.auth_plain(person.address, person.password)
        yield smtp


@asynccontextmanager
async def port_25(relay: Relay, *, source: str) -> AsyncIterator[aiosmtplib.SMTP]:
    """Connect as mail servers do: port 25, STARTTLS, no login; from this address."""
    async with aiosmtplib.SMTP(
        hostname=relay.address,
        port=25,
        start_tls=True,
        tls_context=insecure(),
        local_hostname="mx.stranger.test",
        source_address=(source, 0),
        timeout=SECONDS,
    ) as smtp:
        yield smtp


def logins(relay: Relay, address: str, passwords: Sequence[str]) -> list[str]:
    """
    Try each password in a separate session, all at the same moment.

    Returns "" or the relay's reply for each, in the order of the passwords.
    """

    async def attempt(smtp: aiosmtplib.SMTP, password: str) -> str:
        try:
            await smtp.auth_plain(address, password)
        except aiosmtplib.SMTPAuthenticationError as error:
            return f"{error.code} {error.message}"
        return ""

    async def every() -> list[str]:
        async with AsyncExitStack() as stack:
            sessions = await asyncio.gather(
                *(stack.enter_async_context(_client(relay)) for _ in passwords)
            )
            await asyncio.gather(*(smtp.ehlo() for smtp in sessions))
            return await asyncio.gather(*map(attempt, sessions, passwords))

    return asyncio.run(every())
