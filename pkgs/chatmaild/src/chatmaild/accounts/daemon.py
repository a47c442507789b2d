"""
chatmail-accounts: logins, METADATA, last logins and new-mail events for Dovecot.

While this daemon is down, known accounts can still log in and mail is still delivered. Addresses
unknown to Dovecot get a temporary error. If the daemon hung, deliveries would hang too. So
nothing here blocks: the book has one thread, hashing has two, and the event loop does neither.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chatmaild.accounts import gauges
from chatmaild.accounts.echo_account import EchoAccount
from chatmaild.accounts.grant import Grant
from chatmaild.accounts.lifecycle import AccountLifecycle
from chatmaild.accounts.metadata import MetadataHandler, NoTokens, server_entries
from chatmaild.accounts.registration import RegistrationGate
from chatmaild.accounts.requests import MAX_BODY_BYTES, ControlRequests, RegistrarRequests
from chatmaild.book.accounts import Book, BookError
from chatmaild.book.thread import BookThread
from chatmaild.config import Config
from chatmaild.dovecot.dict_server import MAX_LINE_BYTES, DictServer
from chatmaild.dovecot.doveadm import Dovecot
from chatmaild.dovecot.mailboxes import Mailboxes
from chatmaild.push.arrival_log import ArrivalLog
from chatmaild.push.notifier import CONNECTIONS, Notifier
from chatmaild.push.proxy import PushProxy
from chatmaild.service import daemon, http_server, sockets
from chatmaild.service.counters import Counters
from chatmaild.service.running import Service, every, running

HASHING_THREADS = 2
# Last logins are written in batches: one disk sync for all clients that reconnect at once.
LOGINS_SECONDS = 5.0
EXPIRY_SECONDS = 3600.0


async def _serve(config: Config) -> None:
    paths = config.paths
    book = Book.open(paths.account_book, paths.mailboxes)
    async with running() as service:
        counters = service.counters
        thread = service.closing(BookThread(book))
        hashing = service.entering(ThreadPoolExecutor(HASHING_THREADS, "hash"))
        mailboxes = Mailboxes(paths.mailboxes)
        dovecot = Dovecot(paths.doveadm_socket)
        lifecycle = service.closing(AccountLifecycle(thread, dovecot, mailboxes, config, counters))
        await lifecycle.tell_exceptions()
        gate = RegistrationGate(config)
        grant = Grant(config, thread, hashing, gate, lifecycle.prepare, counters)
        registrar = RegistrarRequests(config, thread, gate, grant, lifecycle, counters)
        metadata = MetadataHandler(
            server_entries(config),
            thread if config.push.enable else NoTokens(),
            on_login=_on_login(thread, counters),
            on_presence=thread.note_login,
            on_new_mail=await _on_new_mail(config, service, thread),
        )
        for name, path, routes in (
            ("grant", paths.grant_socket, grant.routes),
            ("registrar", paths.registrar_socket, registrar.routes),
            ("control", paths.control_socket, ControlRequests(thread, lifecycle).routes),
        ):
            await http_server.serve(service, name, path, routes, MAX_BODY_BYTES)
        if config.echo:
            echo = EchoAccount(config.domain, thread, hashing, lifecycle, counters)
            await http_server.serve(
                service, "echo", config.echo.socket, echo.routes, MAX_BODY_BYTES
            )
        await service.stream("dict", paths.dict_socket, DictServer(metadata).serve, MAX_LINE_BYTES)
        if config.metrics:
            await service.tell_counters(config.metrics.accounts_socket, gauges.of(config, thread))
        service.background(every(LOGINS_SECONDS, thread.write_logins))
        service.background(every(EXPIRY_SECONDS, thread.expire))
        service.background(asyncio.to_thread(mailboxes.empty_trash))


def _on_login(thread: BookThread, counters: Counters) -> Callable[[str], None]:
    def on_login(address: str) -> None:
        counters.add("logins")
        thread.note_login(address)

    return on_login


async def _on_new_mail(
    config: Config, service: Service, thread: BookThread
) -> Callable[[str, str], None]:
    """Start push notifications if the operator wants them; return what a new message does."""
    arrival_log = ArrivalLog(config.paths.arrivals)
    if not config.push.enable:
        await thread.forget_all_tokens()
        arrival_log.keep(())
        return lambda _address, _mark: None
    proxy = service.closing(PushProxy(config.push.proxy, config.paths.authorities, CONNECTIONS))
    notifier = Notifier(proxy.post, thread, arrival_log, service.counters)
    service.background(notifier.run())
    return notifier.on_new_mail


def main() -> int:
    """Run chatmail-accounts; see `chatmail-accounts --help`."""
    return daemon.run(
        "chatmail-accounts",
        "Answer Dovecot's logins and METADATA.",
        lambda config: asyncio.run(_serve(config)),
        (BookError, sockets.SocketError),
    )
