"""Tests of chatmail.txt on a Raspberry Pi's card: its content, and what happens at boot."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nixos.evaluation import REPOSITORY, as_nix, nix

PI = REPOSITORY / "hosts" / "raspberry-pi"
KEY = f"ssh-ed25519 {'A' * 68} you@laptop"
GOOD = f"domain = chat.example.org\ncontact = you@example.net\nssh-key = {KEY}\n"


def read(text: str) -> dict[str, Any]:
    """Return the result of card.nix for a text."""
    found: dict[str, Any] = nix(f"import {PI}/card.nix {as_nix(text)}")
    return found


def test_three_lines_make_a_relay() -> None:
    """A user with a card writer needs to know no more."""
    card = read(GOOD)

    assert card["problems"] == []
    assert card["settings"] == {
        "domain": "chat.example.org",
        "certificate": {"email": "you@example.net"},
        "privacy": {"mail": "you@example.net"},
    }
    assert card["sshKeys"] == [KEY]


def test_a_text_from_windows_is_the_same() -> None:
    """CR LF, a byte order mark, spaces around words and comments are accepted."""
    text = "\ufeff# mine\r\n\r\n" + GOOD.replace(" = ", "=").replace("\n", "  \r\n")

    assert read(text) == read(GOOD)


def test_any_setting_of_the_relay_can_be_given() -> None:
    """The names and the rules are those of services.chatmail."""
    card = read(f"{GOOD}mailbox.maxSize = 200M\nincoming.cleartext = false\nsending.burst = 5\n")

    assert card["problems"] == []
    assert card["settings"]["mailbox"] == {"maxSize": "200M"}
    assert card["settings"]["incoming"] == {"cleartext": False}
    assert card["settings"]["sending"] == {"burst": 5}


def test_the_text_that_comes_with_the_image_waits() -> None:
    """It contains no settings, and no errors."""
    card = read((PI / "chatmail.txt").read_text())

    assert not card["given"]
    assert card["problems"] == []


def test_the_text_that_comes_with_the_image_is_right_once_filled_in() -> None:
    """The file tells users to remove the # in front of its last three lines."""
    lines = (PI / "chatmail.txt").read_text().splitlines()
    filled = "\n".join(line.removeprefix("#") for line in lines[-3:]).replace("AAAA...", "A" * 68)

    assert read(filled)["problems"] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD.replace("chat.example.org", "Chat"), '`domain` is "Chat", but must be a domain name'),
        (GOOD.replace("domain", "domian"), "unknown setting `domian`"),
        (GOOD.replace("you@example.net", "me"), '`certificate.email` is "me", but must be'),
        (f"{GOOD}sending.burst = many\n", '`sending.burst` is "many", but must be a whole number'),
        (f"{GOOD}hello\n", "line 4 must have the form `name = value`"),
        (f"domain = b.example.org\n{GOOD}", "`domain` is given 2 times"),
        (GOOD.replace(f"ssh-key = {KEY}\n", ""), "`ssh-key` is missing, so you could not log in"),
        (GOOD.replace(KEY, "AAAA"), "`ssh-key` must be one whole line of a public key"),
        (GOOD.replace("contact = you@example.net\n", ""), "`contact` is missing"),
        (f"=\n{GOOD}", "line 1 must have the form `name = value`"),
    ],
)
def test_errors_use_the_words_of_the_text(text: str, sentence: str) -> None:
    """The user has a card, a screen, and no manual."""
    assert any(sentence in problem for problem in read(text)["problems"])


@dataclass
class Pi:
    """A Raspberry Pi as seen by setup.sh: directories, and commands that record their calls."""

    root: Path

    def boot(self, card: str | bytes | None, running: str = "", *, builds: bool = True) -> int:
        """Run the set-up with this text on the card; return the exit status."""
        (self.root / "screen").unlink(missing_ok=True)
        if card is not None:
            data = card.encode() if isinstance(card, str) else card
            (self.root / "card.txt").write_bytes(data)
        (self.root / "running.txt").write_text(running or (PI / "chatmail.txt").read_text())
        self.command("nixos-rebuild", f'echo "$@" >>{self.root}/rebuilt; exit {int(not builds)}')
        self.command("agetty", "exit 0")
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "HOME": "/nonexistent",
            "CARD": str(self.root / "card.txt"),
            "FLAKE": str(self.root / "etc"),
            "SCREEN": str(self.root / "screen"),
            "SOURCE": str(self.root / "source"),
            "TEXT": str(self.root / "running.txt"),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", str(PI / "setup.sh")],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == b"" or done.returncode, done.stderr
        return done.returncode

    def command(self, name: str, script: str) -> None:
        """Create a command in its PATH."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def screen(self) -> str:
        """The text above the login prompt."""
        path = self.root / "screen"
        return path.read_text() if path.exists() else ""

    @property
    def rebuilt(self) -> list[str]:
        """The arguments of each rebuild."""
        path = self.root / "rebuilt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def configured(self) -> str | None:
        """The text in the Pi's copy of the project."""
        path = self.root / "etc" / "hosts" / "raspberry-pi" / "chatmail.txt"
        return path.read_text() if path.exists() else None


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    """A Pi with a freshly written card."""
    source = tmp_path / "source"
    for name in ("hosts", "modules"):
        shutil.copytree(REPOSITORY / name, source / name)
    (source / "flake.nix").write_text("{ }")
    return Pi(tmp_path)


