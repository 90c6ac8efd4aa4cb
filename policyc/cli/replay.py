"""`policyc simulate --trace`: what a policy answers to recorded requests, or where two differ."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from policyc.cli.common import (
    FINE,
    NO,
    USAGE,
    Failure,
    checked_plan,
    plural,
    reason,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.plan.nodes import Target
    from policyc.simulate.trace import Entry, TraceError

__all__ = ["replay_trace"]

#: Bad lines that are shown with --keep-going; the others are only counted.
_SHOWN_ERRORS = 10

#: A file of more bytes takes long enough for a line that says how far it is, and the
#: number of requests between two updates of that line.
_LONG, _STEP = 8 << 20, 20_000


def replay_trace(
    file: str,
    trace: str,
    against: str | None,
    target: Target,
    *,
    top: int,
    keep_going: bool,
    as_json: bool,
) -> int:
    """Replay a trace through one policy or two, print the report, and give the exit code."""
    from policyc.api import Policy
    from policyc.cli import replay_report
    from policyc.simulate.replay import compare, replay

    if [file, trace, against].count("-") > 1:
        raise click.UsageError("only one of the files can be standard input")
    policy = Policy(checked_plan(file, target))
    other = None if against is None else Policy(checked_plan(against, target))
    errors: list[TraceError] = []
    with _entries(trace, target, errors if keep_going else None) as (name, entries):
        if other is None:
            comparison, replayed = None, replay(policy, entries)
        else:
            comparison = compare(policy, other, entries, keep=top)
            replayed = comparison.reports[0]
    shown = replay_report.Shown(name, policy.plan, other and other.plan, target, top, len(errors))
    if as_json:
        replay_report.print_json(shown, replayed, comparison)
    else:
        replay_report.print_text(shown, replayed, comparison)
    _show_errors(name, errors)
    return NO if errors or (comparison is not None and comparison.count) else FINE


@contextmanager
def _entries(
    trace: str, target: Target, errors: list[TraceError] | None
) -> Generator[tuple[str, Iterator[Entry]]]:
    """The requests of a trace and its name; what is wrong with it ends the run."""
    from policyc.cli.files import STANDARD_INPUT
    from policyc.simulate.trace import TraceError, open_trace, read_trace

    path = None if trace == "-" else Path(trace)
    name = STANDARD_INPUT if path is None else trace
    on_error = None if errors is None else errors.append
    try:
        if path is None:
            if sys.stdin is None:
                raise OSError(0, "It is closed")
            yield name, read_trace(sys.stdin.buffer, target, on_error=on_error)
            return
        with open_trace(path) as stream:
            entries = read_trace(stream, target, on_error=on_error)
            size = path.stat().st_size
            long = size > _LONG and sys.stderr.isatty()
            yield name, _shown_progress(entries, stream, size) if long else entries
    except TraceError as error:
        raise Failure(
            f"{name}:{error.line}: {error.message}",
            NO,
            "docs/reference/trace.md has the format; --keep-going passes over bad lines",
        ) from None
    except OSError as error:
        raise Failure(f"cannot read {name}: {reason(error)}", USAGE) from None


def _shown_progress(entries: Iterator[Entry], stream: IO[bytes], size: int) -> Iterator[Entry]:
    """The entries, with a line on the terminal that says how far they are."""
    # A gzip file is as far as the file that it unpacks.
    raw = cast("IO[bytes]", getattr(stream, "fileobj", stream))
    try:
        for number, entry in enumerate(entries, start=1):
            yield entry
            if number % _STEP == 0:
                done = f", {100 * raw.tell() // size}%" if size else ""
                sys.stderr.write(f"\r{number:,} requests{done}")
                sys.stderr.flush()
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _show_errors(name: str, errors: list[TraceError]) -> None:
    for error in errors[:_SHOWN_ERRORS]:
        click.echo(f"{visible_lines(f'{name}:{error.line}: {error.message}')}", err=True)
    if errors:
        more = len(errors) - _SHOWN_ERRORS
        rest = f", {more:,} of them not shown" if more > 0 else ""
        click.echo(f"{plural(len(errors), 'bad line')} passed over{rest}", err=True)
