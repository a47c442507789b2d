"""`chatmail dns`: prints the DNS records of this relay, checks or publishes them."""

import argparse
import json
from pathlib import Path

from chatmaild.admin.command import CommandError, UsageError
from chatmaild.config import Config, DnsRecord, is_address

HELP = "print, check or publish the DNS records that this relay needs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--unsplit",
        action="store_true",
        help="print each long text as one string, for web forms that split it by themselves",
    )
    what.add_argument(
        "--check",
        action="store_true",
        help="query the domain's name servers and report all missing or wrong records"
        " (exit code 1 if a required one is affected)",
    )
    what.add_argument(
        "--update",
        action="store_true",
        help="send the records to the primary name server (RFC 2136)",
    )
    parser.add_argument("--json", action="store_true", help="with --check: print JSON")
    parser.add_argument(
        "--server", metavar="ADDRESS", help="with --update: the address of the primary name server"
    )
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="with --update: a TSIG key in BIND's format"
    )


def run(config: Config, options: argparse.Namespace) -> int:
    """Print the records, compare them with what is published, or publish them."""
    given = [value is not None for value in (options.server, options.key_file)]
    if options.update and not all(given):
        raise UsageError("--update requires --server and --key-file")
    if any(given) and not options.update:
        raise UsageError("--server and --key-file have no meaning without --update")
    if options.json and not options.check:
        raise UsageError("--json has no meaning without --check")
    if is_address(config.host):
        if options.json:
            print(json.dumps({"domain": config.domain, "servers": 0, "silent": [], "faults": []}))
        else:
            print(f"; {config.host} is an IP address: this relay needs no DNS records")
        return 0
    from chatmaild.zone import records

    try:
        wanted = records.records(config)
        if options.check:
            return _check(config, wanted, as_json=options.json)
        if options.update:
            from chatmaild.zone import update

            print(update.send(config.domain, wanted, options.server, options.key_file))
            return 0
    except records.ZoneError as error:
        raise CommandError(str(error)) from None
    for line in records.lines(config.domain, wanted, split=not options.unsplit):
        print(line)
    return 0


def _check(config: Config, wanted: list[DnsRecord], *, as_json: bool) -> int:
    from chatmaild.zone import check

    findings = check.collect(config.domain, wanted, check.own(config, wanted))
    if as_json:
        print(json.dumps(check.described(findings), indent=2))
    else:
        print("\n".join(check.report(findings)))
    return 0 if findings.works else 1
