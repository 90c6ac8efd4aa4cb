"""Files and directories of policies, as the verbs that take several of them find and read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyc.cli.common import NO, Failure, echo, terminal

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


def read_checked(file: str, target: Target, shown: tuple[str, str] = ("", "")) -> PolicyText:
    """A policy or a file of definitions, checked for no profile; its errors are shown.

    Of `shown` the first is how file names begin, the second how they do for people.
    """
    from policyc.check import check_text
    from policyc.cli.files import read_policy
    from policyc.diagnostics.model import Severity
    from policyc.diagnostics.render import render_full, summary

    data, name = read_policy(file)
    result = check_text(data, name, profiles=["testrun"], target=target, library=True)
    errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
    if errors:
        place = terminal(err=True)
        text = render_full(errors, color=place.color, width=place.width)
        echo(_renamed(text, shown) + "\n", err=True)
    name, plan = _renamed(name, shown), result.plan
    if plan is not None:
        plan = replace(plan, file=name)
    text = data.decode("utf-8", "replace")
    return PolicyText(name, text, plan, not result.is_fine, summary(errors))


def _renamed(text: str, shown: tuple[str, str]) -> str:
    return text.replace(*shown) if shown[0] else text


def usable(policy: PolicyText) -> PolicyText:
    """The same policy; the end of the run, exit code 1, if it has errors."""
    if policy.failed:
        raise Failure(f"{policy.file} cannot be used: {policy.errors}", NO)
    return policy
