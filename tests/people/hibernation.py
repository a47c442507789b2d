"""Hibernation: Dovecot moves idle clients to a process that needs little memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.archive import File
    from harness.relay import Relay

CONFIG = "/etc/dovecot/dovecot.conf"
SHIPPED, SOON = "imap_hibernate_timeout = 30s", "imap_hibernate_timeout = 2s"


@contextmanager
def soon(relay: Relay) -> Iterator[None]:
    """Let clients that log in meanwhile hibernate after 2 s instead of half a minute."""
    shipped = relay.value.files[CONFIG]
    text = str(shipped.text)
    assert SHIPPED in text
    _restart(relay, replace(shipped, text=text.replace(SHIPPED, SOON)))
    try:
        yield
    finally:
        _restart(relay, shipped)


def _restart(relay: Relay, config: File) -> None:
    relay.machine.unpack({CONFIG: config})
    # A restart and not a reload: during a reload, a login handled by an old process fails, because
    # its new neighbours do not know it (seen with Dovecot 2.4.5).
    relay.machine.run(["systemctl", "restart", "dovecot"])
    relay.machine.wait_for_unit("dovecot.service")
