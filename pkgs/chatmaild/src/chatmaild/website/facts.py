"""
The facts about the relay that pages can use: its real limits, contacts and invite.

All values come from the configuration that the daemons use, so pages cannot promise what the relay
does not do.
"""

from dataclasses import dataclass
from pathlib import Path

from chatmaild.config import Config
from chatmaild.web.credentials import by_login_link

# An invite link of core has about 200 characters; anything much longer is not an invite.
MAX_INVITE_BYTES = 2000
# The link to the current website in its directory, and the QR code that exists while the bot runs.
CURRENT = "current"
ECHO_PICTURE = "qr-echo.png"
INVITE_BEGINNINGS = ("https://i.delta.chat/#", "OPENPGP4FPR:")


@dataclass(frozen=True, slots=True)
class Facts:
    """
    The names that pages can use.

    `domain` is the part after the @, and `host` is the name or IP address to open in a browser.
    Sizes are in bytes (`size()` prints them), and `*_days` are days. `invite` is the link that
    creates an account, or None if there is no public one. `login_by_script` is true if only a
    script can fetch a login. `echo` is the link to the echo bot. `iroh` is the iroh relay that
    clients use, which may belong to others.
    """

    host: str
    domain: str
    registration: str
    invite: str | None
    login_by_script: bool
    echo: str | None
    name_length: int
    password_length: int
    per_minute: int
    burst: int
    recipients: int
    message_size: int
    mailbox_size: int
    mailbox_messages: int
    mail_days: int
    large_mail_days: int
    large_mail_size: int
    idle_days: int
    grace_days: int
    cleartext_enters: bool
    self_signed: bool
    push: bool
    turn: bool
    iroh: str | None
    iroh_is_own: bool
    mail: str | None
    postal: str | None
    officer: str | None
    supervisor: str | None


def facts(config: Config) -> Facts:
    """Collect the current facts about this relay."""
    self_signed = config.certificate.source == "self-signed"
    by_script = by_login_link(config)
    is_open = config.registration == "open"
    return Facts(
        host=config.host,
        domain=config.domain,
        registration=config.registration,
        invite=f"DCACCOUNT:https://{config.host}/new" if is_open and not by_script else None,
        login_by_script=by_script and config.registration != "closed",
        echo=echo_invite(config.echo.invite) if config.echo else None,
        name_length=config.accounts.name_max_length,
        password_length=config.accounts.password_min_length,
        per_minute=config.sending.per_minute,
        burst=config.sending.burst,
        recipients=config.sending.max_recipients,
        message_size=config.message.max_size,
        mailbox_size=config.mailbox.max_size,
        mailbox_messages=config.mailbox.max_messages,
        mail_days=config.retention.mail_days,
        large_mail_days=config.retention.large_mail_days,
        large_mail_size=config.retention.large_mail_size,
        idle_days=config.retention.idle_account_days,
        grace_days=config.accounts.grace_days,
        cleartext_enters=config.incoming.cleartext,
        self_signed=self_signed,
        push=config.push.enable,
        turn=config.metadata.turn is not None,
        iroh=config.metadata.iroh_relay,
        iroh_is_own=config.metadata.iroh_relay == f"https://{config.host}",
        mail=config.privacy.mail,
        postal=config.privacy.postal,
        officer=config.privacy.officer,
        supervisor=config.privacy.supervisor,
    )


def echo_invite(path: Path) -> str | None:
    """Return the link that the echo bot has published, or None if there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_INVITE_BYTES + 1)
    except OSError:
        return None
    link = data.decode("ascii", errors="replace").strip()
    fits = len(data) <= MAX_INVITE_BYTES and link.isascii() and link.isprintable()
    return link if fits and " " not in link and link.startswith(INVITE_BEGINNINGS) else None
