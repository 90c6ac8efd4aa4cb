"""The extension for editors: what it offers is there, and works with policyc as it is."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from policyc.check import check_text
from policyc.cli.lsp import command
from policyc.diagnostics.model import Severity

EXTENSION = Path(__file__).parents[2] / "editors" / "vscode"
PACKAGE: dict[str, Any] = json.loads((EXTENSION / "package.json").read_text("utf-8"))
SOURCE = (EXTENSION / "extension.js").read_text("utf-8")
SNIPPETS: dict[str, Any] = json.loads((EXTENSION / "snippets/policyc.json").read_text("utf-8"))

_CHOICE = re.compile(r"\$\{\d+\|([^}]*)\|\}")
_DEFAULT = re.compile(r"\$\{\d+:([^}]*)\}")


def filled_in(body: str) -> list[str]:
    """A snippet as it is when every place is left at its default, for each choice."""
    pieces = _CHOICE.split(body)
    choices = [piece.split(",") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    whole = ("".join(chosen) for chosen in itertools.product(*choices))
    return [_DEFAULT.sub(r"\1", text).replace("$0", "") for text in whole]


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_is_a_policy_or_a_part_of_one(name: str):
    body = "\n".join(SNIPPETS[name]["body"])
    for text in filled_in(body):
        assert "$" not in text
        first = "" if name == "policy" else "policy p;\n"
        last = "" if name == "policy" else "thp { otherwise pass; }\nnuma { otherwise pass; }\n"
        found = check_text(f"{first}{text}\n{last}", "p.thp").diagnostics
        assert not [item for item in found if item.severity is Severity.ERROR], (text, found)
    assert name.startswith(SNIPPETS[name]["prefix"])


def test_there_is_a_snippet_for_what_is_declared_most():
    prefixes = {snippet["prefix"] for snippet in SNIPPETS.values()}
    assert {"policy", "thp", "numa", "test", "property", "set", "param"} <= prefixes


def test_settings_are_options_of_the_server():
    options = {option: parameter for parameter in command.params for option in parameter.opts}
    used = re.findall(r'"(--[a-z-]+)"', SOURCE)
    assert used
    assert set(used) <= set(options)
    sizes = options["--page-size"].type
    assert isinstance(sizes, click.Choice)
    setting = PACKAGE["contributes"]["configuration"]["properties"]["policyc.pageSize"]
    assert setting["enum"] == list(sizes.choices)
    assert setting["default"] == options["--page-size"].default


def test_commands_are_those_that_the_extension_has():
    offered = {each["command"] for each in PACKAGE["contributes"]["commands"]}
    assert offered == set(re.findall(r'registerCommand\("([\w.]+)"', SOURCE))


def test_versions_are_locked_without_the_address_of_a_registry():
    lock = json.loads((EXTENSION / "package-lock.json").read_text("utf-8"))
    assert lock["packages"][""]["devDependencies"] == PACKAGE["devDependencies"]
    assert not [name for name, each in lock["packages"].items() if "resolved" in each]


@pytest.mark.skipif(
    shutil.which("node") is None or not (EXTENSION / "node_modules" / "esbuild").is_dir(),
    reason="needs Node.js, and `npm ci --ignore-scripts` in editors/vscode",
)
def test_what_is_packed_needs_only_the_editor():
    done = subprocess.run(
        ["node", EXTENSION / "build.mjs"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    bundle = EXTENSION / PACKAGE["main"]
    needed = set(re.findall(r'require\("([^"]+)"\)', bundle.read_text("utf-8")))
    ask = "console.log(JSON.stringify(require('node:module').builtinModules))"
    done = subprocess.run(["node", "-e", ask], capture_output=True, text=True, check=True)
    assert {name.removeprefix("node:") for name in needed} - set(json.loads(done.stdout)) == {
        "vscode"
    }
    assert "vscode-languageclient" in (bundle.parent / "LICENSES.txt").read_text("utf-8")
    listed = (EXTENSION / ".vscodeignore").read_text("utf-8").splitlines()
    packed = {line.removeprefix("!") for line in listed if line.startswith("!")}
    assert all((EXTENSION / path).is_file() for path in packed)
    contributes = PACKAGE["contributes"]
    paths = [each["path"] for key in ("grammars", "snippets") for each in contributes[key]]
    paths += [each["configuration"] for each in contributes["languages"]]
    assert {path.removeprefix("./") for path in [PACKAGE["main"], *paths]} <= packed
