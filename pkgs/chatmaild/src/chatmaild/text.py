"""Sizes and times in readable form."""

MINUTE, HOUR, DAY = 60, 3600, 86400


def human_size(size: float) -> str:
    """Write bytes."""
    step = 1024
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < step:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= step
    return f"{size:.1f} TiB"


def human_age(seconds: float) -> str:
    """Format an elapsed time in its largest unit."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
