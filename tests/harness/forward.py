"""
Forwards loopback ports of the host to a machine, without a route between the two.

A small process listens on 127.0.0.1 in the host's network, then moves to the clients' namespace and
connects from there. For the machine it is another client.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
import sys
from dataclasses import asdict
from pathlib import Path

from harness import progress, sockets
from harness.errors import LabError
from harness.machine import Machine
from harness.network import clients
from harness.places import HARNESS, locked, state
from harness.process import Process, host_path, spawn, undisturbed, wait_until

BASE, STEP, LAST = 10000, 1000, 64000
CHUNK_BYTES = 65536


def start(machine: Machine, ports: list[int], base: int | None) -> dict[int, int]:
    """
    Forward 127.0.0.1:(base + port) to each port of a machine; return machine port -> host port.

    Existing forwards are kept. Without a base, the first free thousand from 10000 on is used.
    """
    with locked(state() / "forwards.lock"):
        known = _load()
        if machine.name in known and known[machine.name][0].alive():
            return known[machine.name][1]
        if base is None:
            taken = {host - port for _, held in known.values() for port, host in held.items()}
            base = _free_base(ports, taken)
        elif used := _used(ports, base):
            raise LabError(
                f"port {used} of this host is in use; choose others with --ports BASE "
                "(25 becomes BASE + 25), or --ports none"
            )
        chosen = {port: base + port for port in ports}
        log = host_path(state() / f"forward-{machine.link.numbers[0]}.log")
        pairs = [f"{listening}:{port}" for port, listening in chosen.items()]
        namespace = str(clients().path)
        command = [sys.executable, "-m", "harness.forward", namespace, machine.address, *pairs]
        with undisturbed(), log.open("wb") as output:
            process = spawn(["env", f"PYTHONPATH={HARNESS.parent}", *command], output)
            known[machine.name] = (process, chosen)
            _save(known)
        wait_until(
            lambda: "ready" in log.read_text() or not process.alive(),
            "port forwarding",
            timeout=10,
        )
        if not process.alive():
            raise LabError(f"port forwarding ended at once: {log.read_text().strip()}")
        return chosen


def stop(name: str) -> None:
    """Stop the forwards of a machine."""
    with locked(state() / "forwards.lock"):
        known = _load()
        if name in known:
            known.pop(name)[0].end()
            _save(known)


def stop_all() -> None:
    """Stop all forwards of this lab."""
    for name in _load():
        stop(name)


def running() -> dict[str, dict[int, int]]:
    """Return the current forwards: machine -> its port -> the host's port."""
    return {name: ports for name, (process, ports) in _load().items() if process.alive()}


def processes() -> set[Process]:
    """Return the forwarding processes, which are among the clients."""
    return {process for process, _ in _load().values()}


def _free_base(ports: list[int], taken: set[int]) -> int:
    """Return the first thousand in which no process on this host listens."""
    for base in range(BASE, LAST, STEP):
        if base not in taken:
            used = _used(ports, base)
            if used is None:
                return base
            progress.say(f"· port {used} of this host is in use; trying {base + STEP} and up")
    raise LabError("no free ports to forward; choose some with --ports BASE, or --ports none")


def _used(ports: list[int], base: int) -> int | None:
    """Return the first of these ports on which a process of this host listens."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", base + port))
            except OSError:
                return base + port
    return None


def _file() -> Path:
    return host_path(state() / "forwards.json")


def _load() -> dict[str, tuple[Process, dict[int, int]]]:
    if not _file().exists():
        return {}
    return {
        name: (Process(**entry["process"]), {int(k): v for k, v in entry["ports"].items()})
        for name, entry in json.loads(_file().read_text()).items()
    }


def _save(known: dict[str, tuple[Process, dict[int, int]]]) -> None:
    entries = {
        name: {"process": asdict(process), "ports": ports}
        for name, (process, ports) in known.items()
    }
    new = _file().with_suffix(".new")
    new.write_text(json.dumps(entries))
    new.rename(_file())


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


async def _serve(listeners: list[tuple[socket.socket, int]], address: str) -> None:
    async def client(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
        back.close()
        writer.close()

    for listener, port in listeners:
        await asyncio.start_server(functools.partial(client, port), sock=listener)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    """Run the process; arguments are NAMESPACE ADDRESS LISTENING:PORT and more of the last."""
    namespace, address, *pairs = arguments
    listeners = []
    for pair in pairs:
        listening, _, port = pair.partition(":")
        listeners.append((socket.create_server(("127.0.0.1", int(listening))), int(port)))
    sockets.enter(Path(namespace))
    asyncio.run(_serve(listeners, address))


if __name__ == "__main__":
    main(sys.argv[1:])
