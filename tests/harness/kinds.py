"""
The kinds of machines: the Debian packages of each, and units that must not start by themselves.

A relay's image stays small: other projects' programs have their own images, built when a test first
needs them. Exim and OpenSMTPD both replace Postfix, so they cannot share one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """
    The content of one image.

    `enabled` are units that packages enable when installed. `missing` are packages that a suite
    lacks. With `node` the npm packages of tests/interop/node are installed.
    """

    name: str
    packages: tuple[str, ...]
    enabled: tuple[str, ...]
    missing: dict[str, tuple[str, ...]] | None = None
    node: bool = False

    def packages_of(self, suite: str) -> list[str]:
        """Return the packages for a suite."""
        missing = (self.missing or {}).get(suite, ())
        return [package for package in self.packages if package not in missing]


# fmt: off
SYSTEM = (
    "systemd", "systemd-sysv", "dbus", "iproute2", "ca-certificates",
    "procps", "less", "curl", "openssl",
)

# python3-dkim, python3-pytest and python3-hypothesis are for chatmaild's own tests.
RELAY = Kind(
    "relay",
    (
        *SYSTEM, "sqlite3",
        "postfix", "dovecot-imapd", "dovecot-lmtpd", "dovecot-sqlite",
        "nginx-light", "libnginx-mod-stream", "unbound", "knot", "opendkim",
        "python3", "python3-dkim", "python3-cryptography", "python3-dnspython",
        "python3-aiohttp", "python3-bcrypt", "python3-segno", "python3-psutil",
        "python3-jinja2", "python3-markdown-it", "python3-prometheus-client", "python3-pytest",
        "python3-hypothesis", "python3-h11", "coturn",
    ),
    ("postfix", "dovecot", "nginx", "unbound", "unbound-resolvconf", "knot", "opendkim", "coturn"),
)

# OpenPGP programs, mail clients and Exim.
PROGRAMS = Kind(
    "programs",
    (
        *SYSTEM, "exim4-daemon-light",
        "gnupg", "sq", "sqop", "rnp", "gosop", "pgpainless-cli", "default-jre-headless",
        "neomutt", "swaks", "libnet-ssleay-perl", "libauthen-sasl-perl",
        "opendkim-tools", "libmail-dkim-perl", "python3", "python3-dkim", "python3-pgpy", "nodejs",
    ),
    ("exim4", "exim4-base.timer"),
    # PGPainless left Debian with the end of trixie.
    missing={"forky": ("pgpainless-cli", "default-jre-headless")},
    node=True,
)

OPENSMTPD = Kind(
    "opensmtpd",
    (*SYSTEM, "opensmtpd", "rspamd", "opensmtpd-filter-rspamd"),
    ("opensmtpd", "rspamd"),
)
# fmt: on

KINDS = (RELAY, PROGRAMS, OPENSMTPD)
