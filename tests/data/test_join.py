"""Tests of how the parts of a relay are joined to one value without losses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from data.relay_value import RELAY, EvaluationError, Value, evaluate, nix

GOOD: Value = {"domain": "chat.example.org"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the relay to which a test may add parts."""
    relay = tmp_path / "relay"
    shutil.copytree(RELAY, relay)
    return relay


def add_part(relay: Path, name: str, part: str) -> None:
    """Write a part and list it, which is all that a new part needs."""
    (relay / f"{name}.nix").write_text(part)
    default = relay / "default.nix"
    text = default.read_text()
    assert text.count("./unbound.nix\n") == 1
    default.write_text(text.replace("./unbound.nix\n", f"./unbound.nix ./{name}.nix\n"))


def pick(relay: Path, what: str) -> object:
    """Return one attribute of that relay's value."""
    return nix(f'(import relay {{ settings.domain = "a.test"; }}).{what}', relay)


def test_a_new_part_is_one_file_and_one_word(copy: Path) -> None:
    """Everything in it appears in the value and in the text."""
    add_part(
        copy,
        "fax",
        """{ names, unit, ... }: {
          users.fax.description = "fax";
          groups.${names.users.filter} = [ "fax" ];
          locations."= /fax" = [ "return 204" ];
          chatmaild.fax.port = 7;
          units."fax.service" = unit.job {
            description = "fax"; program = "chatmail"; service.User = "fax";
          };
          sysctl."net.fax" = 1;
        }""",
    )

    files = pick(copy, "rendered.files")
    assert isinstance(files, dict)
    texts = {path: file["text"] for path, file in files.items()}
    assert "m fax chatmail-filter\n" in texts["/etc/sysusers.d/chatmail.conf"]
    assert "location = /fax {" in texts["/etc/nginx/nginx.conf"]
    assert '"fax":{"port":7}' in texts["/etc/chatmail/chatmaild.json"]
    assert "User=fax\n" in texts["/etc/systemd/system/fax.service"]
    assert "net.fax = 1\n" in texts["/etc/sysctl.d/60-chatmail.conf"]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ('users.vmail.description = "mine"', "users.vmail"),
        ('files."/etc/chatmail/chatmaild.json".text = ""', "files./etc/chatmail/chatmaild.json"),
        ('locations."= /new" = [ ]', "locations.= /new"),
        ("chatmaild.domain = null", "chatmaild.domain"),
        ('headers.Referrer-Policy = "origin"', "headers.Referrer-Policy"),
        ("postfix.main = { }", "postfix.main"),
    ],
)
def test_a_name_that_two_parts_define_is_refused(copy: Path, part: str, key: str) -> None:
    """One of them would be lost: a part that added vmail to a group removed its other groups."""
    owner = {
        "users.vmail": "daemons.nix",
        "files./etc/chatmail/chatmaild.json": "chatmaild.nix",
        "locations.= /new": "web.nix",
        "chatmaild.domain": "chatmaild.nix",
        "headers.Referrer-Policy": "website.nix",
        "postfix.main": "postfix.nix",
    }[key]
    add_part(copy, "fax", f"_: {{ {part}; }}")

    with pytest.raises(EvaluationError, match="is defined by") as refused:
        pick(copy, key.partition(".")[0])

    both = re.search(re.escape(f"`{key}` is defined by ") + r"(\S+) and (\S+)", str(refused.value))
    assert both
    assert set(both.groups()) == {owner, "fax.nix"}


def test_a_part_cannot_define_a_rendered_file(copy: Path) -> None:
    """The text of a daemon's configuration has one author."""
    add_part(copy, "fax", '_: { files."/etc/postfix/main.cf".text = ""; }')

    with pytest.raises(
        EvaluationError, match=r"`files\./etc/postfix/main\.cf` is defined by a part and render"
    ):
        pick(copy, "rendered.files")


def test_a_misspelt_key_is_refused(copy: Path) -> None:
    """Nothing would read it."""
    add_part(copy, "fax", '_: { user.fax.description = "fax"; }')

    with pytest.raises(EvaluationError, match=r"fax\.nix returns `user`, which join\.nix does not"):
        pick(copy, "users")


def test_several_parts_add_to_one_group() -> None:
    """Postfix and the metrics both use the filter's socket, independently of each other."""
    measured = evaluate(GOOD | {"metrics": {"enable": True}}, pick=".groups")

    assert measured["chatmail-filter"] == ["postfix", "chatmail-metrics"]
    assert evaluate(GOOD, pick=".groups.chatmail-filter") == ["postfix"]


def test_every_file_of_the_relay_is_a_part_or_a_tool() -> None:
    """A part that is not listed would be ignored silently."""
    tools = {
        *("alerts.nix", "check.nix", "default.nix", "hardening.nix", "join.nix", "kinds.nix"),
        *("names.nix", "once.nix", "settings.nix", "units.nix"),
    }
    default = (RELAY / "default.nix").read_text()
    listed = set(re.findall(r"\./([a-z]+\.nix)$", default, re.MULTILINE))

    assert {path.name for path in RELAY.glob("*.nix")} == tools | listed