def test_a_good_text_rebuilds_the_system(pi: Pi) -> None:
    """From a card writer to a relay, without a keyboard at the Pi."""
    assert pi.boot(GOOD) == 0

    assert pi.rebuilt == [f"switch --flake path:{pi.root}/etc#raspberry-pi"]
    assert pi.configured == GOOD
    assert "This is now the relay chat.example.org" in pi.screen


def test_an_unchanged_text_rebuilds_nothing(pi: Pi) -> None:
    """Every later boot is like this."""
    assert pi.boot(GOOD, running=GOOD) == 0

    assert pi.rebuilt == []
    assert pi.screen == ""


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (None, "chatmail.txt is missing on the card"),
        ((PI / "chatmail.txt").read_text(), "still empty"),
        ("# nothing\n", "it is still empty"),
        (GOOD.replace("chat.example.org", "Chat"), '`domain` is "Chat", but must be a domain name'),
        (b"\xff\xfe\x00d\x00o\x00m", "must have the form `name = value`"),
        (b"\x00" * 100_000, "it is still empty"),
        ('domain = ${builtins.readFile "/etc/shadow"}\n', "but must be a domain name"),
        (f"{GOOD}privacy.postal = $(reboot) `reboot` \\n\n" * 2000, "`domain` is given"),
    ],
)
def test_errors_are_shown_and_nothing_changes(
    pi: Pi, card: str | bytes | None, sentence: str
) -> None:
    """There is no half configuration, no traceback, and no second try before the text changes."""
    assert pi.boot(card) == 78

    assert sentence in pi.screen
    assert pi.rebuilt == []
    assert pi.configured is None


def test_a_system_that_cannot_be_built_stays_as_it_is(pi: Pi) -> None:
    """Without a network the old text is restored, so that the next attempt starts afresh."""
    assert pi.boot(GOOD, builds=False) == 1

    assert pi.configured == (PI / "chatmail.txt").read_text()
    assert "could not be rebuilt and stays as it is" in pi.screen
    assert pi.boot(GOOD) == 0
    assert pi.configured == GOOD


def test_a_relay_without_its_text_keeps_running(pi: Pi) -> None:
    """Removing the file does not mean that the relay should stop."""
    assert pi.boot(None, running=GOOD) == 0

    assert "The relay stays as it is" in pi.screen
    assert pi.rebuilt == []


def test_changes_on_the_pi_are_kept(pi: Pi) -> None:
    """After the first boot the operator owns /etc/nixos; only its text is from the card."""
    pi.boot(GOOD)
    (pi.root / "etc" / "flake.nix").write_text("{ mine = true; }")
    pi.boot(GOOD.replace("chat.", "talk."), running=GOOD)

    assert (pi.root / "etc" / "flake.nix").read_text() == "{ mine = true; }"
    assert pi.configured == GOOD.replace("chat.", "talk.")
    assert len(pi.rebuilt) == 2


def test_a_power_failure_during_the_copy_is_repaired(pi: Pi) -> None:
    """An incomplete copy would never build."""
    half = pi.root / "etc" / "hosts"
    half.mkdir(parents=True)
    (half / "README.md").write_text("half")

    assert pi.boot(GOOD) == 0
    assert (pi.root / "etc" / "flake.nix").exists()
    assert pi.configured == GOOD


def test_another_configuration_is_left_alone(pi: Pi) -> None:
    """An operator with another flake in /etc/nixos no longer uses the card."""
    (pi.root / "etc").mkdir()
    (pi.root / "etc" / "flake.nix").write_text("{ mine = true; }")

    assert pi.boot(GOOD) == 0
    assert pi.rebuilt == []
    assert "contains another configuration" in pi.screen


def test_a_waiting_pi_runs_nothing_but_has_all_packages() -> None:
    """Without a text no port is open and no login is possible."""
    seen = nix(
        'let s = (see.directory "/hosts/raspberry-pi").config; in { '
        "ports = s.networking.firewall.allowedTCPPorts; ssh = s.services.openssh.enable; "
        "units = lib.attrNames s.systemd.services; carries = map (d: d.name) "
        "s.system.extraDependencies; }"
    )

    assert seen["ports"] == []
    assert seen["ssh"] is False
    assert seen["units"] == ["chatmail-setup"]
    assert seen["carries"] == ["nixos-system-chatmail"]


def test_a_text_given_before_the_build_makes_a_relay(tmp_path: Path) -> None:
    """The same file can be filled in before the image is built."""
    for name in ("hosts", "modules", "pkgs"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    for name in ("flake.nix", "flake.lock"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    (tmp_path / "hosts" / "raspberry-pi" / "chatmail.txt").write_text(GOOD)
    seen = nix(
        f"let s = nixpkgs.lib.nixosSystem {{ modules = [ {tmp_path}/hosts/raspberry-pi ]; }}; "
        "in { inherit (s) refusals; ssh = s.config.services.openssh.enable; "
        "inherit (s.config.services.chatmail.relay) active; "
        "keys = s.config.users.users.root.openssh.authorizedKeys.keys; "
        "more = s.config.system.extraDependencies; }"
    )

    assert seen == {"refusals": [], "ssh": True, "active": True, "keys": [KEY], "more": []}
