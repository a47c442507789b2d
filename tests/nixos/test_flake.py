"""Tests of flake.nix, its lock, the hosts and the templates, with the stand-in as nixpkgs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nixos.evaluation import NIXOS, REPOSITORY, Nixpkgs, nix

pytestmark = pytest.mark.usefixtures("nixpkgs")

OUTPUTS = (
    '(let flake = (import (repository + "/flake.nix")).outputs '
    "{ self = flake // { outPath = repository; }; inherit nixpkgs; }; in flake)"
)
SYSTEMS = {"aarch64-linux", "x86_64-linux"}


@pytest.fixture
def checkout(tmp_path: Path, nixpkgs: Nixpkgs) -> Path:
    """A copy of the files that the flake needs, with the stand-in beside it as a flake."""
    copy = tmp_path / "checkout"
    for name in ("docs", "hosts", "modules", "pkgs", "tests/nixos"):
        ignored = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignored)
    for name in ("flake.nix", "flake.lock"):
        shutil.copy(REPOSITORY / name, copy)
    stand_in = tmp_path / "nixpkgs"
    shutil.copytree(NIXOS / "stand-in", stand_in)
    shutil.copytree(nixpkgs.lib, stand_in / "lib")
    given = f'lib = import ./lib; release = "{nixpkgs.release}";'
    flake = f"{{ outputs = _: import ./default.nix {{ {given} }}; }}\n"
    (stand_in / "flake.nix").write_text(flake)
    return copy


def test_nix_flake_check_succeeds(checkout: Path) -> None:
    """Nix checks the form of the outputs, and every check and host is evaluated."""
    features = ("--extra-experimental-features", "nix-command flakes")
    replaced = ("--override-input", "nixpkgs", f"path:{checkout.parent / 'nixpkgs'}")
    done = subprocess.run(
        ["nix", *features, "flake", "check", "--no-build", "--offline", *replaced],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_lock_is_the_pin_of_the_release(checkout: Path) -> None:
    """Nix would replace a lock that does not match the input by the newest version."""
    lock = json.loads((checkout / "flake.lock").read_text())
    node = lock["nodes"]["nixpkgs"]

    assert lock["version"] == 7
    assert lock["nodes"]["root"]["inputs"] == {"nixpkgs": "nixpkgs"}
    assert node["locked"]["rev"] == "a5cc6f2c37bf518436dc8d1c288ccd0c43c2f4c4"
    assert re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", node["locked"]["narHash"])
    url = "github:{owner}/{repo}/{ref}".format(**node["original"])
    assert f'inputs.nixpkgs.url = "{url}";' in (checkout / "flake.nix").read_text()


def test_both_systems_get_everything() -> None:
    """ARM machines such as a Raspberry Pi get the same outputs."""
    outputs = ("packages", "checks", "apps", "devShells", "formatter")
    names = nix(
        f"lib.genAttrs {json.dumps(outputs).replace(',', '')} "
        f"(o: lib.mapAttrs (_: lib.attrNames) {OUTPUTS}.${{o}})"
    )

    for output in outputs:
        assert set(names[output]) == SYSTEMS
    packages = {"chatmaild", "default", "dovecot", "iroh-relay", "option-docs", "rpi-image"}
    packages |= {"website"}
    assert set(names["packages"]["x86_64-linux"]) == packages
    vm_tests = {"acme", "basic", "federation", "upgrade"}
    for system in SYSTEMS:
        assert vm_tests <= set(names["checks"][system])
    assert "raspberry-pi" in names["checks"]["aarch64-linux"]


@pytest.mark.parametrize(
    ("name", "platform"), [("example", "x86_64-linux"), ("raspberry-pi", "aarch64-linux")]
)
def test_a_host_evaluates_for_its_platform(name: str, platform: str) -> None:
    """The outputs that the README mentions can be built."""
    seen = nix(
        f"let s = {OUTPUTS}.nixosConfigurations.{name}; in {{ inherit (s) refusals; "
        "platform = s.config.nixpkgs.hostPlatform; version = s.config.system.stateVersion; "
        'root = s.config.fileSystems."/".device; }'
    )

    assert seen["refusals"] == []
    assert seen["platform"] == platform
    assert seen["version"] == "26.05"
    assert seen["root"].startswith("/dev/disk/by-label/")


def test_the_example_is_only_settings() -> None:
    """Hosts contain only names and hardware."""
    text = (REPOSITORY / "hosts" / "example" / "default.nix").read_text()

    for word in ("postfix", "dovecot", "nginx", "firewall", "mkForce"):
        assert word not in text


def test_the_image_boots_the_boards_that_it_names(nixpkgs: Nixpkgs) -> None:
    """It has firmware, loader and device trees for every board; a Pi 5's came after 26.05."""
    has_pi_5 = nixpkgs.release != "26.05"
    seen: dict[str, Any] = nix(
        f"let s = {OUTPUTS}.nixosConfigurations.raspberry-pi.config; in {{ "
        "firmware = s.sdImage.populateFirmwareCommands; root = s.sdImage.populateRootCommands; "
        "image = s.system.build.sdImage.name; boot = (import (repository + "
        '"/hosts/raspberry-pi/boot.nix") { inherit lib; '
        "pkgs = nixpkgs.legacyPackages.aarch64-linux; }).configTxt; }"
    )

    assert seen["image"] == "chatmail-raspberry-pi.img.zst"
    loaders = {"u-boot.bin"} if has_pi_5 else {"u-boot-rpi3.bin", "u-boot-rpi4.bin"}
    for file in ("bootcode.bin", "start*.elf", "config.txt", *loaders):
        assert file in seen["firmware"]
    for board in ("rpi-3-b", "rpi-zero-2-w", "rpi-4-b", "rpi-cm4"):
        assert f"{board}.dtb" in seen["firmware"]
    assert ("rpi-5-b.dtb" in seen["firmware"]) is has_pi_5
    sections = dict(re.findall(r"^\[(\w+)\]\nkernel=(.*)$", seen["boot"], re.MULTILINE))
    assert set(sections) == {"pi3", "pi02", "pi4"} | ({"pi5"} if has_pi_5 else set())
    assert set(sections.values()) == loaders
    assert "firmware/chatmail.txt" in seen["firmware"]
    assert "-d files/boot" in seen["root"]


