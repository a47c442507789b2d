"""Entry of `python3 -m harness`; it must also run on an older Python, to be able to say so."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("lab: this Python is too old; the lab needs 3.11 or newer (Debian 12 has it)")

from harness.cli import main

sys.exit(main(sys.argv[1:]))
