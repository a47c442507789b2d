"""`chatmail invite`: prints the link that gives a new address, as text and as QR code."""

import argparse

from chatmaild.admin import qr
from chatmaild.admin.command import CommandError
from chatmaild.config import Config

HELP = "print the link to a new address on this relay, and its QR code"


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: there is one link."""


def run(config: Config, _options: argparse.Namespace) -> int:
    """Print the link and its code."""
    if config.registration == "invite":
        raise CommandError(
            "on this relay a new address requires an invite; make one with `chatmail invites add`"
        )
    link = invite_link(config)
    print(link)
    print(qr.code(link))
    if config.certificate.source == "self-signed":
        print("This code is for one account; print another one for the next person.")
    return 0


def invite_link(config: Config) -> str:
    """
    Return the link.

    A client requests `DCACCOUNT:` over verified HTTPS, which a self-signed relay cannot offer.
    There the link contains the credentials of one new account.
    """
    from chatmaild.web.credentials import dclogin_url, fresh_credentials

    if config.certificate.source == "self-signed":
        return dclogin_url(fresh_credentials(config), config.host)
    return f"DCACCOUNT:https://{config.host}/new"
