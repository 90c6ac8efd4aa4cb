"""The verbs that list what there is, and completion."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from policyc.hooks.loader import attributes, profile_names, profiles
from tests.cli.commands import command, environment, invoke


def test_profiles() -> None:
    text = invoke("profiles").stdout
    assert all(name in text for name in profile_names())
    document = json.loads(invoke("profiles", "--json").stdout)
    assert [profile["name"] for profile in document["profiles"]] == list(profile_names())
    leave = {profile["name"]: profile["leave"] for profile in document["profiles"]}
    assert (leave["thp-v7"], leave["thp-v9"]) == (-1, None)
    default = [profile["name"] for profile in document["profiles"] if profile["default"]]
    assert default == ["thp-v7", "numab-rfc1"]


def test_attributes_as_data() -> None:
    document = json.loads(invoke("attributes", "--json").stdout)
    found = {row["name"]: row for row in document["attributes"]}
    assert list(found) == list(attributes())
    for name, row in attributes().items():
        for profile in profiles().values():
            able = profile.has(row) and any(profile.answers(hook) for hook in row.hooks)
            assert (profile.name in found[name]["profiles"]) is able
    assert found["event"]["enum"] == "event"
    assert "khugepaged" in document["enumerations"]["event"]


def test_attributes_can_be_narrowed() -> None:
    numa = json.loads(invoke("attributes", "--hook", "numa", "--json").stdout)
    names = [row["name"] for row in numa["attributes"]]
    assert "task.comm" in names
    assert "vma.size" not in names
    mthp = json.loads(invoke("attributes", "--profile", "mthp-v2", "--json").stdout)
    names = [row["name"] for row in mthp["attributes"]]
    assert "cgroup" in names
    assert "task.comm" not in names
    assert invoke("attributes", "--profile", "mthp").exit_code == 2


def test_the_table_of_attributes() -> None:
    lines = invoke("attributes", COLUMNS="80").stdout.splitlines()
    assert lines[0].startswith("a thp-v7  b thp-v9")
    row = next(line for line in lines if line.startswith("vma.size"))
    assert row.split()[:8] == ["vma.size", "size", "✓", "✓", "✓", "·", "·", "✓"]
    assert sum(line.startswith("cgroup.psi.R.K.W ") for line in lines) == 1
    assert all(len(line) <= 80 for line in lines[2:-5])


def completions(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    result = subprocess.run(
        command(),
        env=environment(
            _POLICYC_COMPLETE="bash_complete",
            COMP_WORDS="policyc " + " ".join(words),
            COMP_CWORD=str(len(words)),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr
    return [line.partition(",")[2] for line in result.stdout.split()]


def test_what_is_completed() -> None:
    assert completions("comp") == ["compile", "completion"]
    assert completions("check", "--profile", "thp-v1") == ["thp-v12"]
    assert completions("compile", "x", "--emit", "c,py") == ["c,python"]
    assert completions("decide", "x", "vma.st") == ["vma.stack="]
    assert completions("decide", "x", "event=kh") == ["event=khugepaged"]
    assert "vma.size=" not in completions("decide", "x", "--hook", "numa", "v")
    assert completions("completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_accepted_by_their_shells(shell: str) -> None:
    script = invoke("completion", shell).stdout
    assert "_POLICYC_COMPLETE" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_an_unknown_shell() -> None:
    assert invoke("completion", "csh").exit_code == 2
