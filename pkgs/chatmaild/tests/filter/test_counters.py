"""Numbers since the last report, from all threads."""

from concurrent.futures import ThreadPoolExecutor

from chatmaild.filter.counters import Counters


def test_reports_and_starts_again() -> None:
    """Each line in the log is one hour, not all time."""
    counters = Counters()
    for event in ("signed", "refused-unencrypted", "signed"):
        counters.count(event)

    assert counters.report() == "refused-unencrypted=1 signed=2"
    assert counters.report() == ""
    counters.count("signed")
    assert counters.report() == "signed=1"
    assert counters.totals() == {"refused-unencrypted": 1, "signed": 3}


def test_loses_no_event_between_threads() -> None:
    """The milter library calls from as many threads as there are messages."""
    counters = Counters()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: counters.count("signed"), range(2000)))

    assert counters.report() == "signed=2000"
