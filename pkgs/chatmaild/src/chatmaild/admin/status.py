"""
`chatmail status`: one look that says whether this relay works.

Each check is a name, a verdict and a few words. A check that cannot be made counts as wrong: an
operator who asks wants to know.
"""

import argparse
import datetime
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chatmaild.admin.command import CommandError, add_json, human_size
from chatmaild.config import Config
from chatmaild.postfix.queue import Listing, QueueError

HELP = "check whether this relay works"
COMMAND_SECONDS = 20
# ACME renews 30 days before the end; at 14 it has failed for two weeks.
CERTIFICATE_DAYS = 14
# More than this waits only when other servers or our own delivery are in trouble.
QUEUE_LENGTH = 1000
# A night may be missed by a reboot at the wrong hour, two are none.
EXPIRY_DAYS = 2
# The fourth fails when the proxy has not worked for more than a minute.
PUSH_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer."""

    name: str
    ok: bool
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the one option."""
    add_json(parser)


def run(config: Config, options: argparse.Namespace) -> int:
    """Print all checks; 1 when one of them is wrong."""
    checks = collect(config)
    if options.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{'ok   ' if check.ok else 'WRONG'}  {check.name:{width}}  {check.text}")
    return 0 if all(check.ok for check in checks) else 1


def collect(config: Config) -> list[Check]:
    """Make every check."""
    checks: list[Callable[[Config], Check]] = [
        _queue,
        _accounts,
        _push,
        _disk,
        _expiry,
        _certificate,
        _dkim_key,
        _addresses,
    ]
    return [*units(config.units), *(check(config) for check in checks)]


def units(names: Sequence[str]) -> list[Check]:
    """Ask systemd about units; a oneshot that has succeeded need not be active."""
    if not names:
        return []
    wanted = ("Id", "LoadState", "ActiveState", "SubState", "Type", "Result")
    try:
        output = _output(["systemctl", "show", f"--property={','.join(wanted)}", "--", *names])
    except CommandError as error:
        return [Check("units", ok=False, text=str(error))]
    # One block per unit, in the order asked for; Id may be another name of the unit.
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in output.strip().split("\n\n")
    ]
    return [_unit(name, block) for name, block in zip(names, blocks, strict=False)]


def _unit(name: str, properties: dict[str, str]) -> Check:
    state = properties.get("ActiveState", "unknown")
    if properties.get("LoadState") != "loaded":
        return Check(name, ok=False, text=properties.get("LoadState", "unknown"))
    finished = (
        properties.get("Type") == "oneshot"
        and state in {"inactive", "activating"}
        and properties.get("Result") == "success"
    )
    if finished:
        return Check(name, ok=True, text="succeeded when it last ran")
    return Check(
        name,
        ok=state in {"active", "reloading"},
        text=f"{state} ({properties.get('SubState', 'unknown')})",
    )


def _queue(_config: Config) -> Check:
    try:
        length = sum(1 for _ in Listing())
    except QueueError as error:
        return Check("mail queue", ok=False, text=str(error))
    return Check("mail queue", ok=length <= QUEUE_LENGTH, text=f"{length} messages wait")


def _accounts(config: Config) -> Check:
    from chatmaild.book.accounts import Book, BookError

    try:
        book = Book.open_reader(config.paths.account_book)
        try:
            count = book.count()
        finally:
            book.close()
    except BookError as error:
        return Check("accounts", ok=False, text=str(error))
    return Check("accounts", ok=True, text=str(count))


def _push(config: Config) -> Check:
    if not config.push.enable:
        return Check("push", ok=True, text="switched off")
    from chatmaild.book.accounts import Book, BookError
    from chatmaild.book.outbox import Outbox

    try:
        book = Book.open_reader(config.paths.account_book)
        try:
            waiting, attempts = Outbox(book).count()
        finally:
            book.close()
    except BookError as error:
        return Check("push", ok=False, text=str(error))
    text = f"{waiting} notifications wait"
    if attempts >= PUSH_ATTEMPTS:
        text += f", one after {attempts} attempts: does `push.proxy` work?"
    return Check("push", ok=attempts < PUSH_ATTEMPTS, text=text)


