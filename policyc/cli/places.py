"""Files and directories of policies, as the verbs that take several of them find and read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyc.cli.common import NO, Failure, show_diagnostics

if TYPE_CHECKING:
    from policyc.plan.nodes import Plan, Target

__all__ = ["PolicyText", "policy_files", "read_checked", "usable"]


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A file that was read; no plan where it `failed`, or has definitions only."""

    file: str
    text: str
    plan: Plan | None
    failed: bool
    errors: str = ""


def policy_files(places: Sequence[str]) -> list[str]:
    """The files that are meant, each once; a directory stands for all policies below it."""
    found: dict[str, str] = {}
    for place in places:
        below = [place]
        if place != "-" and Path(place).is_dir():
            below = sorted(str(path) for path in Path(place).rglob("*.thp") if path.is_file())
            if not below:
                raise click.UsageError(f"there are no policies (*.thp) in {place}")
        for file in below:
            found.setdefault("-" if file == "-" else os.path.realpath(file), file)
    return list(found.values())


def read_checked(file: str, target: Target) -> PolicyText:
    """A policy or a file of definitions, checked for no profile; its errors are shown."""
    from policyc.check import check_text
    from policyc.cli.files import read_policy
    from policyc.diagnostics.model import Severity
    from policyc.diagnostics.render import summary

    data, name = read_policy(file)
    result = check_text(data, name, profiles=["testrun"], target=target, library=True)
    errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
    if not result.is_fine:
        show_diagnostics(errors, "full", err=True)
    text = data.decode("utf-8", "replace")
    return PolicyText(name, text, result.plan, not result.is_fine, summary(errors))


def usable(policy: PolicyText) -> PolicyText:
    """The same policy; the end of the run, exit code 1, if it has errors."""
    if policy.failed:
        raise Failure(f"{policy.file} cannot be used: {policy.errors}", NO)
    return policy
