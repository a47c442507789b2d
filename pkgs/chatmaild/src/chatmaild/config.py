"""
The configuration of every daemon and of the `chatmail` command: one JSON file, read once.

The file is rendered, not written by hand, yet its keys are the operator's own words (camelCase).
Here they become frozen dataclasses with snake_case attributes: `sending.perMinute` is
`config.sending.per_minute`. Nothing has a default in this file, because two places for one default
drift apart: an unknown key, a missing key or a value of the wrong type stops the start.
"""

import dataclasses
import difflib
import ipaddress
import json
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DEFAULT_PATH = Path("/etc/chatmail/chatmaild.json")

# An address must fit SMTP's 64 octets for the local part (RFC 5321, section 4.5.3.1.1).
MAX_NAME_LENGTH = 64
# bcrypt reads 72 bytes; the web endpoint makes passwords three characters longer than the minimum.
MAX_PASSWORD_MIN_LENGTH = 69


class ConfigError(Exception):
    """The configuration cannot be used; the text is one sentence for the operator."""


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
    Bounds of one mailbox: `max_size` in bytes.

    At `trim_from` percent of it the oldest mail goes, until `trim_to` percent are left.
    """

    max_size: int
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
class Dkim:
    """The selectors of the DKIM keys (RFC 6376, section 3.1); None for no Ed25519 key."""

    selector: str
    ed25519_selector: str | None


@dataclass(frozen=True, slots=True)
class Addresses:
    """The host's public addresses; None means the host's own global ones."""

    ipv4: str | None
    ipv6: str | None


Need = Literal["required", "recommended"]
"""What becomes of a relay without a DNS record: it fails, or it is trusted less."""


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
    dkim_key: Path
    dkim_ed25519_key: Path
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
    sts_policies: Path
    nocreate: Path
    revoked: Path
    exceptions: Path
    arrivals: Path
    authorities: Path


@dataclass(frozen=True, slots=True)
class Config:
    """
    The whole configuration of a relay's daemons.

    `host` is what is connected to: a name in the DNS, or an IPv4 address. `domain` is what stands
    right of the @: the same name, or the address in brackets (RFC 5321, section 4.1.3).
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
    dkim: Dkim
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
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    try:
        value = json.loads(text, object_pairs_hook=_object_without_duplicates)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        config = _read(Config, value, "")
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return typing.cast("Config", config)


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key written twice; JSON would silently keep the last one."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ConfigError(f"key `{key}` is written twice")
        result[key] = value
    return result


def _read(kind: Any, value: Any, key: str) -> Any:
    """Turn a JSON value into `kind`; `key` is its full name for error sentences."""
    if dataclasses.is_dataclass(kind):
        return _read_group(typing.cast("type", kind), value, key)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else _read(typing.get_args(kind)[0], value, key)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(key, "a list", value)
        element = typing.get_args(kind)[0]
        return tuple(_read(element, item, f"{key}[{i}]") for i, item in enumerate(value))
    if origin is Literal:
        choices = typing.get_args(kind)
        if not isinstance(value, str) or value not in choices:
            raise _wrong(key, " or ".join(f"`{choice}`" for choice in choices), value)
        return value
    if kind is Path:
        if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
            raise _wrong(key, "an absolute path", value)
        return Path(value)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(key, "a number", value)
        return float(value)
    names = {str: "a string", int: "a whole number", bool: "true or false"}
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _wrong(key, names[kind], value)
    return value


def _read_group(kind: type, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(key or "the whole file", "an object", value)
    prefix = f"{key}." if key else ""
    hints = typing.get_type_hints(kind)
    fields = {_camel_case(field.name): field.name for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean `{prefix}{close[0]}`?" if close else ""
            raise ConfigError(f"unknown key `{prefix}{name}`{hint}")
    for name in fields:
        if name not in value:
            raise ConfigError(f"missing key `{prefix}{name}`")
    return kind(
        **{
            attribute: _read(hints[attribute], value[name], f"{prefix}{name}")
            for name, attribute in fields.items()
        }
    )


def _wrong(key: str, wanted: str, value: Any) -> ConfigError:
    shown = json.dumps(value, ensure_ascii=False)
    if len(shown) > 60:  # noqa: PLR2004 - a sentence, not a dump
        shown = shown[:57] + "..."
    return ConfigError(f"`{key}` must be {wanted}, not {shown}")


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _check(config: Config) -> None:
    """Refuse values of the right type that cannot work."""
    if not config.domain or config.domain != config.domain.lower() or "@" in config.domain:
        raise _wrong("domain", "a domain name in lower case", config.domain)
    wanted = f"[{config.host}]" if is_address(config.host) else config.host
    if config.domain != wanted:
        raise _wrong("domain", f"`{wanted}`, because of `host`", config.domain)
    for key, number, low, high in (
        ("accounts.nameMinLength", config.accounts.name_min_length, 1, MAX_NAME_LENGTH),
        ("accounts.nameMaxLength", config.accounts.name_max_length, 1, MAX_NAME_LENGTH),
        (
            "accounts.passwordMinLength",
            config.accounts.password_min_length,
            1,
            MAX_PASSWORD_MIN_LENGTH,
        ),
        ("accounts.maxPerHour", config.accounts.max_per_hour, 0, None),
        ("accounts.graceDays", config.accounts.grace_days, 0, None),
        ("sending.perMinute", config.sending.per_minute, 1, None),
        ("sending.burst", config.sending.burst, 1, None),
        ("sending.maxRecipients", config.sending.max_recipients, 1, None),
        ("message.maxSize", config.message.max_size, 1, None),
        ("mailbox.maxSize", config.mailbox.max_size, 1, None),
        ("retention.mailDays", config.retention.mail_days, 1, None),
        ("retention.largeMailDays", config.retention.large_mail_days, 1, None),
        ("retention.largeMailSize", config.retention.large_mail_size, 1, None),
        ("retention.idleAccountDays", config.retention.idle_account_days, 1, None),
        ("admission.maxLoad", config.admission.max_load, 0, None),
        ("admission.minAvailableMemory", config.admission.min_available_memory, 0, None),
        ("mailbox.trimFrom", config.mailbox.trim_from, 1, 99),
        ("mailbox.trimTo", config.mailbox.trim_to, 1, config.mailbox.trim_from),
        ("admission.minFreeDisk", config.admission.min_free_disk, 0, None),
    ):
        if not (number >= low and (high is None or number <= high)):
            wanted = f"between {low} and {high}" if high is not None else f"at least {low}"
            raise _wrong(key, wanted, number)
    if config.accounts.name_max_length < config.accounts.name_min_length:
        raise ConfigError(
            "`accounts.nameMaxLength` must not be smaller than `accounts.nameMinLength`"
        )
    for key, address, version in (
        ("addresses.ipv4", config.addresses.ipv4, 4),
        ("addresses.ipv6", config.addresses.ipv6, 6),
    ):
        if address is None:
            continue
        try:
            valid = ipaddress.ip_address(address).version == version
        except ValueError:
            valid = False
        if not valid:
            raise _wrong(key, f"an IPv{version} address or null", address)
