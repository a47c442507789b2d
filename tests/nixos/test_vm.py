"""Tests of the VM tests, as far as possible without nixpkgs."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import dns, network
from nixos.evaluation import NIXOS, REPOSITORY, Nixpkgs, nix

VM = sorted(path.stem for path in (NIXOS / "vm").glob("*.nix") if path.stem != "lab")
TEST = (
    f"(name: nixpkgs.legacyPackages.aarch64-linux.testers.runNixOSTest (import ({NIXOS}/vm "
    '+ "/${name}.nix") { inherit lib; pkgs = nixpkgs.legacyPackages.aarch64-linux; }))'
)


@pytest.fixture(scope="module")
def tests(nixpkgs: Nixpkgs) -> dict[str, Any]:
    """Every VM test: its script, and NixOS' error messages about its nodes."""
    found: dict[str, Any] = nix(
        f"lib.genAttrs {json.dumps(VM).replace(',', '')} (name: let t = {TEST} name; in {{ "
        "inherit (t) testScript; refusals = lib.mapAttrs (_: n: n.refusals) t.nodes; "
        "units = lib.mapAttrs (_: n: lib.attrNames n.config.systemd.services) t.nodes; "
        "addresses = lib.mapAttrs (_: n: map (a: a.address) "
        "(n.config.networking.interfaces.eth1 or { ipv4.addresses = [ ]; }).ipv4.addresses) "
        "t.nodes; })"
    )
    return found


def test_every_vm_test_is_a_check() -> None:
    """A test that is never run is useless."""
    named = re.findall(r'vm "([\w-]+)\.nix"', (NIXOS / "checks.nix").read_text())

    assert sorted(named) == VM


@pytest.mark.parametrize("name", VM)
def test_its_nodes_evaluate(tests: dict[str, Any], name: str) -> None:
    """The stand-in provides options, types and merging."""
    assert tests[name]["refusals"]
    assert all(refusals == [] for refusals in tests[name]["refusals"].values())


@pytest.mark.parametrize("name", VM)
def test_its_script_compiles(tests: dict[str, Any], name: str) -> None:
    """The script is Python that Nix has assembled."""
    assert compile(tests[name]["testScript"], name, "exec")


@pytest.mark.parametrize("name", VM)
def test_its_script_names_existing_units_and_nodes(tests: dict[str, Any], name: str) -> None:
    """The script would wait for a missing unit until the deadline."""
    script = tests[name]["testScript"]
    units = {unit for units in tests[name]["units"].values() for unit in units}
    units |= {"multi-user.target"}
    named = re.findall(r"(?:start|restart|show[^\n]*|cat) ([\w.-]+)\.service", script)
    named += re.findall(r'wait_for_unit\("([^"]+)"', script)

    # `fail` asks for units that must not exist.
    absent = set(re.findall(r'fail\("systemctl cat ([\w-]+)', script))
    assert set(named) - absent <= units


def test_scripts_are_typed(tests: dict[str, Any], tmp_path: Path) -> None:
    """The driver's functions are in tests/nixos/driver.pyi; the real driver checks again."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed beside this Python; `make test` has it")
    (tmp_path / "driver.pyi").write_text((NIXOS / "driver.pyi").read_text())
    for name, test in tests.items():
        nodes = "".join(f"{node}: Machine\n" for node in test["refusals"])
        script = f"from driver import *\nmachine: Machine\n{nodes}{test['testScript']}"
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(script)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "."]
    done = subprocess.run(
        [*command, "--config-file", "/dev/null", "--check-untyped-defs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_network_is_that_of_the_lab(tests: dict[str, Any]) -> None:
    """Tests and harness use these addresses, which are in Python and in Nix."""
    hints = nix(f"(import {NIXOS}/vm/lab.nix {{ inherit lib; pkgs = {'{}'}; }}).hints")
    names = nix(f"(import {NIXOS}/vm/lab.nix {{ inherit lib; pkgs = {'{}'}; }}).ownNames")

    assert hints == dns.HINTS
    assert tuple(names) == dns.OWN_NAMES
    assert tests["basic"]["addresses"]["dns"] == [network.address4(network.DNS)]
    clients = tests["basic"]["addresses"]["client"]
    assert len(clients) > 1
    assert clients[0] == "192.0.2.100"


def test_tests_that_run_inside_exist(tests: dict[str, Any]) -> None:
    """These are the files and names that a script passes to pytest on the client."""
    for test in tests.values():
        for path in re.findall(r"lab-claims ([\w/.]+)", test["testScript"]):
            assert (REPOSITORY / "tests" / path).exists(), path
    away = (NIXOS / "inside" / "away.py").read_text()
    for name in re.findall(r'away\.format\("(\w+)"\)', tests["federation"]["testScript"]):
        assert f"def test_{name}(" in away


def imports(statement: ast.stmt) -> list[str]:
    """Return the modules that a statement imports; none for other statements."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    return [statement.module or ""] if isinstance(statement, ast.ImportFrom) else []


def test_the_client_has_all_imported_packages(tests: dict[str, Any]) -> None:
    """A missing package would be noticed only on a machine with nixpkgs."""
    lab = (NIXOS / "vm" / "lab.nix").read_text()
    packages = {name.replace("-", "_") for name in re.findall(r"ps\.([\w-]+)", lab)}
    given = {"dkimpy": "dkim", "dnspython": "dns", "pillow": "PIL", "zxing_cpp": "zxingcpp"}
    modules = {given.get(name, name) for name in packages}
    imported = {
        name.partition(".")[0]
        for directory in ("relay", "people", "harness", "nixos/inside")
        for path in (REPOSITORY / "tests" / directory).glob("*.py")
        for statement in ast.parse(path.read_text()).body
        for name in imports(statement)
    }
    ours = {"harness", "people", "relay", "nixos", "data"}

    assert imported - sys.stdlib_module_names - ours <= modules
