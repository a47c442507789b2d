"""The content of the website: invites, QR codes, and the tests' screenshots."""

from __future__ import annotations

import io
import re
from html import unescape
from typing import TYPE_CHECKING

import zxingcpp
from PIL import Image

from harness.places import EVIDENCE
from people.https import get

if TYPE_CHECKING:
    from harness.relay import Relay

SCREENSHOTS = EVIDENCE / "website"


def codes(picture: bytes) -> list[str]:
    """Read the QR codes in a picture, as a camera would."""
    return [found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))]


def shown_invite(relay: Relay) -> str:
    """Return the bot's link on a relay's website, or "" if there is none."""
    _, page = get(relay, "/")
    link = re.search(rb'href="(https://i\.delta\.chat/#[^"]+)"', page)
    return unescape(link[1].decode()) if link else ""
