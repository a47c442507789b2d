"""A mail server of another make: OpenSMTPD, whose mail rspamd signs and verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from harness.archive import File
from harness.dns import RESOLVER_ADDRESS
from harness.kinds import OPENSMTPD
from harness.stranger import MAILDIR, MailHost, dkim_key

if TYPE_CHECKING:
    from harness.lab import Lab

SELECTOR = "rspamd"
PLACE = "/etc/mail"
LOCAL = "/etc/rspamd/local.d"
DKIM_KEY = "/etc/rspamd/dkim.pem"
SUFFIXES = "/etc/rspamd/suffixes.dat"
VERDICT = "Authentication-Results"
"""The field in which rspamd writes what it thinks of a signature."""


class OpenSmtpd(MailHost):
    """A running OpenSMTPD for the addresses of a domain."""

    @classmethod
    def up(cls, lab: Lab, domain: str) -> Self:
        """Boot one and publish its zone."""
        server = cls(domain, lab.machine(domain, OPENSMTPD))
        key, public = dkim_key()
        chain, private = lab.ca.certificate(f"mx.{domain}")
        server.machine.unpack(
            {
                "/etc/smtpd.conf": File(_configuration(domain, server.machine.address)),
                f"{PLACE}/chain.pem": File(chain),
                f"{PLACE}/key.pem": File(private, mode="0600"),
                f"{PLACE}/virtuals": File("@ mail\n"),
                f"{PLACE}/mailname": File(f"mx.{domain}\n"),
                DKIM_KEY: File(key, mode="0640", group="_rspamd"),
                f"{LOCAL}/dkim_signing.conf": File(_signing(domain)),
                f"{LOCAL}/options.inc": File(_options()),
                SUFFIXES: File("test\n"),
                f"{LOCAL}/milter_headers.conf": File('use = ["authentication-results"];\n'),
            }
        )
        server.publish(lab, SELECTOR, public)
        run = server.machine.run
        run(["install", "-d", "-o", "mail", "-g", "mail", MAILDIR])
        run(["systemctl", "restart", "rspamd"])
        server.machine.wait_for_port(11333, address="127.0.0.1")
        run(["systemctl", "restart", "opensmtpd"])
        server.machine.wait_for_port(25)
        return server

    def version(self) -> str:
        """Return its version."""
        said = self.machine.run(["smtpd", "-h"], check=False)
        return next(word for word in (said.out + said.err).split() if word[0].isdigit())

    def rspamd_version(self) -> str:
        """Return the version of rspamd."""
        return self.machine.run(["rspamd", "--version"]).out.split()[3]


def _configuration(domain: str, address: str) -> str:
    return f"""\
pki peer cert "{PLACE}/chain.pem"
pki peer key "{PLACE}/key.pem"
table virtuals file:{PLACE}/virtuals
filter rspamd proc-exec "filter-rspamd"
filter unknown phase rcpt-to match rcpt-to regex {{ "^unknown" }} \\
    reject "550 5.1.1 no such user here"
filter both chain {{ unknown, rspamd }}
smtp max-message-size "50M"
listen on socket filter rspamd
listen on {address} port 25 tls pki peer hostname mx.{domain} filter both
action inside maildir "{MAILDIR}" virtual <virtuals>
action outside relay tls helo mx.{domain}
match from any for domain "{domain}" action inside
match from local for any action outside
"""


def _signing(domain: str) -> str:
    return f"""\
sign_local = true;
use_domain = "header";
allow_hdrfrom_mismatch = true;
allow_username_mismatch = true;
use_esld = false;
domain {{ {domain} {{ selector = "{SELECTOR}"; path = "{DKIM_KEY}"; }} }}
"""


def _options() -> str:
    # Its regular expressions and the 9,700 public suffixes take 12 s to compile.
    return f"""\
dns {{ nameserver = ["{RESOLVER_ADDRESS}"]; timeout = 5s; }}
disable_hyperscan = true;
url_tld = "{SUFFIXES}";
"""
