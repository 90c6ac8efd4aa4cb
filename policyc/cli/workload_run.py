"""`policyc workload run`: a workload on this machine, and the model beside it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from policyc.cli.common import FINE, MISSING, NO, USAGE, Failure, echo, emit_json, reason, terminal

if TYPE_CHECKING:
    from policyc.simulate.workload.runner import Outcome
    from policyc.simulate.workload.runner.comparison import Row
    from policyc.simulate.workload.specification import Workload

__all__ = ["command"]


@click.command("run", short_help="Run a workload on this machine.")
@click.argument("file", metavar="FILE|NAME", type=click.Path(path_type=str))
@click.option(
    "--set",
    "-s",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a value of the workload first, such as size=1G; repeatable.",
)
@click.option(
    "--apply",
    is_flag=True,
    help="Set the settings of the workload's machine, and put them back at the end; without it "
    "those that differ are told.",
)
@click.option(
    "--cgroup-root",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The cgroup that stands for the root of the workload's; /sys/fs/cgroup, for policies "
    "that name paths.  [default: one of its own, made for the run]",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=0.0,
    help="Wait after the cgroups are made, so that a policy that is attached finds them.",
)
@click.option("--model", is_flag=True, help="Simulate it too, and show the model beside.")
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=str),
    help="With --model: the policy that is attached meanwhile (by `policyc run`).",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str,
    *,
    overrides: tuple[str, ...],
    apply: bool,
    cgroup_root: Path | None,
    wait: float,
    model: bool,
    policy: str | None,
    as_json: bool,
) -> int:
    """Run a workload on this machine, and tell what its kernel did.

    Its cgroups are made, its processes map and touch memory, and all is removed at the end.
    The figures are those of `policyc simulate`, so that the model can be checked. Needs root
    and cgroup v2. FILE is a file or the name of a shipped workload; make it as small as the
    machine by --set.

    \b
    Examples:
      policyc workload run mine.toml --apply --model
      policyc workload run stress-stride --apply --json
      policyc workload run mine.toml --cgroup-root /sys/fs/cgroup --model --policy fleet.thp

    \b
    Exit codes:
      0  it ran to its end
      1  the workload or the policy has errors, or a process could not go on
      2  wrong usage, or a file that cannot be read
      3  something is missing here: root, cgroup v2, a NUMA node, memory
    """
    if policy and not model:
        raise click.UsageError("--policy is what the model simulates: it needs --model")
    workload = _workload(file, overrides)
    simulated = _model(policy) if model else None
    with _ended_by_signals(), _progress() as progress:
        outcome = _run(workload, cgroup_root=cgroup_root, apply=apply, wait=wait, progress=progress)
    document = outcome.document()
    if simulated is not None:
        document["runs"].append(simulated(workload))
    if as_json:
        emit_json(document)
    else:
        _print(outcome, document)
    return FINE


def _workload(file: str, overrides: tuple[str, ...]) -> Workload:
    from policyc.simulate.workload import shipped
    from policyc.simulate.workload.reader import WorkloadError, read_workload

    try:
        return read_workload(shipped.workload(file), overrides)
    except WorkloadError as error:
        raise Failure(str(error), NO, f"policyc workload check {file} shows all") from None
    except FileNotFoundError as error:
        raise Failure(str(error), USAGE) from None
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {file}: {reason(error)}", USAGE) from None


def _model(policy_file: str | None) -> Callable[[Workload], dict[str, Any]]:
    """What simulates a workload; the policy is read now, before anything runs."""
    try:
        from policyc.simulate.engine import simulate
    except ModuleNotFoundError as error:
        raise Failure(f"the model needs {error.name}", MISSING, "pip install numpy") from None
    from policyc.simulate.workload.runner.outcome import run_document

    policy = None
    if policy_file is not None:
        from policyc.api import loads
        from policyc.cli.files import read_policy
        from policyc.diagnostics.model import PolicyError

        data, name = read_policy(policy_file)
        try:
            policy = loads(data, name)
        except PolicyError as error:
            raise Failure(str(error), NO) from None

    def simulated(workload: Workload) -> dict[str, Any]:
        run = simulate(workload, name="model", policy=policy)
        return run_document(run, workload.seed)

    return simulated


def _run(workload: Workload, **options: Any) -> Outcome:
    from policyc.simulate.workload.runner import Missing, run

    try:
        return run(workload, **options)
    except Missing as error:
        raise Failure(str(error), MISSING, error.advice) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"the workload cannot run: {where}{reason(error)}", NO) from None


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that everything is put back."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Generator[Callable[[float], None] | None]:
    """The seconds that have passed, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    shown = 0

    def show(seconds: float) -> None:
        nonlocal shown
        if int(seconds) > shown:
            shown = int(seconds)
            click.echo(f"\rrunning for {shown} s", nl=False, err=True)

    try:
        yield show
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)


def _print(outcome: Outcome, document: dict[str, Any]) -> None:
    from policyc.cli.tables import Column, table
    from policyc.simulate.workload.runner.comparison import compare
    from policyc.simulate.workload.runner.comparison import table as cells

    place = terminal()
    kernel, *others = document["runs"]
    rows = compare(kernel, others[0] if others else kernel)
    columns = [Column("cgroup"), Column("figure"), Column("kernel", right=True)]
    if others:
        columns += [Column("model", right=True), Column("difference", right=True)]
    body = [row[: len(columns)] for row in cells(rows)]
    for process, seconds in outcome.run.process_seconds.items():
        if seconds < 0:
            echo(f"{process} did not come to its end")
    echo(f"{outcome.workload} on Linux {outcome.kernel}, {outcome.run.total.run_seconds:.2f} s")
    echo(table(columns, body, place))
    if others:
        echo(_sentence(rows))
    if outcome.differences:
        echo()
        echo("Settings that were not as the workload has them:")
        for difference in outcome.differences:
            echo(f"  {difference}")
        echo("--apply sets them for the time of the run.")


def _sentence(rows: list[Row]) -> str:
    from policyc.simulate.workload.runner.comparison import SAME

    apart = sum(not row.within(SAME) for row in rows)
    return f"{len(rows) - apart} of {len(rows)} figures are within {SAME:.0%} of the kernel's."
