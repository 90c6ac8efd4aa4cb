"""The hooks for pre-commit, run by pre-commit in a repository with policies."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ("policyc-check", "policyc-fmt", "policyc-lint", "policyc-test")

#: What a clone has that the hooks are made of.
PARTS = (
    *("policyc", "grammar", "templates", "examples", "docs", "LICENSES"),
    *("LICENSE", "README.md", "pyproject.toml", ".pre-commit-hooks.yaml"),
)

GOOD = """\
policy p;

import "lib.thp";

thp {
    deny when heap;
    otherwise pass;
}

property "never more than was asked for" for thp:
    result in orders;
"""

#: For each hook a policy with which it fails, and what it then says.
BAD = {
    "policyc-check": (GOOD.replace("heap;", "heep;"), "error[PC0201]"),
    "policyc-fmt": (GOOD.replace("    deny", "deny"), "p.thp: formatted"),
    "policyc-lint": (GOOD.replace("deny when heap", "deny when heap == true"), "PL020"),
    "policyc-test": (GOOD.replace("result in orders", "not (64K in result)"), "1 failed"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pre_commit") is None or shutil.which("git") is None,
        reason="git or pre-commit is missing (pip install pre-commit)",
    ),
]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {n: v for n, v in os.environ.items() if n != "PYTHONPATH" and not n.startswith("GIT_")}
    home = {"PRE_COMMIT_HOME": str(cwd.parent / "home"), "HOME": str(cwd.parent)}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def committed(directory: Path) -> str:
    """The revision of everything in a directory, as a repository."""
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for arguments in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "all of it")):
        result = run("git", *arguments, cwd=directory)
        assert result.returncode == 0, result.stdout
    return run("git", "rev-parse", "HEAD", cwd=directory).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with policies that uses the hooks of a clone."""
    top = tmp_path_factory.mktemp("pre-commit")
    clone, policies = top / "clone", top / "policies"
    clone.mkdir()
    policies.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, clone)
    hooks = "".join(f"      - id: {hook}\n" for hook in HOOKS)
    (policies / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {clone}\n    rev: {committed(clone)}\n    hooks:\n{hooks}"
    )
    (policies / "p.thp").write_text(GOOD)
    (policies / "lib.thp").write_text("let heap = vma.size >= 1G;\n")
    committed(policies)
    result = run(sys.executable, "-m", "pre_commit", "install-hooks", cwd=policies)
    if result.returncode:
        pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--retries=1", "click")
        if run(*pip, "-d", str(top), cwd=top).returncode:
            pytest.skip("the package index cannot be reached, so hooks cannot be installed")
        pytest.fail(result.stdout)
    return policies


def hook(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "pre_commit", "run", "--all-files", *arguments, cwd=repository)


def test_every_hook_passes(repository: Path):
    (repository / "p.thp").write_text(GOOD)
    result = hook(repository)
    assert (result.returncode, result.stdout.count("Passed")) == (0, len(HOOKS)), result.stdout


@pytest.mark.parametrize("name", HOOKS)
def test_hook_fails(name: str, repository: Path):
    text, said = BAD[name]
    (repository / "p.thp").write_text(text)
    result = hook(repository, name)
    assert (result.returncode, said in result.stdout) == (1, True), result.stdout
    assert ((repository / "p.thp").read_text() == GOOD) == (name == "policyc-fmt")


def test_every_hook_is_tried():
    text = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert {line.split()[-1] for line in text.splitlines() if line.startswith("- id:")} == {*HOOKS}
