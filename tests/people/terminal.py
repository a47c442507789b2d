"""Draws the content of a terminal as a picture."""

from __future__ import annotations

import io
import re

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
# Foreground and background of a terminal's theme.
THEMES: dict[str, tuple[Colour, Colour]] = {
    "light": ((40, 40, 40), (253, 246, 227)),
    "dark": ((147, 161, 161), (0, 43, 54)),
}
# Width and height of a character, in pixels: twice as high as wide.
WIDTH, HEIGHT = 8, 16
HALVES = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
# Of the 256 colours of xterm, 16 and 231 are black and white in every theme.
FIXED = {16: BLACK, 231: WHITE}


def picture(text: str, theme: str) -> bytes:
    """
    Draw lines of block characters as a terminal with this theme shows them, as PNG.

    It knows the colours above and the reset of SGR sequences (ECMA-48 8.3.117), and nothing else.
    """
    lines = text.splitlines()
    columns = max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines)
    image = Image.new("RGB", (columns * WIDTH, len(lines) * HEIGHT), THEMES[theme][1])
    draw = ImageDraw.Draw(image)
    ink, ground = THEMES[theme]
    for row, line in enumerate(lines):
        column = 0
        for part in re.split(r"(\x1b\[[\d;]*m)", line):
            if part.startswith("\x1b"):
                ink, ground = _colours(part, theme)
                continue
            for character in part:
                for half, dark in enumerate(HALVES[character]):
                    left, top = column * WIDTH, row * HEIGHT + half * HEIGHT // 2
                    box = (left, top, left + WIDTH - 1, top + HEIGHT // 2 - 1)
                    draw.rectangle(box, fill=ink if dark else ground)
                column += 1
    whole = io.BytesIO()
    image.save(whole, "PNG")
    return whole.getvalue()


def _colours(sequence: str, theme: str) -> tuple[Colour, Colour]:
    found = re.fullmatch(r"\x1b\[38;5;(\d+);48;5;(\d+)m", sequence)
    if found:
        return FIXED[int(found[1])], FIXED[int(found[2])]
    assert sequence == "\x1b[0m", sequence
    return THEMES[theme]
