"""A mail server of another make: Exim, which verifies TLS and signs and verifies by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from harness.archive import File
from harness.kinds import PROGRAMS
from harness.stranger import MAILDIR, MailHost, dkim_key

if TYPE_CHECKING:
    from harness.lab import Lab

SELECTOR = "exim"
PLACE = "/etc/exim4"
UNIT = """\
[Service]
ExecStart=/usr/sbin/exim4 -bdf -q5s
"""
VERDICT = "X-Exim-DKIM"
"""The field in which it writes what it thinks of a signature."""


class Exim(MailHost):
    """A running Exim for the addresses of a domain; `machine` has other programs too."""

    @classmethod
    def up(cls, lab: Lab, domain: str) -> Self:
        """Boot one and publish its zone."""
        server = cls(domain, lab.machine(domain, PROGRAMS))
        key, public = dkim_key()
        chain, private = lab.ca.certificate(f"mx.{domain}")
        owner = {"mode": "0640", "group": "Debian-exim"}
        server.machine.unpack(
            {
                f"{PLACE}/exim4.conf": File(_configuration(domain), **owner),
                f"{PLACE}/chain.pem": File(chain),
                f"{PLACE}/key.pem": File(private, **owner),
                f"{PLACE}/dkim.pem": File(key, **owner),
                "/etc/systemd/system/exim.service": File(UNIT),
                "/etc/mailname": File(f"{domain}\n"),
            }
        )
        server.publish(lab, SELECTOR, public)
        server.machine.run(["systemctl", "restart", "exim"])
        server.machine.wait_for_port(25)
        return server

    def version(self) -> str:
        """Return its version."""
        return self.machine.run(["exim4", "--version"]).out.split()[2]


def _configuration(domain: str) -> str:
    return f"""\
primary_hostname = mx.{domain}
qualify_domain = {domain}
domainlist local_domains = {domain}
log_selector = +tls_certificate_verified
tls_advertise_hosts = *
tls_certificate = {PLACE}/chain.pem
tls_privatekey = {PLACE}/key.pem
dkim_verify_signers = $dkim_signers
acl_smtp_rcpt = rcpt
acl_smtp_dkim = dkim
acl_smtp_data = data
untrusted_set_sender = *
local_from_check = false
message_size_limit = 50M
never_users =
begin acl
rcpt:
  deny domains = +local_domains
       local_parts = ^unknown
       message = 5.1.1 no such user here
  accept domains = +local_domains
  accept hosts = 127.0.0.1 : ::1
  deny message = relaying denied
dkim:
  warn add_header = {VERDICT}: $dkim_cur_signer $dkim_verify_status $dkim_algo
  accept
data:
  accept
begin routers
outside:
  driver = dnslookup
  domains = ! +local_domains
  transport = smtp
  no_more
inside:
  driver = accept
  transport = maildir
begin transports
smtp:
  driver = smtp
  hosts_require_tls = *
  tls_verify_hosts = *
  tls_verify_certificates = system
  tls_sni = $host
  dkim_domain = {domain}
  dkim_selector = {SELECTOR}
  dkim_private_key = {PLACE}/dkim.pem
  dkim_canon = relaxed
maildir:
  driver = appendfile
  maildir_format
  directory = {MAILDIR}
  create_directory
  user = mail
  group = mail
  return_path_add
  envelope_to_add
begin retry
* * F,1h,5s
"""
