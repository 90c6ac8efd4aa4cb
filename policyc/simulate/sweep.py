"""Which runs an experiment consists of: a policy, baselines, swept values and repeats."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policyc.simulate.baselines import BASELINES, applied, host_settings, kept
from policyc.simulate.notes import notes_before
from policyc.simulate.runs import Job, PolicySource
from policyc.simulate.workload.specification import Workload

if TYPE_CHECKING:
    from policyc.plan.nodes import Plan

__all__ = ["Experiment", "Sweep", "jobs_of", "parse_sweep"]

#: More runs than this are a mistake in the options.
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values for a parameter of the policy or for a key of the workload."""

    name: str
    values: tuple[str, ...]


def parse_sweep(text: str) -> Sweep:
    """The sweep of `NAME=V1,V2,..`; ValueError with what was expected."""
    name, equals, values = text.partition("=")
    name = name.strip()
    found = tuple(value.strip() for value in values.split(","))
    if not equals or not name or not all(found):
        raise ValueError(f"expected NAME=VALUE,VALUE,.., such as ceiling=5%,10%,20%: {text!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"{name} has a value twice: {values}")
    if len(found) > _MOST_VALUES:
        raise ValueError(f"{name} has {len(found)} values, expected at most {_MOST_VALUES}")
    return Sweep(name, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is to be run.

    `workload` gives the workload with some overrides, each KEY=VALUE. `parameters` are the
    names of the policy's parameters; a sweep of another name is one of the workload.
    `overrides` are those that hold for all runs.
    """

    workload: Callable[[Sequence[str]], Workload]
    policy: PolicySource | None = None
    plan: Plan | None = None
    profile: str | None = None
    baselines: tuple[str, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    repeat: int = 1

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the policy's parameters."""
        return frozenset(item.name for item in self.plan.params) if self.plan else frozenset()


def jobs_of(experiment: Experiment) -> list[Job]:
    """All runs: those of the policy first, then each baseline; of each all values, all seeds.

    A baseline knows nothing of the policy's parameters and runs once for all their values.
    """
    points = [
        tuple(zip((sweep.name for sweep in experiment.sweeps), values, strict=True))
        for values in itertools.product(*(sweep.values for sweep in experiment.sweeps))
    ]
    workloads: dict[tuple[tuple[str, str], ...], Workload] = {}

    def workload(setting: tuple[tuple[str, str], ...]) -> Workload:
        ours = _without(setting, experiment.parameters)
        if ours not in workloads:
            workloads[ours] = experiment.workload([f"{name}={value}" for name, value in ours])
        return workloads[ours]

    jobs: list[Job] = []
    if experiment.policy is not None and experiment.plan is not None:
        for setting in points:
            jobs += _seeded(_policy_job(experiment, setting, workload(setting)), experiment)
    for name in experiment.baselines:
        for setting in dict.fromkeys(_without(point, experiment.parameters) for point in points):
            given = workload(setting)
            asked = (*experiment.overrides, *(key for key, _ in setting))
            job = Job(
                name=name,
                workload=kept(given, applied(given, name), asked, baseline=True),
                baseline=name,
                setting=setting,
            )
            jobs += _seeded(job, experiment)
    return jobs


def _without(
    setting: tuple[tuple[str, str], ...], names: frozenset[str]
) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in setting if name not in names)


def _policy_job(
    experiment: Experiment, setting: tuple[tuple[str, str], ...], workload: Workload
) -> Job:
    source, plan = experiment.policy, experiment.plan
    assert source is not None
    assert plan is not None
    swept = tuple((name, value) for name, value in setting if name in experiment.parameters)
    asked = (*experiment.overrides, *(key for key, _ in setting))
    machine = kept(workload, host_settings(workload, plan), asked, baseline=False)
    return Job(
        # A policy may have the name of a baseline.
        name=f"policy {plan.name}" if plan.name in BASELINES else plan.name,
        workload=machine,
        policy=replace(source, parameters=(*source.parameters, *swept)),
        profile=experiment.profile,
        setting=setting,
        notes=notes_before(plan, workload, machine),
    )


def _seeded(job: Job, experiment: Experiment) -> list[Job]:
    first = job.workload.seed if experiment.seed is None else experiment.seed
    return [
        replace(job, workload=replace(job.workload, seed=first + number))
        for number in range(experiment.repeat)
    ]
