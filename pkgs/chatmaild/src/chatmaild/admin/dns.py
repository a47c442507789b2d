"""`chatmail dns`: the whole zone this relay needs, ready to paste, to compare or to publish."""

import argparse

from chatmaild.admin import zone
from chatmaild.config import Config, is_address


def run(config: Config, options: argparse.Namespace) -> int:
    """Print the zone, compare it with what is published, or publish it."""
    if is_address(config.host):
        print(f"; {config.host} is an IP address: this relay needs no DNS records")
        return 0
    if options.check:
        from chatmaild.admin import dns_check  # noqa: PLC0415 - loads dnspython

        return dns_check.run(config.domain, zone.records(config))
    if options.update:
        from chatmaild.admin import dns_update  # noqa: PLC0415 - loads dnspython

        return dns_update.run(config.domain, zone.records(config), options.server, options.key_file)
    for line in zone.lines(config.domain, zone.records(config), split=not options.unsplit):
        print(line)
    return 0
