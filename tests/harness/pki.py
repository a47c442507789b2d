"""
The lab's certificate authority; it is cached, so that a browser has to trust it only once.

Certificates have what current clients require: ECDSA P-256, subjectAltName, key identifiers (RFC
5280 4.2.1.1 to 4.2.1.6).
"""

from __future__ import annotations

import ipaddress
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.places import cache, locked
from harness.process import execute

CA_DAYS = 3650
LEAF_DAYS = 90

_CA_EXTENSIONS = [
    "basicConstraints=critical,CA:TRUE,pathlen:0",
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
]
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a directory."""

    directory: Path

    @property
    def certificate_file(self) -> Path:
        """The certificate that clients must trust, PEM."""
        return self.directory / "ca.pem"

    @property
    def certificate_text(self) -> str:
        """The same as text."""
        return self.certificate_file.read_text()

    def certificate(
        self, *names: str, days: int = LEAF_DAYS, key: str | None = None
    ) -> tuple[str, str]:
        """
        Return a certificate for DNS names or IP addresses: (full chain, key), both PEM.

        Negative `days` make an expired one. A given `key` (PEM) is kept, as in a renewal.
        """
        kinds = ",".join(("IP:" if _is_address(name) else "DNS:") + name for name in names)
        extensions = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=serverAuth",
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid",
            f"subjectAltName={kinds}",
        ]
        with tempfile.TemporaryDirectory() as place:
            work = Path(place)
            (work / "extensions").write_text("\n".join(extensions) + "\n")
            request = [
                "openssl",
                "req",
                "-new",
                "-subj",
                "/O=chatmail lab",
                "-out",
                place + "/request",
            ]
            if key is None:
                execute([*request, *_NEW_KEY, "-keyout", place + "/key"])
            else:
                (work / "key").write_text(key)
                execute([*request, "-key", place + "/key"])
            # fmt: off
            execute([
                "openssl", "x509", "-req", "-in", place + "/request", "-out", place + "/leaf",
                "-CA", str(self.certificate_file), "-CAkey", str(self.directory / "ca.key"),
                "-set_serial", f"0x{_serial()}", "-days", str(days),
                "-extfile", place + "/extensions",
            ])
            # fmt: on
            leaf = (work / "leaf").read_text()
            return leaf + self.certificate_text, (work / "key").read_text()


def authority() -> Authority:
    """Return the lab's CA; create it at first use."""
    directory = cache() / "ca"
    with locked(cache() / "ca.lock"):
        if not (directory / "ca.pem").exists():
            directory.mkdir(mode=0o700, exist_ok=True)
            command = [
                "openssl",
                "req",
                "-x509",
                "-subj",
                "/CN=chatmail lab test CA",
                "-days",
                str(CA_DAYS),
                *_NEW_KEY,
            ]
            for extension in _CA_EXTENSIONS:
                command += ["-addext", extension]
            files = ["-keyout", str(directory / "ca.key"), "-out", str(directory / "ca.pem.new")]
            execute([*command, *files])
            (directory / "ca.pem.new").rename(directory / "ca.pem")
    return Authority(directory)


def _serial() -> str:
    """Return 64 random bits: RFC 5280 4.1.2.2 requires a positive number."""
    return "4" + secrets.token_hex(8)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