@pytest.mark.parametrize("name", ["server", "raspberry-pi"])
def test_a_template_works(name: str, tmp_path: Path) -> None:
    """Only names have to be filled in, and the examples are in the right places."""
    shutil.copytree(REPOSITORY / "hosts" / "templates" / name, tmp_path, dirs_exist_ok=True)
    if name == "server":
        # The file that nixos-generate-config writes.
        (tmp_path / "hardware-configuration.nix").write_text(
            '{ nixpkgs.hostPlatform = "x86_64-linux"; '
            'fileSystems."/" = { device = "/dev/vda1"; fsType = "ext4"; }; }'
        )
    seen = nix(
        f"let s = ((import {tmp_path}/flake.nix).outputs {{ inherit nixpkgs; "
        f"chatmail = {OUTPUTS}; }}).nixosConfigurations.relay; in {{ inherit (s) refusals; "
        "inherit (s.config.services.chatmail.relay) active; }"
    )

    assert seen == {"refusals": [], "active": True}


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_iroh_relay_is_verified_by_the_checksum_of_the_binary(system: str, tmp_path: Path) -> None:
    """Others publish checksums of the file inside the archive, so this file must be the output."""
    package = nix(
        f"let p = {OUTPUTS}.packages.{system}.iroh-relay.parts; in {{ inherit (p.src.parts) url "
        "sha256 downloadToTemp postFetch; inherit (p.meta) platforms; }"
    )
    (tmp_path / "iroh-relay").write_bytes(b"\x7fELF the program")
    subprocess.run(["tar", "-czf", "archive", "./iroh-relay"], cwd=tmp_path, check=True)
    environment = {"PATH": os.environ["PATH"], "out": str(tmp_path / "out")}
    environment["downloadedFile"] = str(tmp_path / "archive")
    subprocess.run(["sh", "-ec", package["postFetch"]], env=environment, check=True)

    assert (tmp_path / "out").read_bytes() == (tmp_path / "iroh-relay").read_bytes()
    assert package["downloadToTemp"] is True
    machine = system.partition("-")[0]
    end = f"/v0.35.0/iroh-relay-v0.35.0-{machine}-unknown-linux-musl.tar.gz"
    assert package["url"].endswith(end)
    assert re.fullmatch("[0-9a-f]{64}", package["sha256"])
    assert set(package["platforms"]) == SYSTEMS


def test_no_overlay_is_forced() -> None:
    """The overlay is optional; the module finds its packages by itself."""
    offered = nix(
        f"lib.attrNames ({OUTPUTS}.overlays.default nixpkgs.legacyPackages.x86_64-linux {{ }})"
    )

    assert offered == ["chatmail-dovecot", "chatmaild"]
    assert not re.search(r"overlays\s*=", (REPOSITORY / "modules" / "options.nix").read_text())


def test_the_package_has_the_dependencies_of_its_project() -> None:
    """Nixpkgs uses the same names; a new one in pyproject.toml must be added to the package."""
    seen = nix(
        f"let p = {OUTPUTS}.packages.x86_64-linux.chatmaild.parts; in {{ "
        "dependencies = map (d: d.name) p.dependencies; inherit (p.meta) mainProgram; }"
    )
    text = (REPOSITORY / "pkgs" / "chatmaild" / "pyproject.toml").read_text()
    wanted = re.search(r"^dependencies = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)

    assert wanted
    assert sorted(seen["dependencies"]) == sorted(re.findall(r'"([\w-]+)', wanted[1]))
    assert seen["mainProgram"] == "chatmail"


def test_the_website_package_uses_the_relays_generator(tmp_path: Path) -> None:
    """The builder's own script runs as in Nix, with the example's settings."""
    made = nix(f"{OUTPUTS}.packages.x86_64-linux.website.parts")
    config = tmp_path / "config"
    config.write_text(made["attributes"]["config"])
    program = tmp_path / "bin" / "chatmail-website"
    program.parent.mkdir()
    source = REPOSITORY / "pkgs" / "chatmaild" / "src"
    run = "import sys; from chatmaild.website.generate import main; sys.exit(main())"
    command = f'PYTHONPATH={source} exec {sys.executable} -c "{run}" "$@"'
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    build = tmp_path / "build"
    build.mkdir()
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "NIX_BUILD_TOP": str(build),
        "configPath": str(config),
        "out": str(tmp_path / "out"),
    }

    subprocess.run(["sh", "-eu", "-c", made["script"]], cwd=build, env=environment, check=True)

    index = (tmp_path / "out" / "index.html").read_text()
    assert "chat.example.org" in index
    assert (tmp_path / "out" / "de" / "privacy.html").is_file()
    assert str(build) not in index
