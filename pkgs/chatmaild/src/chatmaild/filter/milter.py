"""
`chatmail-filter`: the milter between Postfix and `pipeline`.

Postfix speaks the milter protocol to one UNIX socket for all its services and says with
`milter_macro_daemon_name` which of them is asking. When this process is down or answers with an
error, mail waits at its sender: Postfix is set to refuse, never to let pass.
"""

import asyncio
import logging
import sys

from chatmaild.config import Config
from chatmaild.filter import server
from chatmaild.filter.pipeline import Pipeline
from chatmaild.service import daemon, sockets, systemd
from chatmaild.service.counters import answering
from chatmaild.signatures import keys, resolver, signing

log = logging.getLogger("chatmail-filter")


async def _serve(config: Config, pipeline: Pipeline) -> None:
    """Answer until SIGTERM; raises `SocketError`."""
    stop = daemon.stop_on_signal()
    paths = config.paths
    listener = sockets.listener("filter", paths.filter_socket, {})
    if config.metrics:
        asked = sockets.listener("numbers", config.metrics.filter_socket, {})
        await asyncio.start_unix_server(answering(pipeline.counters), sock=asked)
    serving = await server.serve(pipeline, listener)
    reporting = asyncio.create_task(daemon.log_hourly(pipeline.counters))
    systemd.notify("READY=1")
    await stop.wait()
    systemd.notify("STOPPING=1")
    # Messages under way are put off: without an answer Postfix refuses for now, so none is lost or
    # doubled.
    serving.close()
    reporting.cancel()
    log.info("%s", pipeline.counters.report())


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
    """Read the relay's keys, those that are missing made first; a relay without a name has none."""
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


if __name__ == "__main__":
    sys.exit(main())
