"""A host from a workload."""

from __future__ import annotations

import numpy as np

from policyc.simulate.model.area import Area
from policyc.simulate.model.costs import Costs
from policyc.simulate.model.free_lists import FreeLists
from policyc.simulate.model.hook import Hook
from policyc.simulate.model.host import UNLIMITED, CgroupState, Host, NodeState, ProcessState
from policyc.simulate.workload import specification as spec

__all__ = ["build_host", "start_process"]

_FIRST_PID = 1000

#: Cgroups have inode numbers on a machine; here they are numbered in the order of their paths.
_FIRST_ID = 1


def build_host(workload: spec.Workload, hook: Hook, costs: Costs | None = None) -> Host:
    """The machine as it is before anything runs."""
    machine = workload.machine
    nodes = [
        NodeState(
            index,
            node,
            FreeLists(node.memory // machine.page_size, machine.pmd_order, machine.fragmentation),
        )
        for index, node in enumerate(machine.nodes)
    ]
    return Host(
        machine=machine,
        nodes=nodes,
        cgroups=_cgroups(workload),
        costs=costs or Costs(),
        rng=np.random.default_rng(workload.seed),
        hook=hook,
    )


def _cgroups(workload: spec.Workload) -> dict[str, CgroupState]:
    limits = {cgroup.path: cgroup for cgroup in workload.cgroups}
    wanted = {"/", *limits, *(process.cgroup for process in workload.processes)}
    for path in list(wanted):
        parts = path.split("/")
        wanted.update("/".join(parts[:depth]) or "/" for depth in range(1, len(parts)))
    found: dict[str, CgroupState] = {}
    size = workload.machine.page_size
    for number, path in enumerate(sorted(wanted)):
        parent = None if path == "/" else found[path.rpartition("/")[0] or "/"]
        cgroup = CgroupState(path, _FIRST_ID + number, parent)
        if path in limits:
            limit = limits[path]
            cgroup.max = _pages(limit.memory_max, size)
            cgroup.high = _pages(limit.memory_high, size)
            cgroup.swap_max = _pages(limit.swap_max, size)
        if parent is not None:
            parent.children.append(cgroup)
        found[path] = cgroup
    return found


def _pages(size: int | None, page_size: int) -> int:
    return UNLIMITED if size is None else size // page_size


def start_process(host: Host, process: spec.Process, name: str) -> ProcessState:
    """Start a process: its mappings, empty, and its place in its cgroup."""
    cgroup = host.cgroups[process.cgroup]
    state = ProcessState(_FIRST_PID + len(host.processes), process, name, cgroup, process.node)
    state.areas = {vma.name: _area(host, state, vma) for vma in process.vmas}
    host.processes.append(state)
    cgroup.processes.append(state)
    for area in state.areas.values():
        for watch in host.watchers:
            watch(area)
    return state


def _area(host: Host, process: ProcessState, vma: spec.Vma) -> Area:
    if vma.share:
        for other in host.living():
            for area in other.areas.values():
                if area.vma.share == vma.share:
                    return area
    return Area.make(process, vma, host.page_size, host.pmd_order, len(host.nodes))
