"""
A stranger's mail server: a classic Postfix without our software, well or badly maintained.

It accepts mail for every name at its domain into one maildir. It refuses recipients whose names
begin with certain words (`unknown…`, `refused…`, `busy…`). `sendmail` on it sends mail, optionally
signed by OpenDKIM.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.archive import File
from harness.dns import Record
from harness.process import execute, wait_until

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.machine import Machine

Certificate = Literal["valid", "self-signed", "expired", "misnamed", "none"]

SELECTOR = "classic"
MAILDIR = "/var/mail/stranger/all"
CHAIN, KEY = "/etc/postfix/chain.pem", "/etc/postfix/key.pem"
DKIM_KEY = "/etc/dkimkeys/classic.private"
REPLIES = """\
/^unknown/ 550 5.1.1 no such user here
/^refused/ 554 5.7.1 we do not like this
/^busy/ 450 4.2.0 come again later
"""


@dataclass(frozen=True)
class MailHost:
    """A mail server of any make for all addresses of a domain, with a maildir for all of them."""

    domain: str
    machine: Machine

    def publish(
        self, lab: Lab, selector: str, public: str, records: tuple[Record, ...] = ()
    ) -> None:
        """Publish its zone with its DKIM key and further records."""
        own: list[Record] = [
            ("@", "MX", f"10 mx.{self.domain}."),
            ("mx", "A", self.machine.address),
            (f"{selector}._domainkey", "TXT", f"v=DKIM1; k=rsa; p={public}"),
        ]
        lab.dns.publish(self.domain, [*own, *records])

    def send(self, message: bytes, sender: str, *recipients: str) -> None:
        """Queue a message, as a program on that server would; it gets signed."""
        # sendmail(1) expects the system's line ends.
        plain = message.replace(b"\r\n", b"\n")
        self.machine.run(["sendmail", "-i", "-f", sender, "--", *recipients], input=plain)

    def received(self) -> list[bytes]:
        """Return all messages that it has received, with their line ends."""
        listed = self.machine.run(["find", MAILDIR, "-path", "*/new/*", "-type", "f"], check=False)
        texts = [self.machine.read(path) for path in sorted(listed.out.split())]
        return [text.replace("\n", "\r\n").encode() for text in texts]

    def wait_for(self, message_id: str, seconds: float = 30) -> bytes:
        """Wait until it has received the message of this ID (with its brackets)."""
        found: list[bytes] = []

        def came() -> bool:
            found[:] = [one for one in self.received() if message_id.encode() in one]
            return bool(found)

        wait_until(came, f"{self.domain} has taken {message_id}", timeout=seconds)
        return found[0]


class MailServer(MailHost):
    """A running Postfix."""

    @classmethod
    def up(
        cls,
        lab: Lab,
        domain: str,
        *,
        certificate: Certificate = "valid",
        signing: str | None = "relaxed/simple",
        records: tuple[Record, ...] = (),
    ) -> MailServer:
        """
        Boot a server and publish its zone with `records`.

        `signing` is OpenDKIM's canonicalization (header/body), or None for a server that does not
        sign.
        """
        server = cls(domain, lab.machine(domain))
        key, public = dkim_key()
        files = {
            "/etc/postfix/main.cf": File(_main(domain, certificate, signing)),
            "/etc/postfix/replies.regexp": File(REPLIES),
            "/etc/opendkim.conf": File(_opendkim(domain, signing or "simple/simple")),
            DKIM_KEY: File(key, mode="0600", owner="opendkim", group="opendkim"),
        }
        if certificate != "none":
            chain, private = _pair(lab, f"mx.{domain}", certificate)
            files |= {CHAIN: File(chain), KEY: File(private, mode="0600")}
        server.machine.unpack(files)
        run = server.machine.run
        run(["install", "-d", "-o", "mail", "-g", "mail", str(Path(MAILDIR).parent)])
        run(["install", "-d", "-o", "opendkim", "-g", "opendkim", "/run/opendkim"])
        # Debian's master.cf runs its services in a chroot, where they find neither names nor keys.
        run("postconf -F '*/*/chroot=n'")
        if signing:
            run(["systemctl", "restart", "opendkim"])
            server.machine.wait_for_port(8891, address="127.0.0.1")
        run(["systemctl", "restart", "postfix"])
        server.machine.wait_for_port(25)
        server.publish(lab, SELECTOR, public, records)
        return server

    def sign_as(self, canonicalization: str) -> None:
        """Sign with this canonicalization from now on (header/body; RFC 6376 3.4)."""
        text = _opendkim(self.domain, canonicalization)
        self.machine.unpack({"/etc/opendkim.conf": File(text)})
        self.machine.run(["systemctl", "restart", "opendkim"])
        self.machine.wait_for_port(8891, address="127.0.0.1")


def dkim_key(bits: int = 2048) -> tuple[str, str]:
    """Return a new RSA key for DKIM: (private, PEM; public, base64 for p=)."""
    with tempfile.TemporaryDirectory() as place:
        file = f"{place}/key"
        execute(["openssl", "genrsa", "-out", file, str(bits)])
        public = f"{place}/public"
        execute(["openssl", "rsa", "-in", file, "-pubout", "-outform", "DER", "-out", public])
        return Path(file).read_text(), base64.b64encode(Path(public).read_bytes()).decode()


def _pair(lab: Lab, name: str, kind: Certificate) -> tuple[str, str]:
    if kind == "self-signed":
        return self_signed(name)
    if kind == "misnamed":
        return lab.ca.certificate("mx.somebody-else.test")
    return lab.ca.certificate(name, days=-1 if kind == "expired" else 90)


def self_signed(name: str) -> tuple[str, str]:
    """Return a self-signed certificate: (certificate, key), both PEM."""
    with tempfile.TemporaryDirectory() as place:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"]
        command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName=DNS:{name}"]
        execute([*command, "-keyout", f"{place}/key", "-out", f"{place}/certificate"])
        return Path(f"{place}/certificate").read_text(), Path(f"{place}/key").read_text()


def _main(domain: str, certificate: Certificate, signing: str | None) -> str:
    lines = {
        "compatibility_level": "3.10",
        "myhostname": f"mx.{domain}",
        "myorigin": domain,
        "mydestination": "",
        "mynetworks": "127.0.0.0/8 [::1]/128",
        "inet_protocols": "ipv4",
        "virtual_mailbox_domains": domain,
        "virtual_mailbox_base": str(Path(MAILDIR).parent),
        "virtual_mailbox_maps": f"static:{Path(MAILDIR).name}/",
        "virtual_uid_maps": "static:8",
        "virtual_gid_maps": "static:8",
        "virtual_minimum_uid": "8",
        "virtual_mailbox_limit": "0",
        "message_size_limit": "50000000",
        "mailbox_size_limit": "0",
        "smtpd_recipient_restrictions": "check_recipient_access regexp:/etc/postfix/replies.regexp",
        "smtp_tls_security_level": "encrypt",
        "queue_run_delay": "5s",
        "minimal_backoff_time": "5s",
        "maillog_file": "",
    }
    if certificate == "none":
        lines["smtpd_tls_security_level"] = "none"
    else:
        lines["smtpd_tls_security_level"] = "may"
        lines["smtpd_tls_chain_files"] = f"{KEY}, {CHAIN}"
    if signing:
        lines["smtpd_milters"] = lines["non_smtpd_milters"] = "inet:127.0.0.1:8891"
        lines["internal_mail_filter_classes"] = "bounce"
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def _opendkim(domain: str, canonicalization: str) -> str:
    lines = {
        "Syslog": "yes",
        "UserID": "opendkim",
        "Mode": "s",
        "Canonicalization": canonicalization,
        "Domain": domain,
        "Selector": SELECTOR,
        "KeyFile": DKIM_KEY,
        "Socket": "inet:8891@127.0.0.1",
        # Without it systemd would restart the daemon forever.
        "PidFile": "/run/opendkim/opendkim.pid",
        "OversignHeaders": "From",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())
