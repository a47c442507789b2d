"""
chatmail-accounts: logins, METADATA, last logins and new-mail events for Dovecot.

While this daemon is down, known accounts can still log in and mail is still delivered. Addresses
unknown to Dovecot are told to try again later. If the daemon hung, deliveries would hang too. So
nothing here blocks: the book has one thread, hashing has two, and the event loop does neither.
"""

import asyncio
import logging
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

from chatmaild import admission
from chatmaild.accounts import gauges
from chatmaild.accounts.door import Door, HourlyBudget
from chatmaild.accounts.echo_account import EchoAccount
from chatmaild.accounts.grant import Grant
from chatmaild.accounts.keeper import Keeper
from chatmaild.accounts.metadata import Metadata, NoTokens, server_entries
from chatmaild.accounts.requests import Control, Registrar
from chatmaild.book.accounts import Book, BookError
from chatmaild.book.thread import BookThread
from chatmaild.config import Config
from chatmaild.dovecot.dict_server import MAX_LINE_BYTES, DictServer
from chatmaild.dovecot.doveadm import Dovecot
from chatmaild.dovecot.mailboxes import Mailboxes
from chatmaild.push.arrival_log import ArrivalLog
from chatmaild.push.notifier import CONNECTIONS, Arrivals, Notifier
from chatmaild.push.proxy import PushProxy
from chatmaild.service import daemon, http_server, sockets, systemd
from chatmaild.service.counters import Counters, answering

log = logging.getLogger("chatmail-accounts")

HASHING_THREADS = 2
# Last logins are written in batches: one disk sync for all clients that reconnect at once.
LOGINS_SECONDS = 5.0
EXPIRY_SECONDS = 3600.0


async def serve(config: Config, book: Book, stop: asyncio.Event) -> None:
    """
    Serve all sockets until `stop`.

    Raises:
        SocketError: a socket cannot be opened.

    """
    paths = config.paths
    passed = systemd.listen_fds()
    listening = {
        "grant": paths.grant_socket,
        "dict": paths.dict_socket,
        "registrar": paths.registrar_socket,
        "control": paths.control_socket,
        **({"echo": config.echo.socket} if config.echo else {}),
    }
    if config.metrics:
        listening["numbers"] = config.metrics.accounts_socket
    listeners = {name: sockets.listener(name, path, passed) for name, path in listening.items()}
    counters = Counters()
    thread = BookThread(book)

    proxy = PushProxy(config.push.proxy, paths.authorities, CONNECTIONS)
    arrival_log = ArrivalLog(paths.arrivals)
    notifier = Notifier(proxy.post, thread, arrival_log, counters)
    arrivals = Arrivals()

    def on_new_mail(address: str, mark: str) -> None:
        counters.add("new_mail")
        if config.push.enable and arrivals.is_news(address, mark):
            notifier.notify(address)

    def on_login(address: str) -> None:
        counters.add("logins")
        thread.note_login(address)

    if not config.push.enable:
        await thread.forget_all_tokens()
        arrival_log.keep(())

    mailboxes = Mailboxes(paths.mailboxes)
    keeper = Keeper(thread, Dovecot(paths.doveadm_socket), mailboxes, config, counters)
    await keeper.tell_exceptions()
    door = Door(
        config,
        lambda: admission.decide(admission.read_host(paths.mailboxes), config.admission),
        HourlyBudget(config.accounts.max_per_hour),
    )

    with ThreadPoolExecutor(HASHING_THREADS, "hash") as hashing:
        grant = Grant(config, thread, hashing, door, keeper.prepare, counters)
        registrar = Registrar(config, thread, door, grant, keeper, counters)
        tokens = thread if config.push.enable else NoTokens()
        metadata = Metadata(
            server_entries(config), tokens, on_login, thread.note_login, on_new_mail
        )
        answers = {
            "grant": grant.answer,
            "registrar": registrar.endpoint.answer,
            "control": Control(thread, keeper).endpoint.answer,
        }
        if config.echo:
            echo = EchoAccount(config.domain, thread, hashing, keeper, counters)
            answers["echo"] = echo.endpoint.answer
        servers = [
            await http_server.start(listeners[name], answer) for name, answer in answers.items()
        ]
        dictionary = await asyncio.start_unix_server(
            DictServer(metadata).serve,
            sock=listeners["dict"],
            limit=MAX_LINE_BYTES,
            backlog=sockets.BACKLOG,
            # `release` removes it; sockets from systemd outlive this process.
            cleanup_socket=False,
        )
        streams = [dictionary]
        if config.metrics:
            told = answering(counters, gauges.of(config, thread))
            streams.append(
                await asyncio.start_unix_server(
                    told, sock=listeners["numbers"], cleanup_socket=False
                )
            )
        chores = [
            asyncio.create_task(daemon.every(LOGINS_SECONDS, thread.write_logins)),
            asyncio.create_task(daemon.every(EXPIRY_SECONDS, thread.expire)),
            asyncio.create_task(daemon.log_hourly(counters)),
            asyncio.create_task(asyncio.to_thread(mailboxes.empty_trash)),
            *([asyncio.create_task(_or_stop(notifier.run(), stop))] if config.push.enable else []),
        ]
        systemd.notify("READY=1")
        log.info("ready")
        await stop.wait()
        systemd.notify("STOPPING=1")
        for name, path in listening.items():
            sockets.release(name, path, passed)
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        for stream in streams:
            stream.close()
            stream.close_clients()
        for server in servers:
            await server.cleanup()
        await keeper.close()
        await proxy.close()
        await thread.close()
        log.info("%s", counters.report())


async def _or_stop(work: Awaitable[None], stop: asyncio.Event) -> None:
    """End the daemon after an unexpected exception; systemd then restarts it."""
    try:
        await work
    except Exception:
        log.exception("a part of the daemon has failed")
        stop.set()


async def _run(config: Config) -> None:
    daemon.warn_about_admission(config)
    book = Book.open(config.paths.account_book, config.paths.mailboxes)
    await serve(config, book, daemon.stop_on_signal())


def main() -> int:
    """Run chatmail-accounts; see `chatmail-accounts --help`."""
    return daemon.run(
        "chatmail-accounts",
        "Answer Dovecot's logins and METADATA.",
        lambda config: asyncio.run(_run(config)),
        (BookError, sockets.SocketError),
    )
