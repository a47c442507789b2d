"""
chatmail-tls: tells Postfix, for each destination, which TLS it must see.

Postfix asks by its socketmap protocol. Every fault is answered with TEMP: mail waits, and never
leaves with less than the destination asks for.
"""

import asyncio
import contextlib
import logging
import re
from contextlib import closing

from chatmaild.config import Config
from chatmaild.postfix import socketmap
from chatmaild.service import daemon, sockets
from chatmaild.service.counters import Counters
from chatmaild.service.running import every, running
from chatmaild.tlspolicy import policy_store
from chatmaild.tlspolicy.dns import Resolver
from chatmaild.tlspolicy.level import Decider, DnsUnavailableError

IDLE_SECONDS = 600.0
FORGET_SECONDS = 3600.0
DECIDE_SECONDS = 60.0
"""Postfix waits 100 s for a socketmap."""

_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")

log = logging.getLogger("chatmail-tls")


class Server:
    """Answers Postfix' questions and counts the answers."""

    def __init__(self, decider: Decider, counters: Counters) -> None:
        """Ask `decider` about each domain."""
        self._decider = decider
        self._counters = counters

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on one connection until it ends, idles or breaks the protocol."""
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    _, key = await socketmap.read(reader)
                writer.write(socketmap.render(await self.answer(key)))
                await writer.drain()
        except (EOFError, OSError, TimeoutError, socketmap.SocketmapError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def answer(self, key: str) -> str:
        """Return the reply about a key, as Postfix looks policies up (next hop)."""
        # A port, a parent domain (".example.org"), an address: nothing that has a policy.
        domain = key.lower().rstrip(".")
        if not _DOMAIN.fullmatch(domain):
            return "NOTFOUND "
        try:
            async with asyncio.timeout(DECIDE_SECONDS):
                level = await self._decider.level(domain)
        except (DnsUnavailableError, TimeoutError):
            self._counters.add("answers", "temporary")
            return "TEMP the DNS gives no answer about this domain"
        except Exception:
            # Whatever it is, the mail must wait and not leave unverified.
            log.exception("a decision failed")
            self._counters.add("answers", "failed")
            return "TEMP internal error"
        self._counters.add("answers", level.partition(" ")[0] if level else "default")
        return f"OK {level}" if level else "NOTFOUND "


async def _serve(config: Config) -> None:
    async with running() as service:
        policies = service.entering(closing(policy_store.Policies(config.paths.sts_policies)))
        server = Server(Decider(Resolver(), policies), service.counters)
        max_line = 2 * socketmap.MAX_REQUEST_BYTES
        path = config.paths.tls_policy_socket
        await service.stream("tls-policy", path, server.serve, max_line)

        async def forget() -> None:
            policies.forget_expired()

        service.background(every(FORGET_SECONDS, forget))


def main() -> int:
    """Run chatmail-tls; see `chatmail-tls --help`."""
    return daemon.run(
        "chatmail-tls",
        "Tell Postfix which TLS a destination must offer.",
        lambda config: asyncio.run(_serve(config)),
        (sockets.SocketError,),
    )
