"""
The configuration of every daemon and of the `chatmail` command: one JSON file, read once.

Nix renders the file, but its keys are the operator's names for settings: `sending.perMinute` is
`config.sending.per_minute`. Nothing has a default here, because a default in two places would
diverge. An invalid file stops the start.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chatmaild import config_file
from chatmaild.config_file import ConfigError as ConfigError  # noqa: PLC0414 - re-exported
from chatmaild.config_file import wrong

DEFAULT_PATH = Path("/etc/chatmail/chatmaild.json")


@dataclass(frozen=True, slots=True)
class Accounts:
    """
    The rules for names and passwords of new accounts; lengths are in characters.

    `max_per_hour` limits new accounts on the whole relay; 0 means no limit. A deleted address is
    reserved for `grace_days`.
    """

    name_min_length: int
    name_max_length: int
    password_min_length: int
    max_per_hour: int
    grace_days: int


@dataclass(frozen=True, slots=True)
class Sending:
    """The sending rate of one account, in messages, and the maximum number of recipients."""

    per_minute: int
    burst: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class Message:
    """The limit on one message: `max_size` in bytes."""

    max_size: int


@dataclass(frozen=True, slots=True)
class Https:
    """Where mail that arrived over HTTPS goes: `smtp` is a loopback port of Postfix."""

    smtp: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """
    The limits of one mailbox: `max_size` in bytes, and a number of messages.

    At `trim_from` percent of either limit the oldest messages are deleted, down to `trim_to`
    percent.
    """

    max_size: int
    max_messages: int
    trim_from: int
    trim_to: int


@dataclass(frozen=True, slots=True)
class Incoming:
    """Mail from other servers: `cleartext` means that unencrypted mail is accepted."""

    cleartext: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """
    The limits beyond which the host accepts no new accounts.

    `max_load` is the one-minute load average; the other two are bytes. 0 disables a limit.
    """

    max_load: float
    min_available_memory: int
    min_free_disk: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """The source of the TLS certificate."""

    source: Literal["acme", "files", "self-signed"]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long mail and accounts are kept, in days, and the size of large messages in bytes."""

    mail_days: int
    large_mail_days: int
    large_mail_size: int
    idle_account_days: int


@dataclass(frozen=True, slots=True)
class Privacy:
    """Contact details for the privacy page; None if not configured."""

    mail: str | None
    postal: str | None
    officer: str | None
    supervisor: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """
    The TURN server: its address for clients, and the secret for credentials.

    `server_file` is the server's configuration: `settings_file` and the secret.
    """

    host: str
    port: int
    secret_file: Path
    settings_file: Path
    server_file: Path


@dataclass(frozen=True, slots=True)
class Push:
    """The push proxy, and whether new messages are notified."""

    enable: bool
    proxy: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The values of shared IMAP METADATA entries; None answers NIL."""

    iroh_relay: str | None
    turn: Turn | None
    app_versions: Path | None


@dataclass(frozen=True, slots=True)
class Website:
    """The directory of the rendered pages (`site`), and of the operator's own pages."""

    site: Path
    pages: Path | None


@dataclass(frozen=True, slots=True)
class Echo:
    """The echo bot: its state, its invite link, core's program, and the socket for its account."""

    state: Path
    invite: Path
    server: Path
    socket: Path


@dataclass(frozen=True, slots=True)
class Metrics:
    """
    The sources of chatmail-metrics.

    They are two sockets, Postfix' program, and the ports of the TLS listeners on this host.
    """

    accounts_socket: Path
    filter_socket: Path
    postqueue: Path
    https: int
    submissions: int
    imaps: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """The host's public addresses; None means the host's own global addresses."""

    ipv4: str | None
    ipv6: str | None


Need = Literal["required", "recommended"]
"""The effect of a missing DNS record: the relay does not work, or is trusted less."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """
    A private key of the relay, whose public half is published at `selector` (RFC 6376 3.1).

    Messages are signed with it if `signs`; `need` is that of its DNS record.
    """

    selector: str
    kind: Literal["rsa", "ed25519"]
    file: Path
    signs: bool
    need: Need


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record of the zone: absolute `name`, `data` as in a zone file but TXT without quotes."""

    name: str
    type: str
    data: str
    need: Need


@dataclass(frozen=True, slots=True)
class Ports:
    """The public TCP ports with TLS, for `chatmail status`."""

    smtp: int
    submissions: int
    imaps: int
    https: int


@dataclass(frozen=True, slots=True)
class Paths:
    """All files, directories and sockets of the daemons; absolute paths."""

    account_book: Path
    mailboxes: Path
    certificate: Path
    certificate_key: Path
    filter_socket: Path
    grant_socket: Path
    dict_socket: Path
    registrar_socket: Path
    control_socket: Path
    doveadm_socket: Path
    web_socket: Path
    tls_policy_socket: Path
    sasl_socket: Path
    lmtp_socket: Path
    handover_name: Path
    sts_policies: Path
    nocreate: Path
    revoked: Path
    exceptions: Path
    arrivals: Path
    expiry_hold: Path
    last_night: Path
    authorities: Path


@dataclass(frozen=True, slots=True)
class Config:
    """
    The complete configuration of a relay's daemons.

    `host` is what clients connect to: a DNS name or an IPv4 address. `domain` is the part after the
    @: the same name, or the IP address in brackets (RFC 5321 4.1.3).
    """

    host: str
    domain: str
    registration: Literal["open", "invite", "closed"]
    accounts: Accounts
    sending: Sending
    message: Message
    ports: Ports
    https: Https
    mailbox: Mailbox
    incoming: Incoming
    admission: Admission
    certificate: Certificate
    push: Push
    metadata: Metadata
    retention: Retention
    privacy: Privacy
    website: Website
    echo: Echo | None
    metrics: Metrics | None
    dkim: tuple[DkimKey, ...]
    addresses: Addresses
    dns: tuple[DnsRecord, ...]
    units: tuple[str, ...]
    paths: Paths


def is_address(host: str) -> bool:
    """Return whether `host` is an IPv4 address; such a relay has no DNS and no DKIM."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def load(path: Path) -> Config:
    """
    Read the configuration file.

    Raises:
        ConfigError: one sentence that names the file and the full key.

    """
    value = config_file.parse(path)
    try:
        config: Config = config_file.read(Config, value)
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return config


def _check(config: Config) -> None:
    """
    Refuse a domain that does not match the host.

    Other values are not checked: modules/relay/settings.nix has their bounds, and refuses invalid
    ones before the file is written.
    """
    wanted = f"[{config.host}]" if is_address(config.host) else config.host
    if config.domain != wanted:
        raise wrong("domain", f"`{wanted}`, because of `host`", config.domain)
