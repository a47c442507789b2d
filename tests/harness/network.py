"""
The lab's network: an Ethernet of its own that leads nowhere.

A bridge in its own namespace joins one veth pair per machine and one for the clients. Addresses
come from the documentation ranges (RFC 5737: 192.0.2.0/24, RFC 3849: 2001:db8::/64); there is no
route out, so what leaves the lab fails at once.
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
CLIENTS = tuple(range(100, 116))  # several, because limits per client address are among the claims


def address4(number: int) -> str:
    """The lab's IPv4 address with this last octet."""
    return f"192.0.2.{number}"


def address6(number: int) -> str:
    """The IPv6 address of the same host, with the same digits."""
    return f"2001:db8::{number}"


def is_address(domain: str) -> bool:
    """Whether a relay's domain is an IPv4 address."""
    return re.fullmatch(r"[0-9.]+", domain) is not None


def number_of(domain: str) -> tuple[int, ...]:
    """
    Return the last octet of a domain that is an address of the lab's; () for a name.

    Machines with names get theirs from elsewhere, so that one is free.
    """
    if not is_address(domain):
        return ()
    number = int(domain.rpartition(".")[2])
    if domain != address4(number) or number not in RELAYS_AT_ADDRESSES:
        first, *_, last = map(address4, RELAYS_AT_ADDRESSES)
        raise LabError(f"{domain} is no address for a relay in the lab; use {first} to {last}")
    return (number,)


def mac(number: int) -> str:
    """Return the MAC address of the same host, one for documentation (RFC 9542 2.1.2)."""
    return f"00:00:5e:00:53:{number:02x}"


@dataclass(frozen=True)
class Link:
    """One namespace's place on the Ethernet."""

    namespace: str
    numbers: tuple[int, ...]

    @property
    def path(self) -> Path:
        """The namespace's file, wherever the caller is."""
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
    """Where clients run: several addresses, one namespace."""
    return Link(namespace("clients"), CLIENTS)


def up() -> None:
    """Make the bridge and the clients' namespace if they are not there as a whole."""
    whole = host_path(state() / "network")
    with locked(state() / "network.lock"):
        if whole.exists():
            return
        # A command that was ended while it made them has left a part.
        down()
        bridge = namespace("bridge")
        _ip(["netns", "add", bridge])
        settings = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        _batch([f"link add lab {settings}", "link set lab up", "link set lo up"], bridge)
        attach(clients())
        whole.touch()


def attach(link: Link) -> None:
    """Make a namespace and plug it into the bridge."""
    bridge = namespace("bridge")
    port = _port(link)
    _ip(["netns", "add", link.namespace])
    # A machine that takes over an address must be found at once: with a random MAC address others
    # would send to the old one until their neighbour entry expires, up to a minute.
    peer = f"peer name eth0 address {mac(link.numbers[0])} netns {link.namespace}"
    _batch([f"link add {port} netns {bridge} type veth {peer}"])
    _batch([f"link set {port} master lab", f"link set {port} up"], bridge)
    # nodad: duplicate address detection would keep each IPv6 address unusable for a second or two.
    addresses = [f"address add {address4(number)}/24 dev eth0" for number in link.numbers]
    # preferred_lft 0: who does not choose speaks from the first.
    addresses += [
        f"address add {address6(number)}/64 dev eth0 nodad"
        + ("" if number == link.numbers[0] else " preferred_lft 0")
        for number in link.numbers
    ]
    _batch(["link set lo up", *addresses, "link set eth0 up"], link.namespace)


def detach(link: Link) -> None:
    """Remove a namespace and its cable."""
    if link.path.exists():
        # The kernel empties a deleted namespace later; the cable must be gone now, for its number
        # may be given to the next machine at once.
        host(["ip", "-n", namespace("bridge"), "link", "delete", _port(link)], check=False)
        _ip(["netns", "delete", link.namespace])


def down() -> None:
    """Remove every namespace of this lab, whatever made it."""
    host_path(state() / "network").unlink(missing_ok=True)
    shelf = host_path(NETNS)
    for leftover in sorted(shelf.glob(namespace("*"))) if shelf.exists() else []:
        _ip(["netns", "delete", leftover.name])
    if shelf.exists() and not any(shelf.iterdir()):
        # ip(8) makes this mount with its first namespace; after the last nobody needs it.
        host(["umount", str(NETNS)], check=False)


def end_clients(spared: Collection[Process] = ()) -> None:
    """End what is still running among the clients: without machines it has nobody to talk to."""
    for process in _inside(clients()):
        if process not in spared:
            process.end()


def end_inside(link: Link) -> None:
    """Kill what is left in a machine's namespace, in whatever control group it is."""
    processes = _inside(link)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.wait(timeout=5)


def _inside(link: Link) -> list[Process]:
    """Return the processes in a namespace, but not this one."""
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
    """An address for one more machine."""
    for number in range(FIRST_MACHINE, LAST_MACHINE + 1):
        if number not in taken:
            return number
    raise LabError(
        f"the lab is full: {len(taken)} machines; stop one, or take it down with: tests/lab down"
    )


def _port(link: Link) -> str:
    """The bridge's end of the cable."""
    return f"p{link.numbers[0]}"


def _ip(arguments: Sequence[str]) -> None:
    host(["ip", *arguments])


def _batch(lines: Sequence[str], inside: str | None = None) -> None:
    where = ["-n", inside] if inside else []
    host(["ip", *where, "-batch", "-"], stdin="\n".join(lines) + "\n")
