"""chatmail-web: what clients ask over HTTPS, behind nginx, which limits their rate."""

import asyncio
import logging

from chatmaild.config import Config
from chatmaild.service import daemon, http_server, sockets, systemd
from chatmaild.service.counters import Counters
from chatmaild.web.app import App
from chatmaild.web.handover import own_name
from chatmaild.web.registrar import Registrar

log = logging.getLogger("chatmail-web")


async def serve(config: Config, stop: asyncio.Event) -> None:
    """
    Answer until `stop`.

    Raises:
        SocketError: the socket cannot be listened on.

    """
    paths = config.paths
    # Before the first message, because Postfix waits for this file.
    own_name(paths.handover_name)
    passed = systemd.listen_fds()
    listener = sockets.listener("web", paths.web_socket, passed)
    counters = Counters()
    registrar = Registrar(paths.registrar_socket)
    app = App(config, registrar.ask, counters)
    http = await http_server.start(listener, app.answer)
    chore = asyncio.create_task(daemon.log_hourly(counters))
    systemd.notify("READY=1")
    log.info("ready")
    await stop.wait()
    systemd.notify("STOPPING=1")
    sockets.release("web", paths.web_socket, passed)
    chore.cancel()
    await asyncio.gather(chore, return_exceptions=True)
    await http.cleanup()
    await registrar.close()
    log.info("%s", counters.report())


async def _run(config: Config) -> None:
    await serve(config, daemon.stop_on_signal())


def main() -> int:
    """Run chatmail-web; see `chatmail-web --help`."""
    return daemon.run(
        "chatmail-web",
        "Hand out new addresses over HTTP.",
        lambda config: asyncio.run(_run(config)),
        (sockets.SocketError,),
    )
