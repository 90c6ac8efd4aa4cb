"""`policyc explain`: one decision, taken apart."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from policyc.cli.asking import hook_of, pairs, request_options, state_of, values_of
from policyc.cli.common import (
    FINE,
    NO,
    USAGE,
    Failure,
    checked_plan,
    plural,
    policy_file,
    reason,
    target_of,
    target_options,
)

if TYPE_CHECKING:
    from policyc.plan.nodes import Target
    from policyc.simulate.trace import Entry, TraceError

__all__ = ["command"]


@click.command("explain", short_help="Take one decision apart, and say what would change it.")
@policy_file
@request_options
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(path_type=str),
    help="Take the request from a trace; --line says which.",
)
@click.option(
    "--line", metavar="N", type=click.IntRange(min=1), help="The line of the trace, from 1."
)
@click.option(
    "--all", "everything", is_flag=True, help="Take rules apart that were not reached, too."
)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str,
    assignments: tuple[str, ...],
    *,
    hook: str | None,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    trace: str | None,
    line: int | None,
    everything: bool,
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Take one decision apart, and say what would change it.

    Shows every block and every rule in order with the value of each part of its condition,
    where the block stopped and why, how the blocks combined, why the answer of each kernel
    interface differs from the decision, and the nearest change of one attribute, parameter or
    member of a set that gives another answer.

    The request is given as for `policyc decide` (its --help has the keys and what is not given),
    or is a line of a trace.

    \b
    Examples:
      policyc explain fleet.thp --hook thp cgroup=/kubepods/java/web-1 event=khugepaged
      policyc explain fleet.thp --trace requests.jsonl --line 17
      policyc explain fleet.thp --hook thp --param ceiling=50% --json

    \b
    Exit codes:
      0  explained, whatever the decision is
      1  the policy has errors, or the line of the trace is no request
      2  wrong usage, or a file that cannot be read
    """
    from policyc.cli.explanation import print_json, print_text
    from policyc.explain.account import account_of

    target = target_of(page_size, pmd_order)
    if (trace is None) != (line is None):
        raise click.UsageError("--trace and --line are given together")
    if trace is None or line is None:
        given = pairs(assignments)
        plan = checked_plan(file, target)
        asked = hook_of(plan, hook)
        values = values_of(asked.hook.value, given, target)
    else:
        if assignments:
            raise click.UsageError("the request is given as KEY=VALUE or by --trace, not both")
        if file == trace == "-":
            raise click.UsageError("only one of the files can be standard input")
        plan = checked_plan(file, target)
        entry = _entry(trace, line, target)
        if hook not in (None, entry.hook):
            raise click.UsageError(f"line {line} of {trace} is a {entry.hook} request")
        asked = hook_of(plan, entry.hook)
        values = entry.request.values()
    account = account_of(plan, asked, values, state_of(plan, params, sets))
    if as_json:
        print_json(account)
    else:
        print_text(account, everything=everything)
    return FINE


def _entry(trace: str, line: int, target: Target) -> Entry:
    """The request on a line of a trace; other lines may be wrong."""
    from policyc.simulate.trace import TraceError, read_trace

    last = 0

    def on_error(error: TraceError) -> None:
        nonlocal last
        last = error.line
        if error.line == line:
            raise Failure(
                f"{trace}:{line}: {error.message}", NO, "docs/reference/trace.md has the format"
            )

    try:
        with _opened(trace) as stream:
            for entry in read_trace(stream, target, on_error=on_error):
                last = entry.line
                if last >= line:
                    break
            else:
                raise Failure(f"{trace} ends before line {line}: it has {_lines(last)}", USAGE)
    except TraceError as error:
        raise Failure(f"{trace}:{error.line}: {error.message}", NO) from None
    except OSError as error:
        raise Failure(f"cannot read {trace}: {reason(error)}", USAGE) from None
    if entry.line != line:
        raise Failure(f"{trace}:{line}: the line is empty", NO)
    return entry


def _lines(number: int) -> str:
    return plural(number, "line") if number else "no requests"


@contextmanager
def _opened(trace: str) -> Generator[IO[bytes]]:
    from policyc.simulate.trace import open_trace

    if trace != "-":
        with open_trace(Path(trace)) as stream:
            yield stream
        return
    if sys.stdin is None:
        raise OSError(0, "It is closed")
    yield sys.stdin.buffer
