"""Small machines for tests, and short ways to say what runs on them."""

from __future__ import annotations

from dataclasses import replace

from policyc.api import loads
from policyc.simulate.account import account
from policyc.simulate.engine import Engine
from policyc.simulate.model import folios
from policyc.simulate.model.build import build_host, start_process
from policyc.simulate.model.hook import Hook, PolicyHook
from policyc.simulate.model.host import Host, ProcessState
from policyc.simulate.results import Run
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import GIB, MIB, Machine, Node, Pattern, Phase, Thp

__all__ = ["HEAP", "fill", "hook", "machine", "process", "ran", "run", "small_host", "workload"]

HEAP = "heap"


def machine(enabled: str = "always", *, memory: int = 4 * GIB, **more: object) -> Machine:
    """One node; `more` are fields of Thp, or of Machine."""
    thp = {name: more.pop(name) for name in list(more) if name in Thp.__dataclass_fields__}
    return Machine(
        nodes=(Node(memory=memory, cpus=4),),
        thp=Thp(enabled=enabled, **thp),  # pyright: ignore[reportArgumentType]
        **more,  # pyright: ignore[reportArgumentType]
    )


def process(
    *phases: Phase, size: int = 64 * MIB, name: str = "worker", cgroup: str = "/", **vma: object
) -> spec.Process:
    """A process with one mapping; `vma` are fields of it."""
    return spec.Process(
        name=name,
        cgroup=cgroup,
        vmas=(spec.Vma(name=HEAP, size=size, **vma),),  # pyright: ignore[reportArgumentType]
        phases=phases,
    )


def fill(passes: float = 1, **more: object) -> Phase:
    """Write every page in order."""
    return Phase(pattern=Pattern.SEQUENTIAL, vma=HEAP, passes=passes, **more)  # pyright: ignore[reportArgumentType]


def workload(
    on: Machine, *processes: spec.Process, cgroups: tuple[spec.Cgroup, ...] = (), **more: object
) -> spec.Workload:
    """All of it."""
    return spec.Workload(
        name="test",
        machine=on,
        processes=processes,
        cgroups=cgroups,
        **more,  # pyright: ignore[reportArgumentType]
    )


def hook(text: str, profile: str = "thp-v12") -> PolicyHook:
    """A policy, attached by a profile."""
    return PolicyHook(loads(text), profile)


def ran(what: spec.Workload, by: Hook | None = None) -> tuple[Engine, Run]:
    """A workload that has run, with all accounts checked."""
    engine = Engine.of(what, by or Hook())
    engine.run()
    folios.check(engine.host)
    return engine, account(engine.host, engine.recorder, "test")


def run(on: Machine, *processes: spec.Process, by: Hook | None = None, **more: object) -> Run:
    """The result of processes on a machine."""
    return ran(workload(on, *processes, **more), by)[1]  # pyright: ignore[reportArgumentType]


def small_host(
    on: Machine | None = None, what: spec.Process | None = None, **limits: int
) -> tuple[Host, ProcessState]:
    """A host with one process in a cgroup /a with these limits, which has touched nothing."""
    chosen = replace(what or process(), cgroup="/a")
    found = workload(on or machine(), chosen, cgroups=(spec.Cgroup(path="/a", **limits),))
    host = build_host(found, Hook())
    return host, start_process(host, chosen, chosen.name)
