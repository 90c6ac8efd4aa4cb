"""Runs the model for `policyc simulate`: reads, runs, and prints or writes the report."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyc.cli.common import (
    FINE,
    MISSING,
    NO,
    USAGE,
    Failure,
    checked_plan_of,
    echo,
    reason,
    show_diagnostics,
    terminal,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.plan.nodes import Plan, Target
    from policyc.simulate.conditions import Condition
    from policyc.simulate.report.columns import Report
    from policyc.simulate.runs import Outcome, PolicySource, Progress
    from policyc.simulate.sweep import Experiment, Sweep
    from policyc.simulate.workload.specification import Machine, Workload

__all__ = ["Options", "simulate_workload"]

#: More runs than this take hours; somebody mistyped.
_MOST_RUNS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; `profiles` are those to try if none is named."""

    file: str | None
    profiles: tuple[str, ...]
    as_json: bool
    workload: str | None
    baselines: tuple[str, ...]
    profile: str | None
    overrides: tuple[str, ...]
    seed: int | None
    sweeps: tuple[str, ...]
    repeat: int
    conditions: tuple[str, ...]
    cgroups: int | None
    html: str | None
    jobs: int | None


def simulate_workload(options: Options) -> int:
    """Run the model, print the report, and give the exit code."""
    from policyc.simulate.report.columns import Report, columns_of
    from policyc.simulate.runs import LostRunError, run_jobs
    from policyc.simulate.sweep import jobs_of

    experiment, workload, conditions = _prepared(options)
    jobs = jobs_of(experiment)
    if len(jobs) > _MOST_RUNS:
        raise click.UsageError(f"these are {len(jobs):,} runs, expected at most {_MOST_RUNS:,}")
    workers = options.jobs or _cpus()
    try:
        with _shown_progress() as progress:
            outcomes = run_jobs(jobs, workers=workers, progress=progress)
    except LostRunError as error:
        advice = "" if workers == 1 else "--jobs 1 makes one run at a time"
        raise Failure(f"{error}", MISSING, advice) from None
    plan = experiment.plan
    report = Report(
        workload=workload.name,
        description=workload.description,
        page_size=workload.machine.page_size,
        columns=columns_of(outcomes),
        policy=plan.name if plan else "",
        file=plan.file if plan else "",
        profile=experiment.profile or "",
        sweeps=tuple(sweep.name for sweep in experiment.sweeps),
        failed=tuple(_failed(conditions, outcomes)),
    )
    _show(report, options)
    return NO if report.failed else FINE


def _prepared(options: Options) -> tuple[Experiment, Workload, list[Condition]]:
    """What is to be run, the workload as it is without sweeps, and the conditions."""
    from policyc.simulate.sweep import Experiment

    if options.file == "-" and options.workload == "-":
        raise click.UsageError("only one of the files can be standard input")
    if options.file is None and not set(options.baselines) - {"none"}:
        raise click.UsageError(
            "nothing to run: give a policy, or name baselines with --baseline always,never"
        )
    conditions = [_condition(text) for text in options.conditions]
    sweeps = tuple(_sweep(text) for text in options.sweeps)
    # The policy first: what is wrong with it matters more than a workload.
    policy = None if options.file is None else _read(options.file)
    workload_of = _workload(options)
    workload = workload_of(())
    source, plan, profile = None, None, None
    if policy is not None:
        source, plan, profile = _policy(*policy, workload, options)
    baselines = _baselines(options.baselines, plan, workload.machine)
    experiment = Experiment(
        workload=workload_of,
        policy=source,
        plan=plan,
        profile=profile,
        baselines=baselines,
        sweeps=sweeps,
        overrides=options.overrides,
        seed=options.seed,
        repeat=options.repeat,
    )
    _check_sweeps(sweeps, source, experiment)
    _check_conditions(conditions, baselines, workload)
    return experiment, workload, conditions


