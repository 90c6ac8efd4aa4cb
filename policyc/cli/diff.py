"""`policyc diff`: what was changed between two policies, and what that changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyc.cli.common import (
    FINE,
    NO,
    checked_plan_of,
    emit_json,
    profile_option,
    target_of,
    target_options,
)

if TYPE_CHECKING:
    from policyc.cli.diff_trees import Options

__all__ = ["command"]


@click.command("diff", short_help="Say where policies differ.")
@click.argument(
    "places", metavar="OLD NEW | --git REV [PATH]...", nargs=-1, type=click.Path(path_type=str)
)
@click.option(
    "--git",
    "revision",
    metavar="REV",
    help="Compare a git revision with the working tree, below the arguments or here.",
)
@profile_option(
    "Compare what these kernel interfaces make of the answers; repeatable. "
    "Without it, all that can run both policies."
)
@click.option(
    "--all", "every", is_flag=True, help="Show a request for each pair of rules that differ."
)
@click.option(
    "--timeout",
    metavar="DURATION",
    default="10s",
    show_default=True,
    help="How long the solver may think about one question.",
)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    places: tuple[str, ...],
    *,
    revision: str | None,
    profiles: tuple[str, ...],
    every: bool,
    timeout: str,
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Say what was changed between two policies, and what that changes.

    First come declarations and rules that were added, removed, moved or changed. Then, for each
    hook, the policies are proved to answer every request alike, or the smallest request is shown
    that they answer differently, as arguments of `policyc decide`, with both answers and the
    rules that gave them; and the same for what the kernel of each interface makes of the answers.

    Sets and parameters that both policies have are taken to be the same in both, whatever they
    are; if that makes no difference, the policies are compared as they are loaded, too.

    OLD and NEW may be directories. Policies (*.thp) that have the same path below them are
    compared, and a policy that is in one of them only is a difference. With --git, OLD is the
    state of a git revision and NEW the working tree; the arguments, if there are any, are the
    files and directories to compare.

    \b
    Examples:
      policyc diff fleet.thp new.thp
      policyc diff fleet.thp new.thp --all --profile thp-v9
      policyc diff ../before .
      policyc diff --git origin/main policies/

    \b
    Exit codes:
      0  they answer alike and need the same settings of the machine
      1  they differ, or the solver does not know, or one of them has errors
      2  wrong usage, a file that cannot be read, no repository, or no such revision
      3  z3 is missing, or git for --git
    """
    from policyc.cli.counterexample import need_solver, seconds_of
    from policyc.cli.diff_trees import Options, compare_directories, compare_revision

    seconds = seconds_of(timeout)
    if revision is None:
        _check_places(places)
    need_solver()
    target = target_of(page_size, pmd_order)
    options = Options(profiles, seconds, target, every=every, as_json=as_json)
    if revision is not None:
        return compare_revision(revision, places, options)
    old, new = places
    if Path(old).is_dir():
        return compare_directories(old, new, options)
    return _compare_files(old, new, options)


def _check_places(places: tuple[str, ...]) -> None:
    """Refuse what cannot be compared."""
    if len(places) != 2:
        raise click.UsageError(
            f"expected OLD and NEW, got {len(places) or 'nothing'}"
            f"{' arguments' if len(places) > 2 else ' argument' if places else ''}; "
            "to compare with a git revision, say --git REV"
        )
    if places == ("-", "-"):
        raise click.UsageError("only one of the policies can be standard input")
    kinds = {place: Path(place).is_dir() for place in places}
    if len(set(kinds.values())) == 2:
        one = next(place for place, is_directory in kinds.items() if is_directory)
        raise click.UsageError(
            f"{one} is a directory and the other is not: compare two files or two directories"
        )


def _compare_files(old: str, new: str, options: Options) -> int:
    from policyc.cli.counterexample import check_profiles
    from policyc.cli.difference import compared, document, print_pair
    from policyc.cli.files import read_policy

    before, after = (checked_plan_of(*read_policy(file), options.target) for file in (old, new))
    check_profiles([before, after], options.profiles)
    pair = compared(before, after, options.profiles, options.seconds, every=options.every)
    if options.as_json:
        emit_json(document(pair))
    else:
        print_pair(pair)
    return FINE if pair.verdict == "equivalent" else NO
