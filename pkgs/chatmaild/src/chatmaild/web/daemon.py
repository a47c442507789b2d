"""chatmail-web: answers clients' HTTPS requests behind nginx, which limits their rate."""

import asyncio

from chatmaild.config import Config
from chatmaild.service import daemon, http_server, sockets
from chatmaild.service.running import running
from chatmaild.web.app import MAX_BODY_BYTES, App
from chatmaild.web.handover import own_name
from chatmaild.web.registrar import RegistrarClient


async def _serve(config: Config) -> None:
    # This must exist before the first message, because Postfix waits for this file.
    own_name(config.paths.handover_name)
    async with running() as service:
        registrar = service.closing(RegistrarClient(config.paths.registrar_socket))
        app = App(config, registrar.ask, service.counters)
        await http_server.serve(service, "web", config.paths.web_socket, app.routes, MAX_BODY_BYTES)


def main() -> int:
    """Run chatmail-web; see `chatmail-web --help`."""
    return daemon.run(
        "chatmail-web",
        "Hand out new addresses over HTTPS.",
        lambda config: asyncio.run(_serve(config)),
        (sockets.SocketError,),
    )
