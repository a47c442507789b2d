"""Entry of `python3 -m harness`; it must also run on an older Python, to be able to say so."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("lab: this Python is too old; the lab needs 3.11 or newer (Debian 12 has it)")

try:
    from harness.cli import main

    status = main(sys.argv[1:])
except KeyboardInterrupt:  # before there was anything to say about it
    status = 130
sys.exit(status)
