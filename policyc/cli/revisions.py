"""A git revision beside the working tree."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from policyc.cli.common import MISSING, USAGE, Failure

__all__ = ["Revision", "checked_out"]


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that is written out below `tree`; `top` is where the working tree begins."""

    name: str
    top: Path
    tree: Path

    def inside(self, place: str) -> str:
        """A file or directory of the working tree, from where that begins; "" for all of it."""
        real = Path(os.path.realpath(place))
        if real != self.top and self.top not in real.parents:
            raise click.UsageError(f"{place} is not in the repository {self.top}")
        return "" if real == self.top else str(real.relative_to(self.top))

    def present(self, inside: Sequence[str]) -> list[str]:
        """The policies of the working tree, from where it begins, but those that git ignores."""
        listing = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
        names = _git(*listing, at=self.top).split("\0")
        return _below(inside, [name for name in names if (self.top / name).is_file()])

    def past(self, inside: Sequence[str]) -> list[str]:
        """The policies of the revision."""
        files = (path for path in self.tree.rglob("*.thp") if path.is_file())
        return _below(inside, [str(path.relative_to(self.tree)) for path in files])


def _below(inside: Sequence[str], names: Sequence[str]) -> list[str]:
    """The policies among some files that are one of the places, or below one."""
    return sorted(
        name
        for name in set(names)
        if name in inside
        or (
            name.endswith(".thp")
            and any(not place or name.startswith(f"{place}/") for place in inside)
        )
    )


@contextmanager
def checked_out(name: str) -> Generator[Revision]:
    """A block in which a revision of the repository that we are in is there to be read."""
    here = Path.cwd()
    top = Path(os.path.realpath(_git("rev-parse", "--show-toplevel", at=here).rstrip("\n")))
    try:
        found = _git("rev-parse", "--verify", "--end-of-options", f"{name}^{{tree}}", at=here)
    except Failure as failure:
        raise Failure(f"no revision {name}: {failure.message}", USAGE) from None
    with tempfile.TemporaryDirectory(prefix="policyc-") as folder:
        tree = Path(os.path.realpath(folder), "tree")
        tree.mkdir()
        # An index of its own: nothing in the repository is touched.
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        _git("read-tree", found.strip(), at=top, **index)
        _git("checkout-index", "--all", "--quiet", f"--prefix={tree}/", at=top, **index)
        yield Revision(name, top, tree)


def _git(*arguments: str, at: Path, **environment: str) -> str:
    """What git prints."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=at,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        advice = "install git, or compare two directories: policyc diff OLD NEW"
        raise Failure("git is missing, which --git needs", MISSING, advice) from None
    if done.returncode:
        message = os.fsdecode(done.stderr).strip() or f"git {arguments[0]} failed"
        raise Failure(message.removeprefix("fatal: "), USAGE)
    return os.fsdecode(done.stdout)
