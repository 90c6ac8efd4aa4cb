"""The job of docs/how-to/pull-requests.md is run on the pull request that it tells of."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.language.console import Reader
from tests.language.documents import ROOT, document_blocks
from tests.language.markdown import Block

_PAGE = ROOT / "docs" / "how-to" / "pull-requests.md"
_BASE = "main"


def _block(language: str) -> Block:
    [block] = [block for block in document_blocks(_PAGE) if block.language == language]
    return block


def _steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load(_block("yaml").text)
    steps = workflow["jobs"]["policies"]["steps"]
    return [step for step in steps if "run" in step and not step["run"].startswith("pip ")]


def _git(repository: Path, *arguments: str) -> None:
    options = ("-c", "user.name=Reader", "-c", "user.email=reader@example.org")
    subprocess.run(["git", *options, *arguments], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def pull_request(tmp_path: Path) -> Path:
    """A clone in which the pull request is checked out, as it is for the job."""
    origin = tmp_path / "origin"
    for block in document_blocks(_PAGE):
        if block.language == "thp":
            path = origin / (block.value("file") or "")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
    _git(origin, "init", "-q", "-b", _BASE, ".")
    _git(origin, "add", ".")
    _git(origin, "commit", "-qm", "Policies")
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", str(origin), str(clone))
    (tmp_path / "change.diff").write_text(_block("diff").text, "utf-8")
    _git(clone, "apply", str(tmp_path / "change.diff"))
    _git(clone, "commit", "-qam", "No huge pages for stacks, nor near the limit")
    return clone


@pytest.mark.slow
def test_the_job_prints_what_the_page_says(pull_request: Path, tmp_path: Path):
    (tmp_path / "reader").mkdir()
    environment = {**Reader(tmp_path / "reader").environment, "GITHUB_BASE_REF": _BASE}
    said: list[str] = []
    for step in _steps():
        result = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=pull_request,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        said += [f"$ {step['run']}", *result.stdout.splitlines()]
        assert result.returncode == step.get("continue-on-error", False), result.stdout
    assert said == _block("text").text.splitlines()


def test_the_job_runs_every_verb_that_judges():
    verbs = [step["run"].split()[1] for step in _steps()]
    assert verbs == ["check", "fmt", "lint", "test", "prove", "diff"]
