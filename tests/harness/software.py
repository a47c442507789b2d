"""The relay's own software as files, with the layout of a Debian package."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path

from harness.archive import File, tree
from harness.places import CHATMAILD
from harness.venv import venv

PACKAGES = "/usr/lib/python3/dist-packages"
CORE = ("deltachat_rpc_client", "deltachat_rpc_server")
LAUNCHER = """\
#!/usr/bin/python3
import sys

from {module} import {function}

sys.exit({function}())
"""


def deltachat() -> dict[str, File]:
    """Return Delta Chat core and its Python client as installed by pip; Debian has no package."""
    # Among the clients, this interpreter has them.
    inside = importlib.util.find_spec(CORE[0])
    environment = Path(sys.prefix) if inside else venv()
    packages = next((environment / "lib").glob("python3*/site-packages"))
    client, server = (packages / name for name in CORE)
    program = (server / "deltachat-rpc-server").read_bytes()
    return tree(client, f"{PACKAGES}/{client.name}") | {
        "/usr/bin/deltachat-rpc-server": File(program, mode="0755")
    }


def files() -> dict[str, File]:
    """Return all files of chatmaild, including launchers in /usr/bin."""
    project = tomllib.loads((CHATMAILD / "pyproject.toml").read_text())["project"]
    launchers = {}
    for name, entry in project["scripts"].items():
        module, _, function = entry.partition(":")
        text = LAUNCHER.format(module=module, function=function)
        launchers[f"/usr/bin/{name}"] = File(text, mode="0755")
    return tree(CHATMAILD / "src", PACKAGES) | launchers
