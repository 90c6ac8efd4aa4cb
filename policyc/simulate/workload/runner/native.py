"""Runs a workload on the running kernel."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Generator
from pathlib import Path

from policyc.simulate.workload.runner import counters, system
from policyc.simulate.workload.runner.cgroups import Tree
from policyc.simulate.workload.runner.errors import Missing
from policyc.simulate.workload.runner.figures import Seen, Snapshot, figures_of
from policyc.simulate.workload.runner.flock import Flock
from policyc.simulate.workload.runner.outcome import Outcome
from policyc.simulate.workload.runner.settings import Applied, differences
from policyc.simulate.workload.specification import SECOND, Workload

__all__ = ["run"]

#: Seconds between two looks at what is used meanwhile.
_INTERVAL = 0.1

#: Memory of a process besides its mappings.
_INTERPRETER = 12 << 20

#: What is left to the host of its free memory.
_SPARE = 0.05


def run(
    workload: Workload,
    *,
    cgroup_root: Path | None = None,
    apply: bool = False,
    wait: float = 0.0,
    patience: float = 3600.0,
    progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Run a workload natively, and tell what the kernel did.

    `cgroup_root` is the directory that stands for the root of its cgroups. With `apply` the
    settings of its machine are set meanwhile, otherwise what differs is told. It begins
    `wait` seconds after its cgroups were made, so that a policy finds them; it is given up
    after `patience` seconds; `progress` is told how many have passed. Everything is put back
    and removed, whatever happens. Raises Missing when something is not there, OSError when
    the kernel refuses something.
    """
    if os.geteuid() != 0:
        raise Missing("running a workload needs root, for cgroups and settings")
    _check_machine(workload)
    tree = Tree(workload, cgroup_root)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_without_thp())
        stack.callback(tree.close)
        tree.open()
        left = _settings(workload, apply, stack)
        flock = stack.enter_context(Flock(workload, _places(workload)))
        flock.ready()
        for index, member in enumerate(flock.members):
            tree.add(member.process.cgroup, flock.pids[index])
        time.sleep(wait)
        before = Snapshot.take(tree, workload.machine.page_size)
        flock.begin()
        seen = _watch(workload, flock, tree, before, patience=patience, progress=progress)
        after = Snapshot.take(tree, workload.machine.page_size)
        areas = flock.areas(workload.machine.pmd_order)
        made = figures_of(workload, flock, tree, before=before, after=after, seen=seen, areas=areas)
        sizes = after.sizes_since(before)
    notes = tuple(str(difference) for difference in left)
    if workload.actions:
        notes += ("actions of the workload are not done: they are for a policy in the model",)
    return Outcome(
        workload=workload.name,
        description=workload.description,
        seed=workload.seed,
        kernel=platform.release(),
        run=made(notes),
        areas=tuple(areas),
        size_statistics=sizes,
        differences=notes,
    )


def _settings(workload: Workload, apply: bool, stack: contextlib.ExitStack) -> list[object]:
    if apply:
        return list(stack.enter_context(Applied(workload.machine)).left)
    return list(differences(workload.machine))


@contextlib.contextmanager
def _without_thp() -> Generator[None]:
    """Keep large folios out of the memory of this process, whose faults are counted too."""
    before = {0: "no", 3: "except-advised"}.get(system.thp_disabled(), "yes")
    system.disable_thp("yes")
    try:
        yield
    finally:
        system.disable_thp(before)


def _check_machine(workload: Workload) -> None:
    machine = workload.machine
    if machine.page_size != system.PAGE:
        raise Missing(
            f"the base page has {system.PAGE} bytes here; "
            f"the workload is for {machine.page_size} bytes"
        )
    if not (counters.SIZES / "enabled").exists():
        raise Missing("this kernel has no transparent huge pages")
    if machine.kmmscand.scan_enabled and not Path("/sys/kernel/mm/kmmscand").exists():
        raise Missing("this kernel has no kmmscand", "--set machine.kmmscand.scan_enabled=false")
    nodes = counters.online_nodes()
    used = {process.node for process in workload.processes}
    used |= {vma.node for process in workload.processes for vma in process.vmas if vma.node}
    if not used <= nodes.keys():
        missing = ", ".join(str(node) for node in sorted(used - nodes.keys()))
        raise Missing(f"the workload uses NUMA node {missing}; here are {_listed(nodes)}")
    without = [p.name for p in workload.processes if len(nodes) > 1 and not nodes[p.node]]
    if without:
        raise Missing(f"process {without[0]} is to run on a node that has no CPU here")
    needed = _needed(workload)
    available = counters.available_memory()
    if needed > available * (1 - _SPARE):
        raise Missing(
            f"the workload needs {needed >> 20} MiB, and {available >> 20} MiB are available",
            "make it smaller by --set, or limit its cgroups",
        )


def _listed(nodes: dict[int, tuple[int, ...]]) -> str:
    return ", ".join(map(str, nodes))


def _needed(workload: Workload) -> int:
    """Bytes that it may use at most: what is mapped, or what a limit lets it have, and the
    interpreter of each process.
    """
    total = _INTERPRETER * sum(process.count for process in workload.processes)
    limits = {cgroup.path: cgroup.memory_max for cgroup in workload.cgroups}
    by_cgroup: dict[str, int] = {}
    shared: set[str] = set()
    for process in workload.processes:
        for vma in process.vmas:
            count = 1 if vma.share else process.count
            if vma.share in shared:
                continue
            shared |= {vma.share} - {""}
            by_cgroup[process.cgroup] = by_cgroup.get(process.cgroup, 0) + vma.size * count
    for path, size in by_cgroup.items():
        limit = limits.get(path)
        total += size if limit is None else min(size, limit)
    return total


def _places(workload: Workload) -> tuple[tuple[int, ...], ...] | None:
    """The CPUs of the nodes of the workload; None if it has but one."""
    if len(workload.machine.nodes) < 2:
        return None
    nodes = counters.online_nodes()
    return tuple(nodes.get(index, ()) for index in range(len(workload.machine.nodes)))


def _watch(
    workload: Workload,
    flock: Flock,
    tree: Tree,
    before: Snapshot,
    *,
    patience: float,
    progress: Callable[[float], None] | None,
) -> Seen:
    """Wait for the end: by cgroup the seconds, memory and pressures that were seen."""
    seen: Seen = {path: [] for path in tree.paths}
    limit = patience if workload.duration is None else workload.duration / SECOND
    while True:
        flock.listen(_INTERVAL)
        passed = time.monotonic() - flock.began
        for path in tree.paths:
            used = tree.statistics(path).get("memory.current", 0) - before.memory(path)
            seen[path].append((passed, max(0, used), *tree.pressure(path)))
        if progress:
            progress(passed)
        if flock.over or passed >= limit:
            return seen
