"""Searches all files of a running relay, on disk and in memory, for octets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.machine import Machine

# Runs on the relay. It searches all files in file systems that store data, by name and by content,
# and unpacks archives of old logs.
SEARCH = r"""
import gzip, json, lzma, os, re, stat, sys

words = {what: [(bytes.fromhex(needle), re.compile(bytes.fromhex(whole), re.S))
                for needle, whole in many]
         for what, many in json.load(sys.stdin).items()}
KEEPING = {"overlay", "tmpfs", "ramfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs"}
OPENERS = {".gz": gzip.open, ".xz": lzma.open}
found, unread, files, size = [], [], 0, 0

def look(data, path):
    for what, patterns in words.items():
        if any(needle in data and whole.search(data) for needle, whole in patterns):
            found.append([what, path])

def read(path):
    global files, size
    if os.path.splitext(path)[1] in OPENERS:
        try:
            with OPENERS[os.path.splitext(path)[1]](path) as file:
                look(file.read(), path)
        except (OSError, EOFError, lzma.LZMAError):
            pass  # not what its name says; it is searched as it is all the same
    with open(path, "rb") as file:
        before = b""
        while data := file.read(1 << 22):
            size += len(data)
            look(before + data, path)
            before = data[-4096:]
    files += 1

def walk(root, device):
    for place, folders, names in os.walk(root):
        folders[:] = [one for one in folders if os.lstat(os.path.join(place, one)).st_dev == device]
        for name in names:
            path = os.path.join(place, name)
            look(path.encode("utf-8", "surrogateescape"), path)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    read(path)
                elif os.path.islink(path):
                    look(os.readlink(path).encode("utf-8", "surrogateescape"), path)
            except FileNotFoundError:
                pass  # gone meanwhile
            except OSError as error:
                unread.append(f"{path}: {error.strerror}")

seen = set()
for line in open("/proc/self/mounts"):
    _, root, kind, *_ = line.split()
    root = root.encode().decode("unicode_escape")
    if kind in KEEPING and os.path.isdir(root) and os.lstat(root).st_dev not in seen:
        seen.add(os.lstat(root).st_dev)
        walk(root, os.lstat(root).st_dev)
json.dump({"found": sorted(map(tuple, {tuple(one) for one in found})), "unread": unread,
           "files": files, "size": size, "roots": len(seen)}, sys.stdout)
"""


@dataclass(frozen=True)
class Found:
    """The result of a search: (what, path), and how much was read."""

    found: list[tuple[str, str]]
    unread: list[str]
    files: int
    size: int


def search(machine: Machine, words: Mapping[str, str]) -> Found:
    """Search every file for words and for addresses in all their forms."""
    patterns = {
        what: [(needle.hex(), whole.hex()) for needle, whole in forms(word)]
        for what, word in words.items()
    }
    said = json.loads(
        machine.run(["python3", "-c", SEARCH], input=json.dumps(patterns), timeout=300).out
    )
    found = [(what, path) for what, path in said["found"]]
    return Found(found, said["unread"], said["files"], said["size"])


def forms(word: str) -> list[tuple[bytes, bytes]]:
    """
    Return all forms in which a word or an address may appear in a file.

    Each is a string to search for, and a pattern around it that must match too.

    The four octets of an IPv4 address would match by chance. So they count only as part of a
    `sockaddr_in` (with family and port before them), as an IPv4-mapped address, and in hex.
    """
    try:
        address = ip_address(word)
    except ValueError:
        return [_literal(word)]
    packed = address.packed
    texts = {word, address.exploded, address.reverse_pointer, packed.hex(), packed.hex().upper()}
    binary = [packed]
    if len(packed) == 4:
        binary = [b"\xff\xff" + packed]
        texts.add(f"{packed[0]}_{packed[1]}_{packed[2]}_{packed[3]}")
    patterns = [_literal(text) for text in sorted(texts)]
    patterns += [(one, _quoted(one)) for one in binary]
    if len(packed) == 4:
        patterns.append((packed, rb"\x02\x00.." + _quoted(packed)))
    return patterns


def _literal(text: str) -> tuple[bytes, bytes]:
    # A longer number is another address.
    ahead = rb"(?![0-9a-fA-F])" if text[-1:].isalnum() else b""
    return text.encode(), _quoted(text.encode()) + ahead


def _quoted(data: bytes) -> bytes:
    return b"".join(b"\\x%02x" % octet for octet in data)
