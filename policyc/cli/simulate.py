"""`policyc simulate`: what a policy answers to a trace, or where two policies differ."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from policyc.cli.common import (
    FINE,
    MISSING,
    NO,
    USAGE,
    Failure,
    checked_plan,
    plural,
    policy_file,
    reason,
    target_of,
    target_options,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.plan.nodes import Target
    from policyc.simulate.trace import Entry, TraceError

__all__ = ["command"]

#: Bad lines that are shown with --keep-going; the others are only counted.
_SHOWN_ERRORS = 10

#: A file of more bytes takes long enough for a line that says how far it is, and the
#: number of requests between two updates of that line.
_LONG, _STEP = 8 << 20, 20_000


@click.command("simulate", short_help="Replay a trace of requests.")
@policy_file
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(path_type=str),
    help="JSON Lines, one request a line; `-` is standard input, a name with .gz is that of a "
    "gzip file.  [default: the trace that comes with policyc]",
)
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(path_type=str),
    help="Another policy; say on which requests the two differ.",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(0, 100_000),
    default=10,
    show_default=True,
    help="How many cgroups and differences to show.",
)
@click.option("--keep-going", is_flag=True, help="Pass over bad lines, and count them.")
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str,
    *,
    trace: str | None,
    against: str | None,
    top: int,
    keep_going: bool,
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Replay a trace of requests, and count what a policy answers to it.

    The report counts decisions by rule, by event and by cgroup, and says which orders were
    requested and which were allowed. A rule that never decides stands out. With `--against`
    it also counts the requests to which the two policies give different answers, and shows
    the first of them with both answers and the rules that gave them.

    A line of a trace is a request: {"hook": "thp", "orders": "all", "cgroup": "/kubepods/java"}
    with attributes by their names. docs/reference/trace.md has the format. Traces of any
    length are read line by line.

    \b
    Examples:
      policyc simulate fleet.thp
      policyc simulate fleet.thp --trace monday.jsonl.gz --top 30
      policyc simulate new.thp --against fleet.thp --trace monday.jsonl
      zcat *.gz | policyc simulate fleet.thp --trace - --json

    \b
    Exit codes:
      0  replayed; with --against: the policies agree on every request
      1  the policies differ, a policy has errors, or the trace has a bad line
      2  wrong usage, or a file that cannot be read
      3  the trace that comes with policyc is not installed
    """
    from policyc.api import Policy
    from policyc.cli import report
    from policyc.simulate.replay import compare, replay

    if [file, trace, against].count("-") > 1:
        raise click.UsageError("only one of the files can be standard input")
    target = target_of(page_size, pmd_order)
    policy = Policy(checked_plan(file, target))
    other = None if against is None else Policy(checked_plan(against, target))
    errors: list[TraceError] = []
    with _entries(trace, target, errors if keep_going else None) as (name, entries):
        if other is None:
            comparison, replayed = None, replay(policy, entries)
        else:
            comparison = compare(policy, other, entries, keep=top)
            replayed = comparison.reports[0]
    shown = report.Shown(name, policy.plan, other and other.plan, target, top, len(errors))
    if as_json:
        report.print_json(shown, replayed, comparison)
    else:
        report.print_text(shown, replayed, comparison)
    _show_errors(name, errors)
    return NO if errors or (comparison is not None and comparison.count) else FINE


@contextmanager
def _entries(
    trace: str | None, target: Target, errors: list[TraceError] | None
) -> Generator[tuple[str, Iterator[Entry]]]:
    """The requests of a trace and its name; what is wrong with it ends the run."""
    from policyc.cli.files import STANDARD_INPUT
    from policyc.simulate.trace import TraceError, open_trace, read_trace

    path = _path(trace)
    name = STANDARD_INPUT if path is None else str(path) if trace else f"policyc's {path.name}"
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


def _path(trace: str | None) -> Path | None:
    """The file of a trace, None for standard input."""
    from policyc.simulate.trace import shipped_trace

    if trace == "-":
        return None
    if trace is not None:
        return Path(trace)
    try:
        path = shipped_trace()
    except FileNotFoundError as error:
        raise Failure(str(error), MISSING) from None
    if not path.is_file():
        raise Failure(f"{path} is missing", MISSING, "give a trace with --trace FILE")
    return path


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
