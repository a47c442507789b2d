"""QR codes for terminals, with fixed colours: scanners need dark modules on a light ground."""

# Black on white from the 256 colours; a terminal's theme changes only the first 16.
COLOURS = "\x1b[38;5;16;48;5;231m"
RESET = "\x1b[0m"
# ISO 18004 requires a quiet zone of four modules.
BORDER = 4
# Two rows of modules in one line of text: (upper, lower) is dark.
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def code(text: str) -> str:
    """Draw the QR code of a text, as lines for a terminal."""
    import segno

    rows = [
        [bool(module) for module in row]
        for row in segno.make(text, error="l", micro=False).matrix_iter(border=BORDER)
    ]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        f"{COLOURS}{''.join(HALVES[module] for module in zip(*pair, strict=True))}{RESET}"
        for pair in pairs
    )
