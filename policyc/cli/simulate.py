"""`policyc simulate`: what a policy would do to a machine, or what it answers to a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from policyc.cli.common import NameList, flattened, target_of, target_options

__all__ = ["command"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: The profiles of thp that a policy is simulated as, the first that it can be compiled for.
_PROFILES = ("thp-v12", "mthp-v2", "thp-v9", "thp-v7")

#: Options that belong to one of the two: a workload is simulated, a trace is replayed.
_OF_TRACES = ("against", "top", "keep_going", "page_size", "pmd_order")
_OF_WORKLOADS = (
    "workload",
    "baselines",
    "profile",
    "overrides",
    "seed",
    "html",
    "conditions",
    "sweeps",
    "repeat",
    "jobs",
    "cgroups",
)


def _baseline_names() -> Sequence[str]:
    from policyc.simulate.baselines import BASELINES

    return [*BASELINES, "none"]


def _most_cgroups(_context: click.Context, _parameter: click.Parameter, value: str) -> int | None:
    """How many cgroups, None for all."""
    if value == "all":
        return None
    if not value.isdecimal() or len(value) > 9:
        raise click.BadParameter(f"expected a number or `all`, got {value!r}")
    return int(value)


def _workload_options(function: _Function) -> _Function:
    """The options of a simulation, in the order of the help."""
    options = [
        click.option(
            "--workload",
            "-w",
            metavar="FILE|NAME",
            help="What runs on the machine: a file, `-`, or one of those that come with policyc, "
            "such as redis-bgsave (`policyc workload list`).  [default: mixed-host]",
        ),
        click.option(
            "--baseline",
            "-b",
            "baselines",
            metavar="NAME",
            multiple=True,
            type=NameList("baseline", _baseline_names),
            callback=flattened,
            help="Stock settings to compare with; repeatable, and with commas: never, madvise, "
            "always, always+shrinker, numab0, numab1, numab2, kmmscand, none.  [default: the "
            "first four; with a numa block also the numab modes that the machine is not in]",
        ),
        click.option(
            "--profile",
            "-p",
            metavar="NAME",
            type=click.Choice(_PROFILES),
            help=f"The kernel interface of the thp block.  [default: the first of "
            f"{', '.join(_PROFILES)} that the policy can be compiled for]",
        ),
        click.option(
            "--set",
            "-s",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="Change a value of the workload, such as machine.khugepaged.max_ptes_none=470; "
            "repeatable.",
        ),
        click.option(
            "--seed",
            metavar="N",
            type=click.IntRange(0, (1 << 63) - 1),
            help="Of the random numbers; the same seed gives the same figures.  [default: that "
            "of the workload]",
        ),
        click.option(
            "--sweep",
            "sweeps",
            metavar="NAME=V1,V2,..",
            multiple=True,
            help="Run with each of some values of a parameter of the policy, or of a key of the "
            "workload; repeatable, for all combinations.",
        ),
        click.option(
            "--repeat",
            metavar="N",
            type=click.IntRange(1, 1000),
            default=1,
            help="Run with N seeds, and show the mean and the spread.",
        ),
        click.option(
            "--fail-if",
            "conditions",
            metavar="COND",
            multiple=True,
            help="Exit with code 1 if this holds for the policy: 'oom > 0', 'memory > always * "
            "1.05', 'p99[/kubepods/java] > 2ms'; repeatable.",
        ),
        click.option(
            "--cgroups",
            metavar="N|all",
            default="5",
            show_default=True,
            callback=_most_cgroups,
            help="How many cgroups to show; all: every figure of each.",
        ),
        click.option(
            "--html",
            metavar="FILE",
            type=click.Path(path_type=str),
            help="Also write a page with timelines, which works offline.",
        ),
        click.option(
            "--jobs",
            "-j",
            metavar="N",
            type=click.IntRange(1, 512),
            help="Runs at a time.  [default: one for each CPU]",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _trace_options(function: _Function) -> _Function:
    """The options of a replay."""
    options = [
        click.option(
            "--trace",
            metavar="FILE",
            type=click.Path(path_type=str),
            help="Replay requests instead: JSON Lines, one request a line; `-` is standard "
            "input, a name with .gz is that of a gzip file.",
        ),
        click.option(
            "--against",
            metavar="FILE",
            type=click.Path(path_type=str),
            help="With --trace: another policy; say on which requests the two differ.",
        ),
        click.option(
            "--top",
            metavar="N",
            type=click.IntRange(0, 100_000),
            default=10,
            show_default=True,
            help="With --trace: how many cgroups and differences to show.",
        ),
        click.option(
            "--keep-going",
            is_flag=True,
            help="With --trace: pass over bad lines, and count them.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command("simulate", short_help="Predict what a policy does to a machine.")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=str))
@_workload_options
@_trace_options
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def command(
    context: click.Context,
    file: str | None,
    *,
    trace: str | None,
    against: str | None,
    top: int,
    keep_going: bool,
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Predict what a policy does to memory, latency and migrations.

    A model of the kernel's memory management runs a workload on a machine with the policy,
    and with stock settings (baselines). The report begins with a verdict, and shows the
    policy beside the baselines: memory, how much of it was never touched, huge pages, times,
    faults, splits, collapses, migrations, pressure, OOM kills, and how often each rule decided.
    The settings of the policy's host block count for its own run. Without FILE only the
    baselines that are named run.

    With `--trace` it replays recorded requests instead, and counts what the policy answers
    to them by rule, event and cgroup; with `--against` it says on which of them two
    policies differ. docs/reference/trace.md has the format.

    \b
    Examples:
      policyc simulate fleet.thp
      policyc simulate fleet.thp --workload redis-bgsave --html report.html
      policyc simulate fleet.thp -w host.toml --fail-if 'oom > 0' --fail-if 'memory > always'
      policyc simulate fleet.thp --sweep ceiling=5%,10%,20% --repeat 5
      policyc simulate --workload stress-stride --baseline always,always+shrinker
      policyc simulate fleet.thp --trace monday.jsonl.gz --against previous.thp

    \b
    Exit codes:
      0  simulated, and no condition of --fail-if holds; replayed, and nothing differs
      1  a condition holds, the policies differ, or a policy, workload or trace has errors
      2  wrong usage, or a file that cannot be read or written
      3  a workload that comes with policyc is not installed
    """
    if trace is not None:
        from policyc.cli.replay import replay_trace

        _refuse(context, _OF_WORKLOADS, "is for workloads, and there is --trace")
        if file is None:
            raise click.UsageError("--trace needs a policy: policyc simulate FILE --trace TRACE")
        return replay_trace(
            file,
            trace,
            against,
            target_of(page_size, pmd_order),
            top=top,
            keep_going=keep_going,
            as_json=as_json,
        )
    from policyc.cli.simulation import Options, simulate_workload

    _refuse(context, _OF_TRACES, "is for traces: give one with --trace FILE")
    return simulate_workload(Options(file=file, profiles=_PROFILES, as_json=as_json, **options))


def _refuse(context: click.Context, names: Sequence[str], why: str) -> None:
    """A usage error if an option was given that has no meaning here."""
    given = click.core.ParameterSource.COMMANDLINE
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is given:
            raise click.UsageError(f"{parameter.opts[0]} {why}")
