"""
The lab's network: a separate Ethernet without a route outside.

A bridge in its own namespace joins one veth pair per machine and one for the clients. Addresses are
from the documentation ranges (RFC 5737: 192.0.2.0/24, RFC 3849: 2001:db8::/64). There is no route
outside, so connections to other addresses fail at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError
from harness.places import locked, namespace, state
from harness.process import Process, host, host_path

NETNS = Path("/run/netns")
DNS, RESOLVER = 53, 54
FIRST_MACHINE, LAST_MACHINE = 10, 49
RELAYS_AT_ADDRESSES = range(60, 80)
CLIENTS = tuple(range(100, 116))  # several, because tests need limits per client address


def address4(number: int) -> str:
    """Return the lab's IPv4 address with this last octet."""
    return f"192.0.2.{number}"


def address6(number: int) -> str:
    """Return the IPv6 address of the same host, with the same digits."""
    return f"2001:db8::{number}"


def is_address(domain: str) -> bool:
    """Whether a relay's domain is an IPv4 address."""
    return re.fullmatch(r"[0-9.]+", domain) is not None


def number_of(domain: str) -> tuple[int, ...]:
    """
    Return the last octet of a domain that is an IP address of the lab, or () for a name.

    Machines with names use another range, so this address is free.
    """
    if not is_address(domain):
        return ()
    number = int(domain.rpartition(".")[2])
    if domain != address4(number) or number not in RELAYS_AT_ADDRESSES:
        first, *_, last = map(address4, RELAYS_AT_ADDRESSES)
        raise LabError(f"{domain} is not an address for a relay in the lab; use {first} to {last}")
    return (number,)


def mac(number: int) -> str:
    """Return the MAC address of the same host, from the documentation range (RFC 9542 2.1.2)."""
    return f"00:00:5e:00:53:{number:02x}"


@dataclass(frozen=True)
class Link:
    """The connection of a namespace to the Ethernet."""

    namespace: str
    numbers: tuple[int, ...]

    @property
    def path(self) -> Path:
        """The path of the namespace's file, valid inside and outside."""
        return host_path(NETNS / self.namespace)

    @property
    def address(self) -> str:
        """The (first) IPv4 address."""
        return address4(self.numbers[0])

    @property
    def address6(self) -> str:
        """The (first) IPv6 address."""
        return address6(self.numbers[0])


def clients() -> Link:
    """Return the clients' namespace, which has several addresses."""
    return Link(namespace("clients"), CLIENTS)


def up() -> None:
    """Create the bridge and the clients' namespace, unless both are complete."""
    whole = host_path(state() / "network")
    with locked(state() / "network.lock"):
        if whole.exists():
            return
        # An interrupted command may have left a part of them.
        down()
        bridge = namespace("bridge")
        _ip(["netns", "add", bridge])
        settings = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        _batch([f"link add lab {settings}", "link set lab up", "link set lo up"], bridge)
        attach(clients())
        whole.touch()


def attach(link: Link) -> None:
    """Create a namespace and connect it to the bridge."""
    bridge = namespace("bridge")
    port = _port(link)
    _ip(["netns", "add", link.namespace])
    # A fixed MAC address, so that a machine that takes over an IP address is found at once.
    # Otherwise others would use the old one until their neighbour entry expires, up to a minute.
    peer = f"peer name eth0 address {mac(link.numbers[0])} netns {link.namespace}"
    _batch([f"link add {port} netns {bridge} type veth {peer}"])
    _batch([f"link set {port} master lab", f"link set {port} up"], bridge)
    # nodad: duplicate address detection would make each IPv6 address unusable for a second or two.
    addresses = [f"address add {address4(number)}/24 dev eth0" for number in link.numbers]
    # preferred_lft 0: by default, outgoing connections use the first address.
    addresses += [
        f"address add {address6(number)}/64 dev eth0 nodad"
        + ("" if number == link.numbers[0] else " preferred_lft 0")
        for number in link.numbers
    ]
    _batch(["link set lo up", *addresses, "link set eth0 up"], link.namespace)


def detach(link: Link) -> None:
    """Remove a namespace and its veth pair."""
    if link.path.exists():
        # The kernel removes a deleted namespace later, but the next machine may need the same veth
        # name at once.
        host(["ip", "-n", namespace("bridge"), "link", "delete", _port(link)], check=False)
        _ip(["netns", "delete", link.namespace])


def down() -> None:
    """Remove every namespace of this lab, whatever created it."""
    host_path(state() / "network").unlink(missing_ok=True)
    shelf = host_path(NETNS)
    for leftover in sorted(shelf.glob(namespace("*"))) if shelf.exists() else []:
        _ip(["netns", "delete", leftover.name])
    if shelf.exists() and not any(shelf.iterdir()):
        # ip(8) creates this mount with its first namespace; after the last it is not needed.
        host(["umount", str(NETNS)], check=False)


def end_clients(spared: Collection[Process] = ()) -> None:
    """End the remaining processes among the clients, because no machines are left."""
    for process in _inside(clients()):
        if process not in spared:
            process.end()


def end_inside(link: Link) -> None:
    """Kill the remaining processes in a machine's namespace, in any control group."""
    processes = _inside(link)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.wait(timeout=5)


def _inside(link: Link) -> list[Process]:
    """Return the processes in a namespace, except this one."""
    found = []
    try:
        inside = link.path.stat().st_ino
    except FileNotFoundError:
        return []
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        pid = int(entry.parts[2])
        with contextlib.suppress(OSError, LabError):
            if entry.stat().st_ino == inside and pid != os.getpid():
                found.append(Process.of(pid))
    return found


def free_number(taken: set[int]) -> int:
    """Return an unused number for another machine."""
    for number in range(FIRST_MACHINE, LAST_MACHINE + 1):
        if number not in taken:
            return number
    raise LabError(
        f"the lab is full: {len(taken)} machines; stop one, or take it down with: tests/lab down"
    )


def _port(link: Link) -> str:
    """Return the bridge's end of the veth pair."""
    return f"p{link.numbers[0]}"


def _ip(arguments: Sequence[str]) -> None:
    host(["ip", *arguments])


def _batch(lines: Sequence[str], inside: str | None = None) -> None:
    where = ["-n", inside] if inside else []
    host(["ip", *where, "-batch", "-"], stdin="\n".join(lines) + "\n")
