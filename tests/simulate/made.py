"""Runs made by hand, and an engine that makes them, for tests of what is done with runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from policyc.simulate.report.columns import Report, columns_of
from policyc.simulate.results import Figures, RuleCount, Run, Timeline
from policyc.simulate.runs import Job, Outcome
from policyc.simulate.workload.specification import (
    GIB,
    Cgroup,
    Machine,
    Node,
    Pattern,
    Phase,
    Process,
    Vma,
    Workload,
)

if TYPE_CHECKING:
    from policyc.api import Policy

WORKLOAD = Workload(
    name="two-services",
    description="a Java service and a batch job on one node",
    machine=Machine(nodes=(Node(memory=16 * GIB, cpus=8),)),
    cgroups=(Cgroup(path="/kubepods/java", memory_max=8 * GIB), Cgroup(path="/batch")),
    processes=(
        Process(
            name="java",
            cgroup="/kubepods/java",
            vmas=(Vma(name="heap", size=4 * GIB),),
            phases=(Phase(pattern=Pattern.UNIFORM, vma="heap", passes=2),),
        ),
    ),
)


def figures(
    *,
    memory: int = 4 * GIB,
    bloat: int = 0,
    seconds: float = 60.0,
    touches: int = 6_000_000,
    access: float = 200e-9,
    fault: float = 2e-6,
    pressure: float = 0.0,
    huge: dict[int, int] | None = None,
    **counters: int,
) -> Figures:
    """Figures that agree with each other."""
    return Figures(
        counters={"pgfault": 1000, **counters},
        memory_bytes=memory,
        memory_peak_bytes=memory + GIB,
        memory_mean_bytes=memory,
        bloat_bytes=bloat,
        huge_bytes_by_order=huge or {},
        bytes_by_node=(memory,),
        faults_by_order={0: 1000},
        touches=touches,
        run_seconds=seconds,
        access_p50_seconds=access / 2,
        access_p99_seconds=access,
        fault_p50_seconds=fault / 2,
        fault_p99_seconds=fault,
        pressure_some=pressure,
        pressure_full=pressure / 2,
    )


def timeline(samples: int = 61) -> Timeline:
    """Memory that grows for half of the time, with a burst of migrations in the middle."""
    at = range(samples)
    return Timeline(
        seconds=tuple(float(each) for each in at),
        series={
            "memory.order0": tuple(float(min(each, 30) << 26) for each in at),
            "memory.order4": tuple(float(each << 24) for each in at),
            "memory.order9": tuple(float(max(each - 20, 0) << 26) for each in at),
            "migrations": tuple(500.0 if 25 <= each <= 35 else 0.0 for each in at),
            "faults": tuple(1000.0 - 10 * each for each in at),
            "splits": tuple(0.0 for _ in at),
            "collapses": tuple(float(each % 3) for each in at),
            "decisions.allowed": tuple(float(each) for each in at),
            "decisions.narrowed": tuple(2.0 for _ in at),
            "decisions.denied": tuple(float(60 - each) for each in at),
            "pressure.some": tuple(each / 4 for each in at),
            "pressure.full": tuple(each / 8 for each in at),
            "cgroup./kubepods/java": tuple(float(each << 26) for each in at),
        },
    )


RULES = (
    RuleCount(hook="thp", index=0, label="", line=7, text="deny when a > 1;", decisions=30),
    RuleCount(hook="thp", index=1, label="", line=8, text="allow pmd when b;", decisions=0),
    RuleCount(hook="thp", index=2, label="last", line=9, text="otherwise pass;", decisions=60),
)


def run(name: str, total: Figures | None = None, **changes: object) -> Run:
    """A run with one cgroup that has all of the memory."""
    total = total or figures()
    values: dict[str, object] = {
        "policy": False,
        "total": total,
        "cgroups": {"/kubepods": total, "/kubepods/java": total},
        "process_seconds": {"java": total.run_seconds},
        "timeline": timeline(),
    }
    return Run(name=name, **{**values, **changes})  # pyright: ignore[reportArgumentType]


def column(
    name: str, *runs: Run, baseline: bool = True, setting: tuple[tuple[str, str], ...] = ()
) -> list[Outcome]:
    """The outcomes of one policy or baseline, a seed each."""
    from dataclasses import replace

    return [
        Outcome(
            Job(
                name=name,
                workload=replace(WORKLOAD, seed=seed),
                baseline=name if baseline else "",
                setting=setting,
            ),
            each,
        )
        for seed, each in enumerate(runs, start=1)
    ]


def policy_run(total: Figures | None = None, **changes: object) -> list[Outcome]:
    """The outcome of a policy named fleet."""
    made = run("fleet", total, policy=True, rules=RULES, no_opinion=10, **changes)
    return column("fleet", made, baseline=False)


def report(*outcomes: list[Outcome], **changes: object) -> Report:
    """A report of some columns."""
    values: dict[str, object] = {
        "workload": WORKLOAD.name,
        "description": WORKLOAD.description,
        "page_size": 4096,
        "columns": columns_of([each for group in outcomes for each in group]),
        "policy": "fleet",
        "file": "fleet.thp",
        "profile": "thp-v12",
    }
    return Report(**{**values, **changes})  # pyright: ignore[reportArgumentType]


def engine(
    workload: Workload,
    *,
    name: str,
    policy: Policy | None,
    profile: str | None,
    progress: Callable[[float], None] | None,
) -> Run:
    """A run whose figures tell what it was made of."""
    if progress is not None:
        progress(0.5)
    ceiling = 0 if policy is None else int(policy.state.params.get("ceiling", 0))
    total = figures(
        memory=workload.seed * GIB,
        pgscan=ceiling,
        pgsteal=workload.machine.khugepaged.max_ptes_none,
        oom_kill=int(workload.machine.thp.enabled == "always"),
    )
    return run(name, total, notes=(f"profile {profile}",))


def slow_first(workload: Workload, **options: object) -> Run:
    """An engine whose first seed takes longest."""
    time.sleep(0.6 / workload.seed)
    return engine(workload, **options)  # pyright: ignore[reportArgumentType]


def dying(workload: Workload, **_: object) -> Run:
    """An engine whose process is killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def failing(workload: Workload, **_: object) -> Run:
    """An engine that raises for the second seed."""
    if workload.seed == 2:
        raise ValueError("no memory node")
    time.sleep(0.1)
    return run("fine")


def endless(workload: Workload, **_: object) -> Run:
    """An engine that does not end."""
    time.sleep(600)
    return run("never")
