"""The state of the simulated machine: nodes, cgroups, processes, the clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from policyc.simulate.model.area import Area
from policyc.simulate.model.costs import Costs
from policyc.simulate.model.free_lists import FreeLists
from policyc.simulate.model.histogram import Histogram
from policyc.simulate.model.pressure import Pressure
from policyc.simulate.workload import specification as spec

if TYPE_CHECKING:
    from policyc.simulate.model.hook import Hook

__all__ = ["UNLIMITED", "CgroupState", "Daemon", "Host", "NodeState", "ProcessState", "cpu_nodes"]

#: Pages, where a cgroup has no limit.
UNLIMITED = 1 << 52


class Daemon(Protocol):
    """Something of the kernel that runs by itself: khugepaged, kswapd, kmmscand."""

    def advance(self, host: Host, until: int) -> None:
        """Do all that is due until a time of the clock, in nanoseconds."""
        ...


@dataclass(slots=True, eq=False)
class NodeState:
    """A NUMA node with what is free of it."""

    index: int
    spec: spec.Node
    free: FreeLists
    #: kswapd has work here.
    woken: bool = False

    #: How much longer accesses take because more is asked than its bandwidth; 1: they do not.
    load: float = 1.0
    #: Bytes that were asked of it in this tick.
    traffic: float = 0.0

    @property
    def top_tier(self) -> bool:
        """Whether no node is faster."""
        return self.spec.tier == 0


@dataclass(slots=True, eq=False)
class CgroupState:
    """A cgroup. `usage` and `swap` are pages, with those of all below it, and so are
    `counters`' events; limits are pages or UNLIMITED. `queue` holds the PMD-sized folios of
    its processes that the shrinker may split, as an area and the number of the block.
    `lingering` pages were unmapped from the middle of folios and are still charged.
    """

    path: str
    id: int
    parent: CgroupState | None
    max: int = UNLIMITED
    high: int = UNLIMITED
    swap_max: int = UNLIMITED
    usage: int = 0
    swap: int = 0
    peak: int = 0
    lingering: int = 0
    counters: Counter[str] = field(default_factory=Counter[str])
    queue: deque[tuple[Area, int]] = field(default_factory=deque[tuple[Area, int]])
    #: Folios of it that the shrinker was asked to look at and put off (nr_deferred).
    deferred: int = 0
    pressure: Pressure = field(default_factory=Pressure)
    children: list[CgroupState] = field(default_factory=list["CgroupState"])
    processes: list[ProcessState] = field(default_factory=list["ProcessState"])

    @property
    def depth(self) -> int:
        """0 for the root."""
        return 0 if self.parent is None else self.parent.depth + 1

    def upwards(self) -> Iterator[CgroupState]:
        """The cgroup and its ancestors, the root last."""
        found: CgroupState | None = self
        while found is not None:
            yield found
            found = found.parent

    def below(self) -> Iterator[CgroupState]:
        """The cgroup and all below it."""
        yield self
        for child in self.children:
            yield from child.below()

    def count(self, name: str, number: int = 1) -> None:
        """Count events here and in all ancestors."""
        if number:
            for cgroup in self.upwards():
                cgroup.counters[name] += number


@dataclass(slots=True, eq=False)
class ProcessState:
    """A process, its areas and its time.

    `stalled` is time in nanoseconds that its threads stood still for memory in this tick
    (reclaim, swap-in, compaction), all threads together; `kernel_time` what the kernel took
    of their CPU time. Both are taken away from what the threads can do, then set back.
    """

    pid: int
    spec: spec.Process
    name: str
    cgroup: CgroupState
    node: int
    areas: dict[str, Area] = field(default_factory=dict[str, Area])
    threads: int = 1
    alive: bool = True
    running: bool = False
    killed: bool = False
    stalled: float = 0.0
    kernel_time: float = 0.0
    #: CPU time used by all threads since it started, nanoseconds.
    cpu_time: float = 0.0
    ended: int | None = None
    parent: ProcessState | None = None
    #: Page touches; how long accesses took, and the faults among them.
    touches: float = 0.0
    access_times: Histogram = field(default_factory=Histogram)
    fault_times: Histogram = field(default_factory=Histogram)
    #: Faults by the order that they allocated.
    fault_orders: Counter[int] = field(default_factory=Counter[int])
    #: Stalls of all its life, nanoseconds of its threads.
    all_stalls: float = 0.0
    #: Whatever a mechanism keeps for a process, by the name of its module.
    notes: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def resident(self) -> int:
        """Pages mapped, RSS."""
        return sum(area.resident for area in self.areas.values())


@dataclass(slots=True, eq=False)
class Host:
    """Everything. `now` is nanoseconds since the start; all randomness is from `rng`."""

    machine: spec.Machine
    nodes: list[NodeState]
    cgroups: dict[str, CgroupState]
    costs: Costs
    rng: np.random.Generator
    hook: Hook
    processes: list[ProcessState] = field(default_factory=list[ProcessState])
    now: int = 0
    swap_used: int = 0
    psi: Pressure = field(default_factory=Pressure)
    #: Called with each area that comes into being (khugepaged, kmmscand register there).
    watchers: list[Callable[[Area], None]] = field(default_factory=list[Callable[[Area], None]])

    @property
    def root(self) -> CgroupState:
        """The root of the cgroup tree."""
        return self.cgroups["/"]

    @property
    def page_size(self) -> int:
        """Bytes."""
        return self.machine.page_size

    @property
    def pmd_order(self) -> int:
        """The order of the largest folio."""
        return self.machine.pmd_order

    @property
    def block(self) -> int:
        """Pages of a PMD-sized folio."""
        return 1 << self.machine.pmd_order

    def limit_of(self, cgroup: CgroupState) -> int | None:
        """memory.max of a cgroup itself in pages, None: no limit."""
        return None if cgroup.max >= UNLIMITED else cgroup.max

    def zonelist(self, preferred: int) -> list[NodeState]:
        """The nodes in the order in which an allocation tries them: the preferred one, those
        of its tier, then the slower ones.
        """
        first = self.nodes[preferred]
        return sorted(
            self.nodes,
            key=lambda node: (node is not first, abs(node.spec.tier - first.spec.tier), node.index),
        )

    def living(self) -> Iterator[ProcessState]:
        """The processes that have not ended."""
        return (process for process in self.processes if process.alive)

    def areas(self) -> Iterator[Area]:
        """The areas of living processes, each shared one once."""
        seen: set[int] = set()
        for process in self.living():
            for area in process.areas.values():
                if id(area) not in seen:
                    seen.add(id(area))
                    yield area


def cpu_nodes(host: Host, process: ProcessState) -> list[int]:
    """The nodes whose CPUs run its threads, evenly."""
    with_cpus = [node.index for node in host.nodes if node.spec.cpus]
    if process.spec.spread and with_cpus:
        return with_cpus
    if not with_cpus or host.nodes[process.node].spec.cpus:
        return [process.node]
    return with_cpus[:1]
