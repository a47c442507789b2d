"""Tells new messages from other changes of INBOX."""

from collections import OrderedDict

MAX_REMEMBERED = 10_000


class Arrivals:
    """
    Recognises which of Dovecot's status updates is a new message from somebody else.

    A status contains INBOX' next UID and the envelope sender, separated by a space
    (`notify_status_value`). If a message went to several recipients in one transaction, Dovecot
    sends its status twice, so the same UID and sender count once. Copies of the user's own messages
    trigger no notification.
    """

    def __init__(self) -> None:
        """Start without any known status."""
        self._seen: OrderedDict[tuple[str, str], str] = OrderedDict()

    def is_news(self, address: str, mark: str) -> bool:
        """Return whether to notify the account about this status."""
        uid, _, sender = mark.partition(" ")
        if sender.lower() == address.lower():
            return False
        key = address, sender
        if self._seen.get(key) == uid:
            return False
        self._seen[key] = uid
        self._seen.move_to_end(key)
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return True
