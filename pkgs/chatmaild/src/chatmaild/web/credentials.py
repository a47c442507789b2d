"""
New names and passwords, and the link that brings them into a client.

Names are not checked for duplicates: nine random characters make one unlikely (10^14
possibilities), and an account is created only by its first login.
"""

import secrets
import string
from dataclasses import dataclass
from urllib.parse import quote

from chatmaild.config import Config, is_address

NAME_ALPHABET = string.ascii_lowercase + string.digits

# Without punctuation that has a meaning in JSON (`"` `\`), in a `dclogin:` link (`%` `&` `#` `+`
# `=` `?` `/` `:` `@` `;`), in a shell or in HTML (`$` `!` `` ` `` `'` `<` `>` `|` `*` `(` `)` `[`
# `]` `{` `}` `^` `~` `,` ). So a password survives copying by hand or by a careless program. The
# remaining characters are RFC 3986's unreserved ones (2.3) without `~`.
PASSWORD_ALPHABET = string.ascii_letters + string.digits + "-._"

# Longer than the minimum, so that a slightly higher minimum does not break existing links.
EXTRA_PASSWORD_CHARACTERS = 3


@dataclass(frozen=True, slots=True)
class Credentials:
    """A new address with its password."""

    email: str
    password: str


def fresh_credentials(config: Config) -> Credentials:
    """Create credentials that this relay will accept as a first login."""
    name = _random(NAME_ALPHABET, config.accounts.name_max_length)
    password = _random(
        PASSWORD_ALPHABET, config.accounts.password_min_length + EXTRA_PASSWORD_CHARACTERS
    )
    return Credentials(f"{name}@{config.domain}", password)


def by_login_link(config: Config) -> bool:
    """
    Whether clients need a login link, because `DCACCOUNT:` invites use verified HTTPS.

    They do not verify certificates of names that start with `_`.
    """
    return config.certificate.source == "self-signed" and not config.host.startswith("_")


def dclogin_url(credentials: Credentials, host: str) -> str:
    """
    Return the `dclogin:` link for a relay with an unverifiable certificate.

    `ic=3` accepts any certificate. For a relay at an IP address the link also names the servers,
    because clients can look them up only by domain.
    """
    address = quote(credentials.email, safe="@[]")
    link = f"dclogin:{address}?p={quote(credentials.password, safe='')}&v=1"
    if is_address(host):
        link += f"&ih={host}&sh={host}"
    return link + "&ic=3"


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
