"""
`chatmail-filter`: the milter between Postfix and `pipeline`.

Postfix speaks the milter protocol to one UNIX socket for all its services and says with
`milter_macro_daemon_name` which of them is asking. If this process is down or reports an error,
mail stays with its sender, because Postfix is configured to refuse it temporarily.
"""

import asyncio

from chatmaild.config import Config
from chatmaild.filter import server
from chatmaild.filter.pipeline import Pipeline
from chatmaild.service import daemon, sockets
from chatmaild.service.running import running
from chatmaild.signatures import keys, resolver, signing


async def _serve(config: Config, pipeline: Pipeline) -> None:
    async with running(pipeline.counters) as service:
        if config.metrics:
            await service.tell_counters(config.metrics.filter_socket)
        # Messages in progress at shutdown are deferred: without an answer Postfix refuses
        # temporarily, so none is lost or duplicated.
        listener = service.listener("filter", config.paths.filter_socket)
        service.serving(await server.serve(pipeline, listener))


def run(config: Config) -> None:
    """
    Serve until SIGTERM.

    Raises:
        ConfigError: a DKIM key cannot be used.
        SocketError: the socket cannot be listened on.

    """
    pipeline = Pipeline(config, _signer(config), resolver.lookup_txt)
    asyncio.run(_serve(config, pipeline))


def _signer(config: Config) -> signing.Signer | None:
    """Read the relay's keys and create missing ones; None if the relay has no domain name."""
    private = {key.selector: keys.load(key.file, key.kind) for key in config.dkim}
    signs = {key.selector: private[key.selector] for key in config.dkim if key.signs}
    return signing.Signer(config.domain, signs) if signs else None


def main(arguments: list[str] | None = None) -> int:
    """Run chatmail-filter; see `chatmail-filter --help`."""
    return daemon.run(
        "chatmail-filter",
        "Judge, clean, sign and verify mail for Postfix.",
        run,
        (sockets.SocketError,),
        arguments,
    )