def _condition(text: str) -> Condition:
    from policyc.simulate.conditions import ConditionError, parse_condition

    try:
        return parse_condition(text)
    except ConditionError as error:
        raise click.UsageError(f"--fail-if: {error}") from None


def _sweep(text: str) -> Sweep:
    from policyc.simulate.sweep import parse_sweep

    try:
        return parse_sweep(text)
    except ValueError as error:
        raise click.UsageError(f"--sweep: {error}") from None


def _read(file: str) -> tuple[bytes, str]:
    """The text of a policy without mistakes, and its name."""
    from policyc.cli.files import read_policy
    from policyc.plan.nodes import Target

    data, name = read_policy(file)
    checked_plan_of(data, name, Target())
    return data, name


def _workload(options: Options) -> Callable[[Sequence[str]], Workload]:
    """What gives the workload with more overrides; errors end the run."""
    from policyc.simulate.workload.reader import MOST, WorkloadError, parse_workload
    from policyc.simulate.workload.shipped import DEFAULT
    from policyc.simulate.workload.shipped import workload as find

    named = options.workload
    try:
        path = None if named == "-" else find(named or DEFAULT)
    except FileNotFoundError as error:
        raise Failure(str(error), MISSING if named is None else USAGE) from None
    name = "<stdin>" if path is None else str(path)
    try:
        if path is None:
            if sys.stdin is None:
                raise OSError(0, "It is closed")
            data = sys.stdin.buffer.read(MOST + 1)
        else:
            with path.open("rb") as stream:
                data = stream.read(MOST + 1)
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {name}: {reason(error)}", USAGE) from None

    def parsed(more: Sequence[str]) -> Workload:
        try:
            return parse_workload(data, name, (*options.overrides, *more))
        except WorkloadError as error:
            raise Failure(str(error), NO, "docs/reference/workload.md has the format") from None

    return parsed


def _policy(
    data: bytes, name: str, workload: Workload, options: Options
) -> tuple[PolicySource, Plan, str | None]:
    """The policy for the machine of the workload, and the profile of its thp block."""
    from policyc.api import loads
    from policyc.plan.nodes import Target
    from policyc.simulate.runs import PolicySource

    target = Target(workload.machine.page_size, workload.machine.pmd_order)
    plan = checked_plan_of(data, name, target)
    profile = None
    if plan.thp is not None:
        tried = (options.profile,) if options.profile else options.profiles
        profile = _profile(data, name, target, tried)
    elif options.profile:
        raise click.UsageError(f"{name} has no thp block, so --profile says nothing")
    source = PolicySource(text=data, file=name, target=target, load=loads)
    _check_actions(source, workload)
    return source, plan, profile


def _check_actions(source: PolicySource, workload: Workload) -> None:
    """What the workload does to the policy while it runs must be possible."""
    from policyc.runtime.state import StateError
    from policyc.simulate.workload.specification import ActionKind

    state = source.policy().state
    try:
        for action in workload.actions:
            match action.kind:
                case ActionKind.SET_ADD | ActionKind.SET_REMOVE:
                    state.sets[action.name].checked([action.value])
                case ActionKind.PARAM:
                    state.params.checked(action.name, action.value)
                case ActionKind.ATTACH | ActionKind.DETACH:
                    pass
    except StateError as error:
        raise Failure(
            f"workload {workload.name} cannot be run with {source.file}: {error}",
            NO,
            "the workload changes sets and parameters of a policy; this one has others",
        ) from None


def _profile(data: bytes, name: str, target: Target, tried: Sequence[str]) -> str:
    """The first profile that the policy can be compiled for; its errors end the run."""
    from policyc.check import check_text
    from policyc.diagnostics.model import Severity

    results = {each: check_text(data, name, profiles=[each], target=target) for each in tried}
    for each, result in results.items():
        if result.plan is not None:
            return each
    said = [x for x in results[tried[0]].diagnostics if x.severity is Severity.ERROR]
    show_diagnostics(said, "full", err=True)
    raise Failure(f"{name} cannot be compiled for {' or '.join(tried)}", NO)


