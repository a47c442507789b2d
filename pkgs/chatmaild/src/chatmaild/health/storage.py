"""Checks the disks, the mailboxes, the account book, and the jobs that work on them."""

import datetime
import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from chatmaild import admission
from chatmaild.book import last_night
from chatmaild.book.accounts import Book, BookError
from chatmaild.book.outbox import Outbox
from chatmaild.health import units
from chatmaild.health.checks import Check, Look
from chatmaild.postfix import queue_control
from chatmaild.postfix.queue import QueueError
from chatmaild.text import human_size

# Postfix refuses mail unless there is space for one and a half messages of maximum size
# (postconf(5), queue_minfree).
QUEUE_MESSAGES = 1.5
MIN_FREE_INODES = 0.02
# One missed run may be a badly timed reboot; two are a fault.
EXPIRY_DAYS = 2
# The fourth attempt fails if the proxy has been down for more than a minute.
PUSH_ATTEMPTS = 4
# Looking at each of 5,000 mailboxes takes 20 ms.
MAX_MAILBOXES = 5000


def disks(look: Look) -> Iterator[Check]:
    """Check free space and inodes for the mailboxes and for the queue."""
    config = look.config
    enough = int(QUEUE_MESSAGES * config.message.max_size)
    free_mail = max(config.admission.min_free_disk, enough)
    places = [("disk of mailboxes", config.paths.account_book.parent, free_mail)]
    with suppress(QueueError):
        places.append(("disk of mail queue", queue_control.directory(), enough))
    for name, path, least in places:
        yield _disk(name, path, least)


def _disk(name: str, path: Path, least: int) -> Check:
    try:
        status = os.statvfs(path)
    except OSError as error:
        return Check(name, "wrong", f"{path}: {error.strerror}", "restore it from a backup")
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    biggest = f"`du -xh {path} | sort -h | tail` shows what uses the space"
    if status.f_flag & os.ST_RDONLY:
        return Check(name, "wrong", f"{path} is read-only", "`dmesg` says why")
    if free < least:
        text = f"{human_size(free)} of {human_size(size)} free: mail is refused"
        return Check(name, "wrong", text, biggest)
    if status.f_files and status.f_favail < MIN_FREE_INODES * status.f_files:
        text = f"{status.f_favail} of {status.f_files} inodes free: new files cannot be made"
        return Check(name, "wrong", text, biggest.replace("du -xh", "du -x --inodes"))
    return Check(name, "ok", f"{human_size(free)} of {human_size(size)} free")


def mailboxes(look: Look) -> Iterator[Check]:
    """Check whether Dovecot can write to the mailboxes."""
    path = look.config.paths.mailboxes
    try:
        [unit] = units.show(["chatmail-accounts.service"])
        user = unit.get("User", "")
        uid = pwd.getpwnam(user).pw_uid
        status = path.stat()
        with os.scandir(path) as entries:
            foreign = sum(entry.stat().st_uid != uid for entry in islice(entries, MAX_MAILBOXES))
    except PermissionError:
        yield look.hidden("mailboxes", str(path))
        return
    except (OSError, KeyError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        yield Check("mailboxes", "wrong", f"{path}: {why}", "`systemctl restart chatmail-accounts`")
        return
    own = f"`chown -R {user}: {path}`"
    if status.st_uid != uid:
        text = f"{path} belongs to {_user(status.st_uid)}, not to {user}: no mail is delivered"
        yield Check("mailboxes", "wrong", text, own)
    elif status.st_mode & 0o700 != 0o700:  # noqa: PLR2004 - of the owner
        text = f"{user} may not write to {path} (mode {status.st_mode & 0o777:04o})"
        yield Check("mailboxes", "wrong", f"{text}: no mail is delivered", f"`chmod 0700 {path}`")
    elif foreign:
        yield Check("mailboxes", "wrong", f"{foreign} of them do not belong to {user}", own)
    else:
        yield Check("mailboxes", "ok", "belong to their user")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def book(look: Look) -> Iterator[Check]:
    """Count accounts and waiting notifications."""
    path = look.config.paths.account_book
    if not look.as_root and not os.access(path, os.R_OK):
        yield look.hidden("accounts", "the account book")
        return
    try:
        opened = Book.open_reader(path)
        try:
            yield Check("accounts", "ok", str(opened.count()))
            yield _push(look, opened)
        finally:
            opened.close()
    except BookError as error:
        yield Check("accounts", "wrong", str(error), "restore it from a backup")


def _push(look: Look, opened: Book) -> Check:
    if not look.config.push.enable:
        return Check("push", "ok", "switched off")
    waiting, attempts = Outbox(opened).count()
    text = f"{waiting} notifications wait"
    if attempts < PUSH_ATTEMPTS:
        return Check("push", "ok", text)
    return Check(
        "push",
        "wrong",
        f"{text}, one after {attempts} attempts: phones are not woken",
        f"does `push.proxy` ({look.config.push.proxy}) work? `journalctl -u chatmail-accounts`",
    )


def expiry(look: Look) -> Iterator[Check]:
    """Read the report of the last nightly run."""
    path = look.config.paths.last_night
    rerun = "`journalctl -u chatmail-expire` has the reason; `chatmail expire` runs it again"
    try:
        last = last_night.read(path)
    except PermissionError:
        yield look.hidden("expiry", str(path))
        return
    except OSError as error:
        yield Check("expiry", "wrong", f"{path}: {error.strerror}", rerun)
        return
    except ValueError:
        yield Check("expiry", "wrong", f"{path}: is not a record of a run", rerun)
        return
    if last is None:
        # On a new relay the timer has not run yet; the check of units covers a stopped timer.
        yield Check("expiry", "ok", "has not run yet")
        return
    when = datetime.datetime.fromtimestamp(last.at, datetime.UTC)
    late = datetime.datetime.now(datetime.UTC) - when > datetime.timedelta(days=EXPIRY_DAYS)
    mail = f"{last.messages} messages ({human_size(last.bytes)})"
    removed = f"deleted {mail}, {last.accounts} idle accounts"
    held = "; deletion by age is paused, because the relay was offline" if last.held else ""
    text = f"{'last ' if late else ''}ran {when:%Y-%m-%d %H:%M} UTC: {last.fault or removed + held}"
    if late or last.fault:
        yield Check("expiry", "wrong", text, rerun)
    else:
        yield Check("expiry", "ok", text)


def registration(look: Look) -> Iterator[Check]:
    """Report whether anything besides the setting prevents new addresses."""
    config = look.config
    try:
        config.paths.nocreate.lstat()
    except FileNotFoundError:
        pass
    except OSError:
        yield look.hidden("registration", "whether it is stopped")
        return
    else:
        yield Check(
            "registration",
            "note",
            "stopped: there are no new addresses",
            "`chatmail registration start` ends the stop",
        )
        return
    shortage = admission.decide(admission.read_host(config.paths.mailboxes), config.admission)
    if shortage:
        text = f"low on {shortage.value}: there are no new addresses"
        yield Check("registration", "note", text, "`services.chatmail.admission` has the limits")
    else:
        yield Check("registration", "ok", config.registration)
