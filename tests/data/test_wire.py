"""Claims about docs/wire.md: it has what the code says to clients and other servers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from data.relay_value import evaluate
from data.settings import GOOD

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "wire.md").read_text()
FILTER = REPOSITORY / "pkgs/chatmaild/src/chatmaild/filter/replies.py"
# Refused before anything of others' is read.
OF_THIS_HOST = {"550 5.7.1 Programs on this host may not send mail"}


def fixed_replies() -> set[str]:
    """Return the replies of the filter that always have the same text."""
    tree = ast.parse(FILTER.read_text())
    calls = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    ]
    words = [[ast.literal_eval(argument) for argument in call.args] for call in calls]
    return {f"{code} {text}" for code, text, _ in words}


def test_every_reply_of_the_filter_is_there() -> None:
    """Test suites of others match on these texts."""
    replies = fixed_replies() - OF_THIS_HOST

    assert len(replies) > 8
    assert {reply for reply in replies if f"`{reply}`" not in PAGE} == set()


def test_every_public_port_is_there() -> None:
    """And no other: what is not on the page may change."""
    table = PAGE[PAGE.index("## Ports") : PAGE.index("## Certificates")]
    listed = {int(port) for port in re.findall(r"^\| (\d+)(?:/udp)? \|", table, re.MULTILINE)}

    opened = evaluate(GOOD, pick=".ports")
    turn = evaluate(GOOD, pick=".udp.turn")

    assert listed == {*opened.values(), turn["from"]}


def file_named(word: str) -> str:
    """Return the text of the relay's file with this word in its path."""
    files = evaluate(GOOD, pick=".rendered.files")
    [text] = [file["text"] for path, file in files.items() if word in path]
    return str(text)


def section(heading: str) -> str:
    """Return a section of the page."""
    return PAGE[PAGE.index(f"# {heading}\n") :].partition("\n#")[0]


def test_the_mta_sts_policy_is_as_described() -> None:
    """Other servers keep a policy for weeks."""
    lines = file_named("mta-sts").splitlines()

    assert len(lines) == 4
    assert [line for line in lines if f"`{line}`" not in section("MTA-STS")] == []


def test_autoconfig_is_as_described() -> None:
    """Clients find their servers with it."""
    form = r"<port>(\d+)</port>\s*<socketType>(\w+)</socketType>"
    servers = re.findall(form, file_named("config-v1.1.xml"))

    assert len(servers) == 6
    for port, kind in servers:
        assert re.search(rf"\b{port}\s\({kind}\)", section("Autoconfig")), port


def test_a_cited_section_exists() -> None:
    """Code says which section of the page it keeps."""
    headings = set(re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE))
    cited = {
        (path.name, section)
        for place in ("modules", "pkgs", "tests")
        for path in (REPOSITORY / place).rglob("*.*")
        if path.suffix in {".nix", ".py"}
        for section in re.findall(r'docs/wire\.md,\s+(?:#\s+)?"([^"]+)"', path.read_text())
    }

    assert len(cited) >= 7
    assert {(name, section) for name, section in cited if section not in headings} == set()
