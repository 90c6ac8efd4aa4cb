"""Two directories of policies: those with the same path are compared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from policyc.cli.common import FINE, NO, Failure, echo, emit_json, plural, terminal
from policyc.cli.difference import Pair, compared, document, print_pair
from policyc.cli.places import PolicyText, policy_files, read_or_tell
from policyc.cli.telling import told
from policyc.diagnostics.visible import visible

if TYPE_CHECKING:
    from policyc.plan.nodes import Target

__all__ = ["Options", "compare_directories", "compare_revision"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to compare, and how to say it."""

    profiles: Sequence[str]
    seconds: float
    target: Target
    every: bool
    as_json: bool


#: What became of a path; `definitions` are for others, which are compared with them.
_Outcome = Literal["equivalent", "differ", "unknown", "added", "removed", "unusable", "definitions"]


@dataclass(frozen=True, slots=True)
class _Compared:
    path: str
    outcome: _Outcome
    pair: Pair | None = None


#: The files of one side by their path below it.
_Side = Mapping[str, PolicyText]


def compare_directories(old: str, new: str, options: Options) -> int:
    """Compare the policies below two directories; the exit code."""
    sides = [
        {
            os.path.relpath(file, place): read_or_tell(file, options.target)
            for file in policy_files([place])
        }
        for place in (old, new)
    ]
    return _compare(old, new, sides[0], sides[1], options)


def compare_revision(name: str, places: Sequence[str], options: Options) -> int:
    """Compare the policies of a git revision with those of the working tree; the exit code."""
    from policyc.cli.revisions import checked_out

    if any(place == "-" for place in places):
        raise click.UsageError("--git compares files of the repository, not standard input")
    with checked_out(name) as revision:
        inside = {revision.inside(place): place for place in places or ["."]}
        past, present = revision.past([*inside]), revision.present([*inside])
        for place, given in inside.items():
            if not any(not place or f"{path}/".startswith(f"{place}/") for path in past + present):
                raise click.UsageError(f"there are no policies in {given}, nor in {name}:{place}")
        shown = (f"{revision.tree}/", f"{name}:")
        before = {
            path: read_or_tell(str(revision.tree / path), options.target, shown) for path in past
        }
        after = {
            path: read_or_tell(os.path.relpath(revision.top / path), options.target)
            for path in present
        }
    return _compare(name, None, before, after, options)


def _compare(old: str, new: str | None, before: _Side, after: _Side, options: Options) -> int:
    from policyc.cli.counterexample import check_profiles

    plans = [p.plan for side in (before, after) for p in side.values() if p.plan is not None]
    if plans:
        check_profiles(plans, options.profiles)
    paths = sorted({*before, *after})
    done: list[_Compared] = []
    with told("comparing") as tell:
        for number, path in enumerate(paths):
            tell(f"{number:,} of {plural(len(paths), 'file')}")
            found = _outcome(path, before.get(path), after.get(path), options)
            tell("")
            if not options.as_json:
                shown = [before for before in done if before.outcome != "definitions"]
                _print(found, after_block=bool(shown) and _is_block(shown[-1]))
            done.append(found)
    if options.as_json:
        emit_json(_document(old, new, done))
    else:
        echo()
        echo(_summary(done))
    fine = all(found.outcome in ("equivalent", "definitions") for found in done)
    return FINE if fine else NO


def _outcome(
    path: str, old: PolicyText | None, new: PolicyText | None, options: Options
) -> _Compared:
    """What became of a path."""
    if (old is not None and old.failed) or (new is not None and new.failed):
        return _Compared(path, "unusable")
    before = None if old is None else old.plan
    after = None if new is None else new.plan
    if before is None or after is None:
        if before is after:
            return _Compared(path, "definitions")
        return _Compared(path, "added" if before is None else "removed")
    try:
        pair = compared(before, after, options.profiles, options.seconds, every=options.every)
    except Failure as failure:
        failure.show()
        return _Compared(path, "unusable")
    return _Compared(path, pair.verdict, pair)


# -- for people

_WORDS: dict[_Outcome, str] = {
    "equivalent": "equivalent",
    "differ": "differ",
    "unknown": "unknown",
    "added": "added",
    "removed": "removed",
    "unusable": "cannot be compared",
}

#: What is counted, in a policy each; `definitions` are no policies.
_COUNTED: dict[_Outcome, str] = {**_WORDS, "differ": "different"}


def _is_block(found: _Compared) -> bool:
    """Whether it is shown in several lines."""
    return found.outcome in ("differ", "unknown")


def _print(found: _Compared, *, after_block: bool) -> None:
    if found.outcome == "definitions":
        return
    if after_block:
        echo()
    text = f"{visible(found.path)}: {_WORDS[found.outcome]}"
    if found.outcome == "equivalent" and found.pair is not None and found.pair.changed:
        text += f", with {plural(len(found.pair.changed), 'change')} of its text"
    echo(terminal().paint("1", text) if _is_block(found) else text)
    if _is_block(found) and found.pair is not None:
        echo()
        print_pair(found.pair)


def _summary(done: Sequence[_Compared]) -> str:
    """How many of each there are."""
    counts = {word: sum(found.outcome == word for found in done) for word in _COUNTED}
    policies = sum(counts.values())
    parts = [f"{counts[word]:,} {text}" for word, text in _COUNTED.items() if counts[word]]
    text = f"{policies:,} {'policy' if policies == 1 else 'policies'}"
    text += f": {', '.join(parts)}" if parts else ""
    others = len(done) - policies
    return text + (f"; {plural(others, 'file')} with definitions only" if others else "")


# -- for programs


def _document(old: str, new: str | None, done: Sequence[_Compared]) -> dict[str, Any]:
    return {
        "old": old,
        "new": new,
        "summary": {word: sum(found.outcome == word for found in done) for word in _WORDS},
        "added": [found.path for found in done if found.outcome == "added"],
        "removed": [found.path for found in done if found.outcome == "removed"],
        "unusable": [found.path for found in done if found.outcome == "unusable"],
        "files": [
            {"path": found.path, "verdict": found.outcome, **document(found.pair)}
            for found in done
            if found.pair is not None
        ],
    }