def _disk(config: Config) -> Check:
    try:
        usage = shutil.disk_usage(config.paths.account_book.parent)
    except OSError as error:
        return Check("disk", ok=False, text=f"{error.filename}: {error.strerror}")
    limit = config.admission.min_free_disk
    return Check(
        "disk",
        ok=usage.free >= limit,
        text=f"{human_size(usage.free)} of {human_size(usage.total)} free"
        + (f", below `admission.minFreeDisk` ({human_size(limit)})" if usage.free < limit else ""),
    )


def _expiry(config: Config) -> Check:
    from chatmaild.book import last_night

    path = config.paths.last_night
    try:
        last = last_night.read(path)
    except OSError as error:
        return Check("expiry", ok=False, text=f"{path}: {error.strerror}")
    except ValueError:
        return Check("expiry", ok=False, text=f"{path}: is no record of a night")
    if last is None:
        # The timer of a relay that was made today has not come yet; a dead timer is a unit's line.
        return Check("expiry", ok=True, text="has not run yet")
    when = datetime.datetime.fromtimestamp(last.at, datetime.UTC)
    late = datetime.datetime.now(datetime.UTC) - when > datetime.timedelta(days=EXPIRY_DAYS)
    mail = f"{last.messages} messages ({human_size(last.bytes)})"
    removed = f"removed {mail}, {last.accounts} idle accounts"
    held = ", nothing by its age, for the relay was away" if last.held else ""
    text = f"{'last ' if late else ''}ran {when:%Y-%m-%d %H:%M} UTC: {last.fault or removed + held}"
    return Check("expiry", ok=not late and not last.fault, text=text)


def _certificate(config: Config) -> Check:
    from cryptography import x509

    path = config.paths.certificate
    try:
        end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except OSError as error:
        return Check("certificate", ok=False, text=f"{path}: {error.strerror}")
    except ValueError:
        return Check("certificate", ok=False, text=f"{path}: is no certificate in PEM form")
    days = (end - datetime.datetime.now(datetime.UTC)).days
    text = f"{days} days left" if days >= 0 else f"expired {-days} days ago"
    return Check("certificate", ok=days >= CERTIFICATE_DAYS, text=text)


def _dkim_key(config: Config) -> Check:
    if not config.dkim:
        return Check("DKIM key", ok=True, text="none: an address has no DNS to publish it in")
    faults = [fault for key in config.dkim if (fault := _fault(key.file))]
    return Check("DKIM key", ok=not faults, text="; ".join(faults) or "present")


def _fault(path: Path) -> str:
    """Say what is wrong with a file that must not be empty; an empty text if nothing is."""
    try:
        return "" if path.stat().st_size else f"{path}: is empty"
    except OSError as error:
        return f"{path}: {error.strerror}"


def _addresses(config: Config) -> Check:
    from chatmaild.zone import records

    try:
        return Check("addresses", ok=True, text=", ".join(records.addresses(config)))
    except records.ZoneError as error:
        return Check("addresses", ok=False, text=str(error))


def _output(command: list[str]) -> str:
    """
    Run a program for its output.

    Raises:
        CommandError: it is missing, fails, or takes longer than 20 seconds.

    """
    try:
        return subprocess.run(  # noqa: S603 - fixed programs, unit names from the configuration
            command, capture_output=True, text=True, check=True, timeout=COMMAND_SECONDS
        ).stdout
    except FileNotFoundError:
        raise CommandError(f"`{command[0]}` is not installed") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{command[0]}` did not answer in {COMMAND_SECONDS} s") from None
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise CommandError(f"`{command[0]}` failed: {' '.join(said.split())[:200]}") from None
