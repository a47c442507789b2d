"""
The configuration of every daemon and of the `chatmail` command: one JSON file, read once.

The file is rendered, not written by hand, yet its keys are the operator's own words:
`sending.perMinute` is `config.sending.per_minute`. Nothing has a default here, because two places
for one default drift apart; what does not fit stops the start.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chatmaild import config_file
from chatmaild.config_file import ConfigError as ConfigError  # noqa: PLC0414 - handed on
from chatmaild.config_file import wrong

DEFAULT_PATH = Path("/etc/chatmail/chatmaild.json")


@dataclass(frozen=True, slots=True)
class Accounts:
    """
    Which names and passwords a new account may have, in characters.

    `max_per_hour` new ones on the whole relay, 0 for no limit; `grace_days` a deleted address is
    kept from others.
    """

    name_min_length: int
    name_max_length: int
    password_min_length: int
    max_per_hour: int
    grace_days: int


@dataclass(frozen=True, slots=True)
class Sending:
    """How fast one account may send (messages), and to how many recipients at once."""

    per_minute: int
    burst: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class Message:
    """Bounds of one message: `max_size` in bytes."""

    max_size: int


@dataclass(frozen=True, slots=True)
class Https:
    """Where mail that came in over HTTPS goes: `smtp` is a port of Postfix' on loopback."""

    smtp: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """
    Bounds of one mailbox: `max_size` in bytes, and a number of messages.

    At `trim_from` percent of either the oldest mail goes, until `trim_to` percent are left.
    """

    max_size: int
    max_messages: int
    trim_from: int
    trim_to: int


@dataclass(frozen=True, slots=True)
class Incoming:
    """What may come in from other servers: `cleartext` means unencrypted mail is accepted."""

    cleartext: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """
    When the host is too busy for new accounts.

    `max_load` is the one-minute load average, the other two are bytes. 0 switches one off.
    """

    max_load: float
    min_available_memory: int
    min_free_disk: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where the TLS certificate comes from."""

    source: Literal["acme", "files", "self-signed"]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things stay: days, and the bytes from which a message counts as large."""

    mail_days: int
    large_mail_days: int
    large_mail_size: int
    idle_account_days: int


@dataclass(frozen=True, slots=True)
class Privacy:
    """Whom people turn to, as the operator wrote it; None is what was not given."""

    mail: str | None
    postal: str | None
    officer: str | None
    supervisor: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """
    The TURN server: where clients find it, and the secret that credentials are made with.

    `server_file` is what the server reads: `settings_file` and the secret.
    """

    host: str
    port: int
    secret_file: Path
    settings_file: Path
    server_file: Path


@dataclass(frozen=True, slots=True)
class Push:
    """Whether new messages are told to the push proxy at this URL."""

    enable: bool
    proxy: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What shared IMAP METADATA entries say; None answers NIL."""

    iroh_relay: str | None
    turn: Turn | None
    app_versions: Path | None


@dataclass(frozen=True, slots=True)
class Website:
    """Where the pages go (`site`), and the operator's own pages that replace some of them."""

    site: Path
    pages: Path | None


@dataclass(frozen=True, slots=True)
class Echo:
    """The echo bot: its files, its invite link, the core it runs, where it gets its account."""

    state: Path
    invite: Path
    server: Path
    socket: Path


@dataclass(frozen=True, slots=True)
class Metrics:
    """
    Where chatmail-metrics finds numbers.

    Two sockets, Postfix' program, and the ports of the TLS listeners on this host.
    """

    accounts_socket: Path
    filter_socket: Path
    postqueue: Path
    https: int
    submissions: int
    imaps: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """The host's public addresses; None means the host's own global ones."""

    ipv4: str | None
    ipv6: str | None


Need = Literal["required", "recommended"]
"""What becomes of a relay without a DNS record: it fails, or it is trusted less."""


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
    """One record of the zone: absolute `name`, `data` as in a zone file but TXT unquoted."""

    name: str
    type: str
    data: str
    need: Need


@dataclass(frozen=True, slots=True)
class Paths:
    """Every file, directory and socket the daemons touch; all absolute."""

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
    The whole configuration of a relay's daemons.

    `host` is what is connected to: a name in the DNS, or an IPv4 address. `domain` is what stands
    right of the @: the same name, or the address in brackets (RFC 5321 4.1.3).
    """

    host: str
    domain: str
    registration: Literal["open", "invite", "closed"]
    accounts: Accounts
    sending: Sending
    message: Message
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
    """Whether this is an IPv4 address and no name: a relay there has no DNS and so no DKIM."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def load(path: Path) -> Config:
    """
    Read the configuration file.

    Raises:
        ConfigError: with one sentence naming the file and the full key.

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
    Refuse a domain that is not that of the host.

    Nothing else of what the values mean: modules/relay/settings.nix has their bounds, and refuses
    what is beyond them before there is a file.
    """
    wanted = f"[{config.host}]" if is_address(config.host) else config.host
    if config.domain != wanted:
        raise wrong("domain", f"`{wanted}`, because of `host`", config.domain)
