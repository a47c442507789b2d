"""
Fetches an MTA-STS policy (RFC 8461 3.3) from a stranger's web server without trusting it.

Host and path follow from the domain, and the addresses come from the relay's own resolver. The
certificate is verified, redirects are not followed, and nothing is decompressed. Time and size are
limited for the whole answer, because any account can choose the server.

h11 parses HTTP here instead of aiohttp: aiohttp 3.11 stores any number of header fields, and 300 MB
of them took 2 GB of memory.
"""

import asyncio
import ipaddress
import ssl
from http import HTTPStatus

import h11

from chatmaild.tlspolicy.sts import Policy, StsError, parse

PATH = "/.well-known/mta-sts.txt"
# RFC 8461 3.3 suggests 64 kilobytes; as much again for the header and the lengths of chunks.
MAX_BODY_BYTES = 65_536
MAX_ANSWER_BYTES = 2 * MAX_BODY_BYTES
MAX_HEAD_BYTES = 16_384
READ_BYTES = 16_384
# A process of Postfix waits for it. Policy hosts answer within a second.
FETCH_SECONDS = 10.0
MAX_ADDRESSES = 4


def reachable(address: str) -> bool:
    """Whether an address may be contacted: not this host and not link-local."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)


async def fetch(domain: str, addresses: list[str], context: ssl.SSLContext) -> Policy:
    """
    Fetch the policy of a domain from the first of its policy host's addresses that answers.

    Raises:
        StsError: there is no valid policy, or none within ten seconds.

    """
    host = f"mta-sts.{domain}"
    why = "the policy host has no address"
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            for address in filter(reachable, addresses[:MAX_ADDRESSES]):
                try:
                    return parse(await _get(host, address, context))
                except (OSError, h11.RemoteProtocolError) as error:
                    why = f"the policy host does not answer: {type(error).__name__}"
    except TimeoutError:
        why = "the policy host is too slow"
    raise StsError(why)


async def _get(host: str, address: str, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(
        address, 443, ssl=context, server_hostname=host, limit=READ_BYTES
    )
    try:
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        headers = [("Host", host), ("Accept", "text/plain"), ("Connection", "close")]
        request = h11.Request(method="GET", target=PATH, headers=headers)
        writer.write(http.send(request) or b"")
        http.send(h11.EndOfMessage())
        return await _body(http, reader)
    finally:
        # The rest of the connection does not matter, not even a proper end of TLS.
        writer.transport.abort()


async def _body(http: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    body = b""
    received = 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(READ_BYTES)
            received += len(data)
            if received > MAX_ANSWER_BYTES:
                raise StsError("the answer of the policy host is too large")
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            _check(event)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise StsError("the policy is too large")
        elif isinstance(event, h11.EndOfMessage):
            return body
        elif not isinstance(event, h11.InformationalResponse):
            raise StsError("the policy host closes the connection")


def _check(response: h11.Response) -> None:
    """Refuse redirects, errors and other media types (RFC 8461 3.3), such as users' uploads."""
    if response.status_code != HTTPStatus.OK:
        raise StsError("the policy host did not answer 200")
    kind = dict(response.headers).get(b"content-type", b"").partition(b";")[0]
    if kind.strip().lower() != b"text/plain":
        raise StsError("the policy is not text/plain")
