"""
Send standard input with Python's email and smtplib, encrypted unless $PLAIN.

To $SERVER as an account's owner, or to Exim on this machine. $STYLE is `MIMEMultipart` or
`EmailMessage`, the two interfaces of the email package.
"""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
import sys
from email.encoders import encode_7or8bit
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formatdate, make_msgid


def armor(entity: bytes) -> str:
    """Encrypt to the recipient with GnuPG."""
    gpg = ["gpg", "--batch", "--quiet", "--trust-model", "always", "--armor", "--encrypt"]
    done = subprocess.run(
        [*gpg, "-r", os.environ["TO"]], input=entity, capture_output=True, check=True
    )
    return done.stdout.decode()


def mime_multipart(text: str) -> Message:
    """Build PGP/MIME as most examples do."""
    message = MIMEMultipart("encrypted", protocol="application/pgp-encrypted")
    message.attach(MIMEApplication("Version: 1\n", "pgp-encrypted", encode_7or8bit))
    data = MIMEApplication(armor(MIMEText(text).as_bytes()), "octet-stream", encode_7or8bit)
    data.add_header("Content-Disposition", "inline", filename="encrypted.asc")
    message.attach(data)
    message.preamble = "This is an OpenPGP/MIME encrypted message."
    return message


def email_message(text: str) -> Message:
    """Build PGP/MIME with the newer interface, whose parts are base64."""
    inner, message = EmailMessage(), EmailMessage()
    inner.set_content(text)
    control, data = EmailMessage(), EmailMessage()
    control.set_content(b"Version: 1\n", "application", "pgp-encrypted", cte="7bit")
    data.set_content(
        armor(inner.as_bytes()).encode(), "application", "octet-stream", filename="encrypted.asc"
    )
    message["Content-Type"] = 'multipart/encrypted; protocol="application/pgp-encrypted"'
    message.set_payload([control, data])
    return message


def main() -> None:
    """Compose and send."""
    text = sys.stdin.read()
    if os.environ.get("PLAIN"):
        message: Message = MIMEText(text)
    else:
        styles = {"MIMEMultipart": mime_multipart, "EmailMessage": email_message}
        message = styles[os.environ["STYLE"]](text)
    message["From"], message["To"] = os.environ["FROM"], os.environ["TO"]
    message["Subject"], message["Date"] = "Hello", formatdate()
    message["Message-ID"] = make_msgid()
    server = os.environ.get("SERVER")
    if not server:
        with smtplib.SMTP("127.0.0.1") as session:
            session.send_message(message)
        return
    with smtplib.SMTP_SSL(server, context=ssl.create_default_context()) as session:
        session.login(os.environ["FROM"], os.environ["PASSWORD"])
        session.send_message(message)


main()
