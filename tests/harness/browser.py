"""
A real browser: headless Chromium, controlled over its DevTools pipe.

It needs only Debian's package, which is installed at first use. It opens no port: commands and
events are JSON texts on two file descriptors (https://chromedevtools.github.io/devtools-protocol/).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import host, progress
from harness.errors import DeadlineError, LabError

PROGRAM = "chromium"
ANSWER_SECONDS = 30
# fmt: off
OPTIONS = [
    "--headless=new", "--no-sandbox",  # root has no sandbox; the pages are our own
    "--remote-debugging-pipe", "--ignore-certificate-errors", "--disable-gpu",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    # Disable the browser's own requests, so that every request comes from a page.
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--no-default-browser-check", "--metrics-recording-only",
]
# fmt: on


@dataclass(frozen=True)
class Device:
    """A screen: CSS pixels and device pixels per CSS pixel."""

    width: int
    height: int
    scale: float = 1
    mobile: bool = False


DESKTOP = Device(1280, 800)
PHONE = Device(360, 740, 2, mobile=True)


@dataclass
class Visit:
    """The requests of a page load: every URL, the status codes, and the error messages."""

    requests: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


class Browser:
    """One tab."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._visit = Visit()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Security"):
            self._call(f"{domain}.enable")

    def be(self, device: Device, *, dark: bool = False, language: str = "en") -> None:
        """Set device, colour scheme and language for the next pages."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=device.width,
            height=device.height,
            deviceScaleFactor=device.scale,
            mobile=device.mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    def open(self, url: str) -> Visit:
        """Load a page with all of its resources."""
        self._visit = Visit()
        said = self._call("Page.navigate", url=url)
        if said.get("errorText"):
            raise LabError(f"{url}: {said['errorText']}")
        self._pump(lambda message: message.get("method") == "Page.loadEventFired", f"load of {url}")
        # All pending events have arrived by the time a command is answered.
        self.evaluate("document.readyState")
        return self._visit

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript in the page, even if the page may not run scripts."""
        said = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in said:
            raise LabError(f"{expression}: {said['exceptionDetails']['text']}")
        return said["result"].get("value")

    def scripts(self, *, enabled: bool) -> None:
        """Allow or forbid scripts."""
        self._call("Emulation.setScriptExecutionDisabled", value=not enabled)

    def screenshot(self, path: Path) -> bytes:
        """Write the whole page as PNG; return it too."""
        said = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        picture = base64.b64decode(said["data"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
        return picture

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        command: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        answer = self._pump(lambda message: message.get("id") == number, method)
        if "error" in answer:
            raise LabError(f"the browser refuses {method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _pump(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Read messages until the wanted one; record other events."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            message = self._next(deadline, what)
            self._note(message)
            if wanted(message):
                return message

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise DeadlineError(f"browser: no {what} within {ANSWER_SECONDS} s")
            data = os.read(self._read, 1 << 16)
            if not data:
                raise LabError(f"the browser ended before {what}")
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self._visit.requests.append(about["request"]["url"])
            case "Network.responseReceived":
                response = about["response"]
                self._visit.statuses[response["url"]] = response["status"]
            case "Network.loadingFailed":
                self._visit.complaints.append(f"{about['type']}: {about['errorText']}")
            case "Log.entryAdded":
                entry = about["entry"]
                self._visit.complaints.append(f"{entry['level']}: {entry['text']}")
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self._visit.complaints.append(json.dumps(about)[:500])


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser among the clients; install its package on the host if necessary."""
    if not shutil.which(PROGRAM):
        with progress.step("installing a browser (once)"):
            host.install([PROGRAM, "fonts-dejavu-core"])
    commands, answers = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # DevTools reads from descriptor 3 and writes to 4.
        redirect = f'exec "$@" 3<&{commands[0]} 4>&{answers[1]}'
        chromium = [PROGRAM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", *chromium],
            pass_fds=(commands[0], answers[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands[0])
        os.close(answers[1])
        try:
            yield Browser(answers[0], commands[1])
        finally:
            os.close(commands[1])
            os.close(answers[0])
            process.terminate()
            process.wait(timeout=10)
