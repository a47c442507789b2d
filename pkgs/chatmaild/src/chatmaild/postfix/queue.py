"""
Reads Postfix's mail queue: `postqueue -j` prints one JSON object per message (postqueue(1)).

Postfix opens every queue file to list it, so a long queue takes time, and a frozen Postfix never
answers. So a listing ends after a number of seconds or messages, and says whether it is complete.
"""

import json
import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PROGRAM = "postqueue"
READ_BYTES = 65_536
# 1,000 recipients, each with a reason of 300 octets, take 0.4 MB.
MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_FAULT_BYTES = 300


class QueueError(Exception):
    """The queue cannot be listed; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address that still waits for the message, and why; "" before the first attempt."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """
    One message of the queue.

    `queue` is incoming, active, deferred, hold or maildrop; `arrived` is UNIX time, `size` is in
    bytes. An unreadable entry counts as one of the queue "unknown" that has just arrived.
    """

    queue: str
    id: str
    arrived: int
    size: int
    sender: str
    recipients: tuple[Recipient, ...]


class Listing:
    """
    The messages of the queue, read from Postfix while they are iterated over, once.

    Afterwards `complete` says whether these were all, or a limit was reached.
    """

    def __init__(
        self, program: Path | str = PROGRAM, *, seconds: float = 10.0, most: int = 100_000
    ) -> None:
        """List with this `postqueue`; stop after a number of seconds or messages."""
        self._program = program
        self._seconds = seconds
        self._most = most
        self.complete = False

    def __iter__(self) -> Iterator[QueuedMessage]:
        """
        Yield the messages, in no order.

        Raises:
            QueueError: Postfix is down, or lists nothing within the given time.

        """
        try:
            process = subprocess.Popen(  # noqa: S603 - a program of the configuration
                [self._program, "-j"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise QueueError(f"`{self._program}` cannot be run: {error.strerror}") from None
        with process:
            assert process.stdout is not None  # noqa: S101 - as asked for
            assert process.stderr is not None  # noqa: S101 - as asked for
            try:
                yield from self._messages(process.stdout)
            finally:
                if not self.complete:
                    process.kill()
            said = process.stderr.read(MAX_FAULT_BYTES).decode("utf-8", "replace")
        if self.complete and process.returncode:
            raise QueueError(" ".join(said.split()) or f"`{self._program}` failed")

    def _messages(self, output: IO[bytes]) -> Iterator[QueuedMessage]:
        count = 0
        for line in self._lines(output):
            if count == self._most:
                return
            count += 1
            yield parse(line)
        if not count and not self.complete:
            raise QueueError(f"Postfix does not list its queue within {self._seconds:g} s")

    def _lines(self, output: IO[bytes]) -> Iterator[bytes]:
        deadline = time.monotonic() + self._seconds
        rest = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                part = os.read(output.fileno(), READ_BYTES)
                if not part:
                    self.complete = True
                    return
                *whole, last = part.split(b"\n")
                for end in whole:
                    yield bytes(rest + end)
                    rest.clear()
                rest += last
                if len(rest) > MAX_LINE_BYTES:
                    raise QueueError(f"`{self._program}` printed a line that does not end")


def parse(line: bytes) -> QueuedMessage:
    """Read one line of `postqueue -j`."""
    try:
        found = json.loads(line.decode("utf-8", "replace"))
        return QueuedMessage(
            str(found["queue_name"]),
            str(found["queue_id"]),
            int(found["arrival_time"]),
            int(found["message_size"]),
            str(found["sender"]),
            tuple(
                Recipient(str(one["address"]), str(one.get("delay_reason", "")))
                for one in found["recipients"]
            ),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return QueuedMessage("unknown", "", int(time.time()), 0, "", ())


def without_addresses(reason: str) -> str:
    """Remove mail addresses from a reason, and Postfix's prefix for suspended deliveries."""
    text = reason.removeprefix("delivery temporarily suspended: ")
    return re.sub(r"[^\s<>\"']+@[^\s<>\"']+", "…", text)
