"""All checks of `chatmail status`, in the order in which they are shown."""

from chatmaild.config import Config
from chatmaild.health import answers, names, ports, queue, storage, units
from chatmaild.health.checks import Check, Look, run


def look(config: Config) -> list[Check]:
    """Run all checks at once, with the rights of the user who runs the command."""
    return run(
        Look.by_this_user(config),
        [
            units.check,
            answers.filter_,
            answers.accounts,
            answers.tls,
            answers.web,
            answers.dovecot,
            ports.check,
            names.resolver,
            names.dkim,
            names.addresses,
            queue.check,
            storage.disks,
            storage.mailboxes,
            storage.book,
            storage.expiry,
            storage.registration,
        ],
    )