def _baselines(named: Sequence[str], plan: Plan | None, machine: Machine) -> tuple[str, ...]:
    from policyc.simulate.baselines import DEFAULT, numa_default

    if named:
        return tuple(name for name in named if name != "none")
    balances = plan is not None and plan.numa is not None
    return (*DEFAULT, *(numa_default(machine) if balances else ()))


def _check_sweeps(
    sweeps: Sequence[Sweep], source: PolicySource | None, experiment: Experiment
) -> None:
    """Every value of a parameter is tried now, and not when half of the runs are made."""
    from policyc.runtime.state import StateError

    names = [sweep.name for sweep in sweeps]
    if len(set(names)) < len(names):
        raise click.UsageError("--sweep: a name is given twice")
    if source is None:
        return
    params = source.policy().state.params
    for sweep in sweeps:
        if sweep.name in experiment.parameters:
            try:
                for value in sweep.values:
                    params.checked(sweep.name, value)
            except StateError as error:
                raise click.UsageError(f"--sweep: {error}") from None


def _check_conditions(
    conditions: Sequence[Condition], baselines: Sequence[str], workload: Workload
) -> None:
    from policyc.simulate.conditions import ConditionError

    paths = {"/"}
    for path in (
        *(each.path for each in workload.cgroups),
        *(each.cgroup for each in workload.processes),
    ):
        parts = [part for part in path.split("/") if part]
        paths |= {"/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    try:
        for condition in conditions:
            condition.check(baselines, sorted(paths))
    except ConditionError as error:
        raise click.UsageError(f"--fail-if: {error}") from None


def _failed(conditions: Sequence[Condition], outcomes: Sequence[Outcome]) -> list[str]:
    """The conditions that hold for a run of the policy, or without one for any run."""
    judged = [each for each in outcomes if each.job.policy is not None] or list(outcomes)
    several = len({each.job.workload.seed for each in judged}) > 1
    sentences: list[str] = []
    for condition in conditions:
        for outcome in judged:
            job = outcome.job
            baselines = {
                each.job.baseline: each.run
                for each in outcomes
                if each.job.baseline
                and each.job.workload.seed == job.workload.seed
                and set(each.job.setting) <= set(job.setting)
            }
            said = condition.broken_by(outcome.run, baselines)
            if said is not None:
                seed = f", seed {job.workload.seed}" if several else ""
                sentences.append(f"{condition.text}: {job.title}{seed} has {said}")
    return sentences


def _show(report: Report, options: Options) -> None:
    if options.html is not None:
        from policyc.cli.files import write_files
        from policyc.simulate.report.page import page

        path = Path(options.html)
        write_files(path.parent, {path.name: page(report).encode("utf-8", "backslashreplace")})
    if options.as_json:
        from policyc.simulate.report.document import document

        click.echo(json.dumps(document(report), indent=2))
        for sentence in report.failed:
            click.echo(visible_lines(f"fails: {sentence}"), err=True)
        return
    from policyc.simulate.report.grid import Place
    from policyc.simulate.report.table import text_report

    here = terminal()
    echo(text_report(report, Place(here.width, here.color), cgroups=options.cgroups))


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


@contextmanager
def _shown_progress() -> Generator[Progress | None]:
    """What tells the terminal how far the runs are and how long they will take."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    started = time.monotonic()

    def told(share: float) -> None:
        share = min(max(share, 0.0), 1.0)
        passed = time.monotonic() - started
        left = f", {_left(passed * (1 - share) / share)} left" if share > 0.02 else ""
        sys.stderr.write(f"\rsimulating: {share:.0%}{left}\x1b[K")
        sys.stderr.flush()

    try:
        yield told
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _left(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
