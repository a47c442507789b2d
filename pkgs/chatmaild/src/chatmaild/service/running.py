"""Runs a daemon from its start to its end: sockets, periodic work, notifications to systemd."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from chatmaild.service import sockets, systemd
from chatmaild.service.counters import Connected, Counters, Gauges, answering

log = logging.getLogger(__name__)

STATUS_SECONDS = 3600.0


class Closable(Protocol):
    """A part that is closed at the end of the daemon."""

    async def close(self) -> None:
        """Close it."""


class Service:
    """The parts of a daemon. They end in reverse order of their start."""

    def __init__(self, counters: Counters, stack: AsyncExitStack) -> None:
        """Take the sockets that systemd has passed to this process."""
        self.counters = counters
        self.stop = asyncio.Event()
        self._stack = stack
        self._passed = systemd.listen_fds()
        self._own: list[Path] = []

    def listener(self, name: str, path: Path) -> socket.socket:
        """Return the listening socket called `name`, see sockets.listener."""
        if name not in self._passed:
            self._own.append(path)
        return sockets.listener(name, path, self._passed)

    async def stream(
        self, name: str, path: Path, connected: Connected, max_line: int = 65_536
    ) -> None:
        """Call `connected` for each connection to a UNIX socket."""
        self.serving(
            await asyncio.start_unix_server(
                connected,
                sock=self.listener(name, path),
                limit=max_line,
                backlog=sockets.BACKLOG,
                # `release` removes it; a socket from systemd outlives this process.
                cleanup_socket=False,
            )
        )

    async def tell_counters(self, path: Path, gauges: Gauges | None = None) -> None:
        """Answer chatmail-metrics with the counters, and with the gauges if there are any."""
        await self.stream("numbers", path, answering(self.counters, gauges))

    def serving(self, server: asyncio.Server) -> None:
        """Close a server and its connections at the end of the daemon."""

        def close() -> None:
            server.close()
            server.close_clients()

        self._stack.callback(close)

    def closing[T: Closable](self, part: T) -> T:
        """Close a part at the end of the daemon; return the part."""
        self._stack.push_async_callback(part.close)
        return part

    def at_end(self, do: Callable[[], Awaitable[Any]]) -> None:
        """Call a function at the end of the daemon."""
        self._stack.push_async_callback(do)

    def entering[T](self, manager: AbstractContextManager[T]) -> T:
        """Enter a context that is left at the end of the daemon."""
        return self._stack.enter_context(manager)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine until the daemon ends; an unexpected exception in it ends the daemon."""

        async def run() -> None:
            try:
                await work
            except Exception:
                log.exception("a part of the daemon has failed")
                self.stop.set()

        task = asyncio.create_task(run())

        async def cancel() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            work.close()  # if it was cancelled before its first step

        self._stack.push_async_callback(cancel)

    def release(self) -> None:
        """
        Remove the socket files that this process has created.

        Dovecot waits one to three seconds for a socket file without a listener, but does not wait
        for a missing one.
        """
        for path in self._own:
            path.unlink(missing_ok=True)


@asynccontextmanager
async def running(counters: Counters | None = None) -> AsyncIterator[Service]:
    """
    Run a daemon: the block starts its parts, and the end of the block waits for SIGTERM.

    systemd is notified when all parts have started, and when they begin to stop.
    """
    async with AsyncExitStack() as stack:
        service = Service(counters or Counters(), stack)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, service.stop.set)
        yield service
        service.background(_report_hourly(service.counters))
        systemd.notify("READY=1")
        log.info("ready")
        await service.stop.wait()
        systemd.notify("STOPPING=1")
        service.release()
    log.info("%s", service.counters.report())


async def every(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Run `chore` periodically until cancelled, the first time after `seconds`."""
    while True:
        await asyncio.sleep(seconds)
        await chore()


async def _report_hourly(counters: Counters) -> None:
    """Write the counters to the log and to `systemctl status` every hour."""

    async def report() -> None:
        line = counters.report()
        systemd.notify(f"STATUS={line}")
        log.info("%s", line)

    await every(STATUS_SECONDS, report)
