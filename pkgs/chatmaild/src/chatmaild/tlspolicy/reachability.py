"""
Remembers which mail servers answer, so that silent servers delay only each other's mail.

A delivery process waits up to ten seconds for a silent server, and anyone can point any number of
names to one. So the transport `smtp`, which has many processes, is used only if one of the
destination's servers has sent a greeting and has not failed since. All other destinations,
including new ones, share the few processes of `smtp-new`.

Postfix reports what it sees through tables that it looks up anyway: the address of a server after
its greeting (smtp_discard_ehlo_keyword_address_maps), and the address of a server with which a
connection failed (smtp_delivery_status_filter). Everything is in memory: after a restart every
destination is new.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable

MAX_SERVERS = 50_000
MAX_DOMAINS = 20_000
ADDRESSES_SECONDS = 3600.0
"""The addresses of a domain are looked up again after this time."""
IPV6_NETWORK_BITS = 64
"""One host can use any address of a /64."""


class Reachability:
    """
    Remembers servers and the domains that lead to them; times are seconds of any clock.

    Postfix reports a failure after it has tried all servers of a domain, and names the last one.
    So a domain answers if one of its servers greeted us later than any of them failed.
    """

    def __init__(self) -> None:
        """Start without knowing any server."""
        self._events = 0
        self._greeted: OrderedDict[str, int] = OrderedDict()
        self._failed: OrderedDict[str, int] = OrderedDict()
        self._servers: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()

    def greeted(self, address: str) -> None:
        """Note that the server at this IP address has sent its greeting."""
        self._note(self._greeted, address)

    def failed(self, address: str) -> None:
        """Note that a connection with the server at this IP address failed."""
        self._note(self._failed, address)

    def _note(self, table: OrderedDict[str, int], address: str) -> None:
        if server := _server(address):
            self._events += 1
            _remember(table, server, self._events, MAX_SERVERS)

    def resolved(self, domain: str, addresses: Iterable[str], now: float) -> None:
        """Note the IP addresses of a domain's mail servers."""
        servers = frozenset(server for one in addresses if (server := _server(one)))
        _remember(self._servers, domain, (now, servers), MAX_DOMAINS)

    def is_stale(self, domain: str, now: float) -> bool:
        """Whether the addresses of a domain must be looked up."""
        since, _ = self._servers.get(domain, (-ADDRESSES_SECONDS, frozenset()))
        return now - since >= ADDRESSES_SECONDS

    def answers(self, domain: str) -> bool:
        """Whether a mail server of this domain greeted us and none has failed since."""
        _, servers = self._servers.get(domain, (0.0, frozenset[str]()))
        greeted = max((self._greeted.get(server, 0) for server in servers), default=0)
        return greeted > max((self._failed.get(server, 0) for server in servers), default=0)


def _server(address: str) -> str:
    """Return a server's identity: its IPv4 address or its IPv6 network; "" for other text."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if found.version == 4:  # noqa: PLR2004 - a name of the protocol
        return str(found)
    return str(ipaddress.ip_network((found, IPV6_NETWORK_BITS), strict=False))


def _remember[T](table: OrderedDict[str, T], key: str, value: T, limit: int) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > limit:
        table.popitem(last=False)
