"""`chatmail certificate`: makes or renews the self-signed certificate."""

import argparse
import datetime

from chatmaild.admin.command import CommandError
from chatmaild.config import Config

HELP = "make or renew the self-signed certificate"


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: the configuration is enough."""


def run(config: Config, _options: argparse.Namespace) -> int:
    """Make or renew the certificate if that is due."""
    if config.certificate.source != "self-signed":
        raise CommandError(
            "the relay makes a certificate only if `certificate.source` is `self-signed`; it is"
            f" `{config.certificate.source}`"
        )
    from chatmaild.admin import self_signed

    now = datetime.datetime.now(datetime.UTC)
    made = self_signed.ensure(
        config.paths.certificate, config.paths.certificate_key, config.host, now
    )
    print("certificate made" if made else "the certificate is still valid")
    return 0
