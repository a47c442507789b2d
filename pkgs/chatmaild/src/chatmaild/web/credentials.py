"""
Fresh names and passwords, and the link that carries them into a client.

A name is never looked up before it is handed out: nine random characters make it unlikely beyond
10^14, and an account exists only after its first login.
"""

import secrets
import string
from dataclasses import dataclass
from urllib.parse import quote

from chatmaild.config import Config, is_address

NAME_ALPHABET = string.ascii_lowercase + string.digits

# Punctuation that means nothing in JSON (`"` `\`), in a `dclogin:` link (`%` `&` `#` `+` `=` `?`
# `/` `:` `@` `;`), in a shell or in HTML (`$` `!` `` ` `` `'` `<` `>` `|` `*` `(` `)` `[` `]`
# `{` `}` `^` `~` `,` ), so that a password copied by hand or by a careless program stays whole.
# What remains is what RFC 3986 2.3 calls unreserved, without `~`.
PASSWORD_ALPHABET = string.ascii_letters + string.digits + "-._"

# Longer than the minimum, so that raising the minimum by a little breaks no printed invite.
EXTRA_PASSWORD_CHARACTERS = 3


@dataclass(frozen=True, slots=True)
class Credentials:
    """An address that nobody has yet, with its password."""

    email: str
    password: str


def fresh_credentials(config: Config) -> Credentials:
    """Make credentials that this relay will accept as a first login."""
    name = _random(NAME_ALPHABET, config.accounts.name_max_length)
    password = _random(
        PASSWORD_ALPHABET, config.accounts.password_min_length + EXTRA_PASSWORD_CHARACTERS
    )
    return Credentials(f"{name}@{config.domain}", password)


def by_login_link(config: Config) -> bool:
    """
    Whether the usual invite (`DCACCOUNT:`) fails, because clients ask it over verified HTTPS.

    They verify no certificate of a name that starts with `_`.
    """
    return config.certificate.source == "self-signed" and not config.host.startswith("_")


def dclogin_url(credentials: Credentials, host: str) -> str:
    """
    Write the `dclogin:` link of a relay whose certificate no client can verify.

    `ic=3` accepts any certificate. A relay at an address names its servers as well, because
    a client looks them up by name.
    """
    address = quote(credentials.email, safe="@[]")
    link = f"dclogin:{address}?p={quote(credentials.password, safe='')}&v=1"
    if is_address(host):
        link += f"&ih={host}&sh={host}"
    return link + "&ic=3"


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
