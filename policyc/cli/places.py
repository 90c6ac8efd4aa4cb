"""Files and directories of policies, as the verbs that take several of them find and read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from policyc.cli.common import NO, USAGE, Failure, echo, reason, terminal

if TYPE_CHECKING:
    from policyc.plan.nodes import LocalDefinition, Plan, Target

__all__ = ["PolicyText", "policy_files", "read_checked", "read_or_tell", "usable"]


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A file; no plan where it cannot be read, has `errors`, or has definitions only."""

    file: str
    text: str
    plan: Plan | None
    errors: str = ""
    is_readable: bool = True

    @property
    def failed(self) -> bool:
        """Whether something is wrong with it."""
        return bool(self.errors) or not self.is_readable


def policy_files(places: Sequence[str]) -> list[str]:
    """The files, with the policies (*.thp) below a directory in its place; each file once.

    A link below a directory that leads out of it is passed over, and so is what is below one
    with a hidden name (.git, .venv) or other people's (node_modules). A directory that cannot
    be listed, or has no policy, ends the run.
    """
    found: dict[str, str] = {}
    for place in places:
        try:
            is_directory = place != "-" and Path(place).is_dir()
            inside = _below(place) if is_directory else [place]
        except (OSError, ValueError) as error:
            named = getattr(error, "filename", None) or place
            raise Failure(f"cannot read {named}: {reason(error)}", USAGE) from None
        if not inside:
            raise Failure(f"there is no policy (*.thp) in {place}", USAGE)
        for path in inside:
            found.setdefault(path if path == "-" else os.path.realpath(path), path)
    return list(found.values())


def _below(directory: str) -> list[str]:
    """The policies below a directory, files in front of links to them."""
    top = os.path.join(os.path.realpath(directory), "")  # noqa: PTH118 - paths as they are given
    found = [entry for entry in _entries(directory) if entry.name.endswith(".thp")]
    there = [
        entry
        for entry in found
        if not entry.is_symlink() or os.path.realpath(entry.path).startswith(top)
    ]
    there.sort(key=lambda entry: (entry.is_symlink(), Path(entry.path)))
    return [entry.path.removeprefix("./") for entry in there if not _is_no_file(entry)]


def _is_no_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory, a pipe, or what else nobody keeps a policy in.

    What cannot be looked at is left for whoever reads it to tell.
    """
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    """What is below a directory, however deep, without directories; links are not followed."""
    pending = [directory]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    yield entry
                elif not entry.name.startswith(".") and entry.name != "node_modules":
                    pending.append(entry.path)


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
        plan = replace(plan, file=name, locals=tuple(_moved(let, shown) for let in plan.locals))
    text = data.decode("utf-8", "replace")
    return PolicyText(name, text, plan, summary(errors) if errors else "")


def read_or_tell(file: str, target: Target, shown: tuple[str, str] = ("", "")) -> PolicyText:
    """The same for one of several files: where it cannot be read, that is said."""
    try:
        return read_checked(file, target, shown)
    except Failure as failure:
        failure.show()
        return PolicyText(_renamed(file, shown), "", None, is_readable=False)


def _moved(let: LocalDefinition, shown: tuple[str, str]) -> LocalDefinition:
    if let.origin is None:
        return let
    return replace(let, origin=(_renamed(let.origin[0], shown), let.origin[1]))


def _renamed(text: str, shown: tuple[str, str]) -> str:
    return text.replace(*shown) if shown[0] else text


def usable(policy: PolicyText) -> PolicyText:
    """The same policy; the end of the run, exit code 1, if it has errors."""
    if policy.failed:
        raise Failure(f"{policy.file} cannot be used: {policy.errors}", NO)
    return policy
