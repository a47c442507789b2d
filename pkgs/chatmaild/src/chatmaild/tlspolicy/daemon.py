"""
chatmail-tls: tells Postfix which TLS to require and which transport to use, for each destination.

Postfix queries it by the socketmap protocol. If a query about TLS fails, the answer is TEMP, so
that mail waits and never leaves with weaker TLS than the destination requires. The tables:

    tls        next hop -> TLS policy (smtp_tls_policy_maps)
    transport  recipient -> `smtp-new:`, or `:` if the destination is known to answer
               (transport_maps)
    greeted    address of a server that has greeted us; never found
    failed     address of a server with which a connection failed; never found
"""

import asyncio
import contextlib
import logging
import re
import time
from contextlib import closing

from chatmaild.config import Config
from chatmaild.postfix import socketmap
from chatmaild.service import daemon, sockets
from chatmaild.service.counters import Counters
from chatmaild.service.running import every, running
from chatmaild.tlspolicy import policy_store
from chatmaild.tlspolicy.dns import Resolver
from chatmaild.tlspolicy.level import MAX_MAIL_SERVERS, Decider, Dns, DnsUnavailableError
from chatmaild.tlspolicy.reachability import Reachability

IDLE_SECONDS = 600.0
FORGET_SECONDS = 3600.0
DECIDE_SECONDS = 60.0
"""Postfix waits 100 s for a socketmap."""
MAX_LOOK_UPS = 100
NEW_TRANSPORT = "smtp-new"

_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")

log = logging.getLogger("chatmail-tls")


class Server:
    """Answers Postfix' questions and counts the answers."""

    def __init__(self, decider: Decider, dns: Dns, counters: Counters) -> None:
        """Ask `decider` about TLS, and `dns` for the addresses of destinations."""
        self._decider = decider
        self._dns = dns
        self._counters = counters
        self._reachability = Reachability()
        self._look_ups: dict[str, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on one connection until it ends, is idle, or violates the protocol."""
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    table, key = await socketmap.read(reader)
                writer.write(socketmap.render(await self.answer(table, key)))
                await writer.drain()
        except (EOFError, OSError, TimeoutError, socketmap.SocketmapError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def answer(self, table: str, key: str) -> str:
        """Return the reply to the look-up of a key in a table."""
        match table:
            case "tls":
                return await self._tls(key)
            case "transport":
                return self._transport(key)
            case "greeted":
                self._reachability.greeted(key)
            case "failed":
                self._counters.add("connections", "failed")
                self._reachability.failed(key)
            case _:
                return "PERM no such table"
        return "NOTFOUND "

    def _transport(self, key: str) -> str:
        domain = key.rpartition("@")[2].lower().rstrip(".")
        literal = domain.removeprefix("[").removeprefix("ipv6:").removesuffix("]")
        if domain.startswith("["):
            self._reachability.resolved(domain, [literal], time.monotonic())
        elif self._reachability.is_stale(domain, time.monotonic()):
            self._look_up(domain)
        # ":" changes nothing, but ends the look-up (transport(5)).
        return f"OK {'' if self._reachability.answers(domain) else NEW_TRANSPORT}:"

    def _look_up(self, domain: str) -> None:
        """Look up the addresses of a domain for the next message; no message waits for this."""
        if not _DOMAIN.fullmatch(domain) or len(self._look_ups) >= MAX_LOOK_UPS:
            return

        async def work() -> None:
            with contextlib.suppress(DnsUnavailableError):
                found: list[str] = []
                for host in (await self._dns.mail_servers(domain)).records[:MAX_MAIL_SERVERS]:
                    found += (await self._dns.addresses(host)).records
                self._reachability.resolved(domain, found, time.monotonic())

        if domain not in self._look_ups:
            task = asyncio.create_task(work())
            self._look_ups[domain] = task
            task.add_done_callback(lambda _: self._look_ups.pop(domain, None))

    async def _tls(self, key: str) -> str:
        # Ports, parent domains (".example.org") and addresses have no policy.
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
            # After any error the mail must wait, not leave unverified.
            log.exception("a decision failed")
            self._counters.add("answers", "failed")
            return "TEMP internal error"
        self._counters.add("answers", level.partition(" ")[0] if level else "default")
        return f"OK {level}" if level else "NOTFOUND "


async def _serve(config: Config) -> None:
    async with running() as service:
        policies = service.entering(closing(policy_store.Policies(config.paths.sts_policies)))
        resolver = Resolver()
        server = Server(Decider(resolver, policies), resolver, service.counters)
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
