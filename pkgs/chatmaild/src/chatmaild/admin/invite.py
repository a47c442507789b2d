"""`chatmail invite`: the link a person scans to get an address here, as text and as QR code."""

import argparse

import segno

from chatmaild.admin.cli import CommandError
from chatmaild.config import Config
from chatmaild.web.credentials import dclogin_url, fresh_credentials


def run(config: Config, _options: argparse.Namespace) -> int:
    """Print the link and its code."""
    if config.registration == "invite":
        raise CommandError(
            "this relay gives addresses by invitation: make one with `chatmail invites add`"
        )
    link = invite_link(config)
    print(link)
    segno.make(link, error="l", micro=False).terminal(compact=True)
    if config.certificate.source == "self-signed":
        print("This code makes one account; print another one for the next person.")
    return 0


def invite_link(config: Config) -> str:
    """
    Write the link.

    A client asks `DCACCOUNT:` over verified HTTPS, which a self-signed relay cannot offer; there
    the link holds the credentials of one new account.
    """
    if config.certificate.source == "self-signed":
        return dclogin_url(fresh_credentials(config), config.host)
    return f"DCACCOUNT:https://{config.host}/new"
