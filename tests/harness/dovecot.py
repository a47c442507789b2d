"""
Dovecot without its half second: Debian's own library with one constant changed.

Dovecot tells an IDLE client of new mail 500 ms after it noticed the mail (NOTIFY_DELAY_MSECS in
src/lib-storage/mailbox-watch.c, no setting). `pkgs/dovecot` changes the constant in the source.
Here it is changed in the compiled library, where it is the operand of a single instruction, the
first argument of

    timeout_add_short(500, "mailbox-watch.c", LINE, callback, mailbox)

The instruction is known by the file name beside it, and the library is left alone unless exactly
one fits. Its other 500s belong to imapc, to mbox, and to the NOTIFY command on lists of mailboxes
(list/mailbox-list-index-notify.c); an IDLE client waits for none of them.

Why not rebuild the package: this library alone takes 85 s and 900 MB of build dependencies on two
cores (the whole package a quarter of an hour), and it takes the source of the installed version,
which a mirror of a testing suite drops while the binary is still there. Two changed bytes keep all
else as Debian built it: patches, compiler flags, link-time optimisation, ABI.

Measured on amd64, two cores, an awake IDLE client, 50 messages 200 ms apart, from LMTP's 250 to
the client's EXISTS, median and slowest in ms:

    Dovecot               500 (Debian)      10
    2.4.1  (trixie)       208   500         9.7  10.2
    2.4.5  (forky)        209   500         9.6  10.0
    2.4.1, library rebuilt from source      9.7  13.7
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import progress
from harness.errors import LabError
from harness.places import CHECKOUT
from harness.process import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DELAY_FILE = CHECKOUT / "pkgs" / "dovecot" / "notify-delay-ms"
STOCK_MS = 500
PACKAGE = "dovecot-core"
LIBRARY = Path("usr/lib/dovecot/libdovecot-storage.so.0")
NOTE = Path("usr/share/doc") / PACKAGE / "README.notify-delay"
SOURCE_NAME = b"\0mailbox-watch.c\0"
# The compiler loads the five arguments in any order, each with one or two instructions of at most
# 7 bytes: two arguments of one call are never further apart than this.
NEAR_BYTES = 48


def apply(image_root: Path, suite: str, _cache: Path) -> None:
    """
    Set the delay in the Dovecot of a finished Debian root directory, and hold the package.

    Takes milliseconds, so there is nothing to cache, and may be repeated. Raises `LabError` and
    changes nothing if the library is not one in which the constant can be told for certain.
    """
    wanted = delay_ms()
    # By name only: an absolute link would lead out of the image.
    library = image_root / LIBRARY.parent / (image_root / LIBRARY).resolve().name
    if not library.exists():
        raise LabError(f"the {suite} image has no /{LIBRARY}; it needs the package {PACKAGE}")
    try:
        _change(library, wanted)
    except (ValueError, struct.error, OSError) as reason:
        message = f"the delay of Dovecot in the {suite} image cannot be set: /{LIBRARY}: {reason}"
        raise LabError(message) from None
    (image_root / NOTE).write_text(_note(wanted))
    hold = ["chroot", str(image_root), "/usr/bin/dpkg", "--set-selections"]
    execute(hold, stdin=f"{PACKAGE} hold\n")
    progress.say(f"· Dovecot ({suite}) tells IDLE clients after {wanted} ms, Debian's {STOCK_MS}")


def delay_ms() -> int:
    """Read the milliseconds from `pkgs/dovecot/notify-delay-ms`, the one place they stand in."""
    text = DELAY_FILE.read_text().strip()
    if not (text.isdecimal() and 0 < int(text) < STOCK_MS):
        raise LabError(f"{DELAY_FILE}: `{text}` is not a whole number from 1 to {STOCK_MS - 1}")
    return int(text)


def with_delay(library: bytes, wanted: int) -> bytes:
    """Return the library with `wanted` ms for 500; `ValueError` unless exactly one place fits."""
    found = sites(library, STOCK_MS)
    if len(found) != 1:
        raise ValueError(
            f"{len(found)} places instead of one pass {STOCK_MS} together with mailbox-watch.c "
            "(a new Dovecot? read NOTIFY_DELAY_MSECS in src/lib-storage/mailbox-watch.c)"
        )
    code = _machine(library).load_first(wanted)
    return library[: found[0]] + code + library[found[0] + len(code) :]


def sites(library: bytes, value: int) -> list[int]:
    """Find the offsets of instructions that pass `value` first and "mailbox-watch.c" second."""
    machine = _machine(library)
    segments = list(_segments(library))
    name = library.find(SOURCE_NAME) + 1
    holder = [s for s in segments if s.offset < name < s.offset + s.size]
    if not holder:
        return []
    wanted = holder[0].address + name - holder[0].offset
    load = machine.load_first(value)
    found = []
    for segment in (s for s in segments if s.executable):
        end = segment.offset + segment.size
        at = library.find(load, segment.offset, end)
        while at >= 0:
            start = max(segment.offset, at - NEAR_BYTES)
            address = segment.address + start - segment.offset
            near = library[start : min(at + NEAR_BYTES, end)]
            if wanted in machine.second_addresses(near, address):
                found.append(at)
            at = library.find(load, at + 1, end)
    return found


@dataclass(frozen=True)
class _Machine:
    """Two instructions of a processor, as its C calling convention uses them."""

    load_first: Callable[[int], bytes]
    # code and the address of its first byte -> addresses that the code passes as second argument
    second_addresses: Callable[[bytes, int], Iterator[int]]


@dataclass(frozen=True)
class _Segment:
    """Bytes `offset` to `offset + size` of the file, seen by the program from `address` on."""

    offset: int
    size: int
    address: int
    executable: bool


def _amd64_load_first(value: int) -> bytes:
    return b"\xbf" + struct.pack("<I", value)  # mov edi, value


def _amd64_second_addresses(code: bytes, address: int) -> Iterator[int]:
    opcode = b"\x48\x8d\x35"  # lea rsi, [rip + disp32]
    at = code.find(opcode)
    while 0 <= at <= len(code) - 7:
        yield address + at + 7 + int(struct.unpack_from("<i", code, at + 3)[0])
        at = code.find(opcode, at + 1)


def _arm64_load_first(value: int) -> bytes:
    return struct.pack("<I", 0x52800000 | value << 5)  # mov w0, #value


def _arm64_second_addresses(code: bytes, address: int) -> Iterator[int]:
    page: int | None = None
    for at in range(-address % 4, len(code) - 3, 4):
        (word,) = struct.unpack_from("<I", code, at)
        if word & 0x9F00001F == 0x90000001:  # adrp x1, pages (21 bits, signed)
            pages = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
            pages -= (pages & 1 << 20) << 1
            page = (address + at & ~0xFFF) + (pages << 12)
        elif word & 0xFFC003FF == 0x91000021 and page is not None:  # add x1, x1, #low
            yield page + (word >> 10 & 0xFFF)


# e_machine of the ELF header (System V ABI, "Machine Information", and the processor supplements)
_MACHINES = {
    62: _Machine(_amd64_load_first, _amd64_second_addresses),
    183: _Machine(_arm64_load_first, _arm64_second_addresses),
}


def _machine(library: bytes) -> _Machine:
    if library[:6] != b"\x7fELF\x02\x01" or len(library) < 64:
        raise ValueError("this is no 64-bit little-endian ELF file")
    (number,) = struct.unpack_from("<H", library, 18)
    if number not in _MACHINES:
        raise ValueError(f"it is for neither amd64 nor arm64 (ELF machine {number})")
    return _MACHINES[number]


def _segments(library: bytes) -> Iterator[_Segment]:
    """Read what the file loads into memory (program headers of type PT_LOAD)."""
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    for header in range(table, table + count * size, size):
        kind, flags, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", library, header)
        if kind == 1:
            yield _Segment(offset, in_file, address, bool(flags & 1))


def _change(library: Path, wanted: int) -> None:
    stock = library.read_bytes()
    if not sites(stock, STOCK_MS) and len(sites(stock, wanted)) == 1:
        return
    new = library.with_name(f".{library.name}.new")
    new.write_bytes(with_delay(stock, wanted))
    shutil.copymode(library, new)
    shutil.chown(new, library.stat().st_uid, library.stat().st_gid)
    new.replace(library)
    if sites(library.read_bytes(), wanted) != sites(stock, STOCK_MS):
        raise ValueError("the changed constant is not where it was written")


def _note(wanted: int) -> str:
    return (
        f"/{LIBRARY} differs from Debian's in one constant:\n"
        f"an IDLE client is notified of new mail after {wanted} ms instead of {STOCK_MS} ms\n"
        "(NOTIFY_DELAY_MSECS in Dovecot's src/lib-storage/mailbox-watch.c).\n"
        f"An upgrade would put {STOCK_MS} ms back, so the package {PACKAGE} is held,\n"
        "and `dpkg --verify` rightly names the file. To return to Debian's:\n"
        f"apt-mark unhold {PACKAGE} && apt-get install --reinstall {PACKAGE}\n"
    )
