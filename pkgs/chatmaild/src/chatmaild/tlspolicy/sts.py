"""
MTA-STS (RFC 8461): reading a record and a policy, and fetching the policy.

The fetch goes to one host and one path that follow from the domain, over verified HTTPS, takes no
redirect and at most 64 KB, and ends after twenty seconds however slowly the server speaks.
"""

import asyncio
import ipaddress
import re
import ssl
from dataclasses import dataclass

MAX_BODY_BYTES = 65536  # RFC 8461 3.3 suggests 64 kilobytes
MAX_HEAD_BYTES = 16384
FETCH_SECONDS = 20.0
MAX_AGE_SECONDS = 31557600  # RFC 8461 3.2
MAX_HOSTS = 100
PATH = "/.well-known/mta-sts.txt"

_RECORD_ID = re.compile(rb"[A-Za-z0-9]{1,32}")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


class StsError(Exception):
    """There is no usable policy; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: lower-case hosts, where `*.` stands for one label; `max_age` is in seconds."""

    mode: str
    hosts: tuple[str, ...]
    max_age: int


def record_id(records: list[bytes]) -> str | None:
    """
    Return the id of the only STS record among TXT records (RFC 8461 3.1), or None.

    Other records are ignored. Several STS records, or a malformed one, count as none.
    """
    own = [record for record in records if re.match(rb"v=STSv1[ \t]*;", record)]
    if len(own) != 1:
        return None
    for field in own[0].split(b";")[1:]:
        name, _, value = field.strip(b" \t").partition(b"=")
        if name == b"id" and _RECORD_ID.fullmatch(value):
            return value.decode("ascii")
    return None


def parse(body: bytes) -> Policy:
    """Parse a policy (RFC 8461 3.2); the first of duplicate keys counts. Raises `StsError`."""
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise StsError("the policy is not ASCII") from None
    values: dict[str, str] = {}
    hosts: list[str] = []
    for line in re.split(r"\r?\n", text):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        if name.strip() == "mx":
            hosts.append(value.strip().lower())
        else:
            values.setdefault(name.strip(), value.strip())
    mode, age = values.get("mode", ""), values.get("max_age", "")
    if values.get("version") != "STSv1" or mode not in ("enforce", "testing", "none"):
        raise StsError("the policy has an unknown version or mode")
    if not re.fullmatch(r"[0-9]{1,10}", age):
        raise StsError("the policy has no max_age")
    if mode != "none" and not hosts:
        raise StsError("the policy names no host")
    if len(hosts) > MAX_HOSTS or not all(_HOST.fullmatch(host) for host in hosts):
        raise StsError("the policy names an invalid host")
    return Policy(mode, tuple(hosts), min(int(age), MAX_AGE_SECONDS))


def text(policy: Policy) -> bytes:
    """Print a policy so that `parse` returns the same."""
    hosts = "".join(f"mx: {host}\n" for host in policy.hosts)
    written = f"version: STSv1\nmode: {policy.mode}\n{hosts}max_age: {policy.max_age}\n"
    return written.encode("ascii")


def reachable(address: str) -> bool:
    """Whether an address may be contacted: not this host and not link-local."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)


async def fetch(domain: str, addresses: list[str], context: ssl.SSLContext) -> Policy:
    """Fetch the policy of `domain` from the first address that answers; raises `StsError`."""
    host = f"mta-sts.{domain}"
    why = "the policy host has no address"
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            for address in filter(reachable, addresses[:4]):
                try:
                    return parse(await _get(host, address, context))
                except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as error:
                    why = f"the policy host cannot be asked: {type(error).__name__}"
    except TimeoutError:
        why = "the policy host is too slow"
    raise StsError(why)


async def _get(host: str, address: str, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(
        address, 443, ssl=context, server_hostname=host, limit=MAX_HEAD_BYTES
    )
    try:
        request = f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n"
        writer.write(request.encode("ascii"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *fields = head.split("\r\n")
        # RFC 8461 3.3: 200 and nothing else, redirects least of all.
        if not re.match(r"HTTP/1\.[01] 200(?: |\Z)", status):
            raise StsError("the policy host did not answer 200")
        values = {
            name.strip().lower(): value.strip().lower()
            for name, _, value in (field.partition(":") for field in fields)
        }
        if values.get("content-type", "").partition(";")[0].strip() != "text/plain":
            raise StsError("the policy is not text/plain")
        chunked = values.get("transfer-encoding") == "chunked"
        if chunked:
            return await _chunks(reader)
        return await _read(reader, values.get("content-length"))
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, length: str | None) -> bytes:
    if length is not None:
        if not re.fullmatch(r"[0-9]{1,6}", length) or int(length) > MAX_BODY_BYTES:
            raise StsError("the policy is too large")
        return await reader.readexactly(int(length))
    body = b""
    while piece := await reader.read(MAX_HEAD_BYTES):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise StsError("the policy is too large")
    return body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body (RFC 9112 7.1)."""
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0].strip(), 16):
        if size < 0 or len(body) + size > MAX_BODY_BYTES:
            raise StsError("the policy is too large")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body
