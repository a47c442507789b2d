"""Tests of the documentation: complete, current, and correct where this can be checked."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from data.relay_value import nix as plain_nix
from data.settings import leaves
from nixos.evaluation import REPOSITORY, nix

pytestmark = pytest.mark.usefixtures("nixpkgs")

DOCS = REPOSITORY / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), REPOSITORY / "hosts" / "README.md"]


@pytest.fixture
def generate() -> ModuleType:
    """The generator, docs/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_option_reference_is_current(generate: ModuleType) -> None:
    """It is generated from the declarations."""
    current = generate.reference() == generate.REFERENCE.read_text()

    assert current, "docs/options.md is out of date; run: python3 docs/generate.py"


def test_the_option_reference_is_complete(generate: ModuleType) -> None:
    """It has every setting of the relay, and the options that only NixOS has."""
    settings = {
        f"services.chatmail.{'.'.join(path)}"
        for path, _ in leaves(plain_nix('import (relay + "/settings.nix")'))
    }
    shown = set(re.findall(r"^## `(.*)`$", generate.REFERENCE.read_text(), re.MULTILINE))

    assert settings < shown
    assert {"services.chatmail.enable", "services.chatmail.openFirewall"} < shown


def test_every_option_says_what_it_does() -> None:
    """Each has a description in sentences, and a default unless it is required."""
    options = nix(
        "map (o: { inherit (o) name description; hasDefault = o ? default || o.readOnly; }) "
        '(lib.filter (o: lib.hasPrefix "services.chatmail" o.name) '
        "(lib.optionAttrSetToDocList (see.host { }).options))"
    )

    for option in options:
        assert option["description"].strip().endswith("."), option["name"]
        assert option["hasDefault"] or option["name"] == "services.chatmail.domain"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_existing_things(page: object) -> None:
    """Files, options and links that a page mentions exist in this repository."""
    assert page in PAGES
    path = next(known for known in PAGES if known == page)
    text = path.read_text()
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (path.parent / link).exists(), link
    for file in re.findall(r"`((?:modules|hosts|docs|tests|pkgs)/[\w./-]+)`", text):
        assert (REPOSITORY / file).exists(), file
    reference = (DOCS / "options.md").read_text()
    for option in re.findall(r"`services\.chatmail\.([A-Za-z.]+)", text):
        assert f"services.chatmail.{option.rstrip('.')}" in reference, option


def test_the_example_uses_the_disk_that_the_page_creates() -> None:
    """Both use the same labels."""
    page = (REPOSITORY / "hosts" / "README.md").read_text()
    disk = (REPOSITORY / "hosts" / "example" / "disk.nix").read_text()

    labels = re.findall(r"by-label/(\w+)", disk)
    assert len(labels) == 3
    for label in labels:
        assert re.search(rf"-[Ln] {label}\b", page), label
