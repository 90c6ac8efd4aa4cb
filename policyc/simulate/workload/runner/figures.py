"""The figures of the simulator, from what the kernel tells of a native run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from policyc.simulate.results import COUNTERS, Figures, Run, Timeline
from policyc.simulate.workload.runner import counters
from policyc.simulate.workload.runner.cgroups import Tree
from policyc.simulate.workload.runner.flock import Flock
from policyc.simulate.workload.runner.outcome import AreaFigures
from policyc.simulate.workload.specification import Workload

__all__ = ["Seen", "Snapshot", "figures_of"]

#: Counters of this list under the names of memory.events.
_EVENTS = {"oom_kill": "oom_kill", "memory_high": "high", "memory_max": "max"}

_PER_SIZE = ("anon_fault_alloc", "anon_fault_fallback", "anon_fault_fallback_charge")

#: Seconds, bytes used, and the pressures some and full, as seen while it ran.
Seen = dict[str, list[tuple[float, int, float, float]]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the kernel counts, at one time."""

    vmstat: Counter[str]
    sizes: dict[int, Counter[str]]
    cgroups: dict[str, dict[str, int]]

    @classmethod
    def take(cls, tree: Tree, page: int) -> Snapshot:
        """Look."""
        return cls(
            counters.vmstat(),
            counters.size_statistics(page),
            {path: tree.statistics(path) for path in tree.paths},
        )

    def memory(self, path: str) -> int:
        """What a cgroup uses, bytes."""
        return self.cgroups[path].get("memory.current", 0)

    def sizes_since(self, before: Snapshot) -> dict[int, dict[str, int]]:
        """The changes of hugepages-*/stats by order."""
        return {
            order: {name: values[name] - before.sizes[order][name] for name in sorted(values)}
            for order, values in self.sizes.items()
            if order in before.sizes
        }


def figures_of(
    workload: Workload,
    flock: Flock,
    tree: Tree,
    *,
    before: Snapshot,
    after: Snapshot,
    seen: Seen,
    areas: Sequence[AreaFigures],
) -> Callable[[tuple[str, ...]], Run]:
    """The figures of each cgroup and in total; the result makes the Run, given its notes."""
    made = _Maker(workload, flock, tree, before, after, seen, areas)
    cgroups = {path: made.cgroup(path) for path in tree.paths}
    total = made.total(cgroups["/"])
    seconds = {
        member.name: round(flock.ended.get(index, -1.0), 6)
        for index, member in enumerate(flock.members)
    }
    timeline = made.timeline()
    return lambda notes: Run(
        name="kernel",
        policy=False,
        total=total,
        cgroups=cgroups,
        process_seconds=seconds,
        notes=notes,
        timeline=timeline,
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    workload: Workload
    flock: Flock
    tree: Tree
    before: Snapshot
    after: Snapshot
    seen: Seen
    areas: Sequence[AreaFigures]

    def cgroup(self, path: str) -> Figures:
        """A cgroup with all below it."""
        numbers = [
            number
            for number, member in enumerate(self.flock.members)
            if _is_in(member.process.cgroup, path)
        ]
        names = {self.flock.members[number].name for number in numbers}
        areas = [area for area in self.areas if area.process in names]
        counted = self._counters(path)
        counted["pgfault"] = sum(self.flock.faults(number) for number in numbers)
        by_order, by_node = Counter[int](), Counter[int]()
        for area in areas:
            by_order.update(area.by_order)
            by_node.update(area.by_node)
        memory = self._memory(path)
        nodes = max([len(self.workload.machine.nodes) - 1, *by_node]) + 1
        used = [seen for _, seen, _, _ in self.seen[path] if seen] or [memory]
        # what a PMD does not map any more is of no use to the TLB
        by_order[self.workload.machine.pmd_order] = _pmd_mapped(areas)
        return Figures(
            counters={name: counted[name] for name in COUNTERS if name in counted},
            memory_bytes=memory,
            memory_peak_bytes=max([*used, memory]),
            memory_mean_bytes=sum(used) // len(used),
            bloat_bytes=sum(area.zero_inside + area.lingering for area in areas),
            swap_bytes=sum(area.swapped for area in areas),
            huge_bytes_by_order={
                order: by_order[order] for order in sorted(by_order) if order and by_order[order]
            },
            bytes_by_node=tuple(by_node[i] for i in range(nodes)),
            touches=sum(self.flock.touches(number) for number in numbers),
            run_seconds=max([0.0, *(self.flock.ended.get(number, 0.0) for number in numbers)]),
            pressure_some=max((some for *_, some, _ in self.seen[path]), default=0.0),
            pressure_full=max((full for *_, full in self.seen[path]), default=0.0),
        )

    def total(self, root: Figures) -> Figures:
        """The root, with what the kernel counts for the whole machine only."""
        from dataclasses import replace

        sizes = self.after.sizes_since(self.before)
        pmd = self.workload.machine.pmd_order
        counted = {
            name: self.after.vmstat[name] - self.before.vmstat[name]
            for name in COUNTERS
            if name in self.after.vmstat
        }
        counted |= {name: root.counters[name] for name in root.counters}
        for name in _PER_SIZE:
            counted[name] = sum(
                values.get(name, 0) for order, values in sizes.items() if order < pmd
            )
        faults = {
            order: values.get("anon_fault_alloc", 0) + values.get("shmem_alloc", 0)
            for order, values in sizes.items()
        }
        faults = {order: number for order, number in faults.items() if number}
        return replace(
            root,
            counters={name: counted[name] for name in COUNTERS if name in counted},
            faults_by_order=faults,
        )

    def timeline(self) -> Timeline:
        """What was seen of the root, and of each cgroup with processes."""
        times = [round(passed, 3) for passed, *_ in self.seen["/"]]
        used = {member.process.cgroup for member in self.flock.members}
        series = {
            f"cgroup.{path}": tuple(float(memory) for _, memory, _, _ in self.seen[path])
            for path in sorted(used)
        }
        series["pressure.some"] = tuple(some for *_, some, _ in self.seen["/"])
        series["pressure.full"] = tuple(full for *_, full in self.seen["/"])
        return Timeline(seconds=tuple(times), series=series)

    def _counters(self, path: str) -> dict[str, int]:
        """What memory.stat and memory.events count under the names of the simulator."""
        before, after = self.before.cgroups[path], self.after.cgroups[path]
        found: dict[str, int] = {}
        for name in COUNTERS:
            key = f"memory.events:{_EVENTS[name]}" if name in _EVENTS else f"memory.stat:{name}"
            if key in after:
                found[name] = after[key] - before.get(key, 0)
        return found

    def _memory(self, path: str) -> int:
        """Charged memory, bytes, without that of the kernel and of the interpreter's forks.

        The model has no page tables and no slab. Where nothing is charged, in the root and
        without the controller, it is what is mapped.
        """
        before, after = self.before.cgroups[path], self.after.cgroups[path]
        if "memory.current" in after:
            change = after["memory.current"] - before.get("memory.current", 0)
            kernel = "memory.stat:kernel"
            change -= after.get(kernel, 0) - before.get(kernel, 0)
            return max(0, change - self._of_forks(path))
        below = [other for other in self.tree.paths if _is_child(other, path)]
        own = {m.name for m in self.flock.members if m.process.cgroup == path}
        mapped = sum(
            sum(area.by_order.values()) + area.lingering
            for area in self.areas
            if area.process in own
        )
        return mapped + sum(self._memory(other) for other in below)

    def _of_forks(self, path: str) -> int:
        return sum(
            self.flock.interpreter_bytes(number)
            for number, member in enumerate(self.flock.members)
            if _is_in(member.process.cgroup, path)
        )


def _pmd_mapped(areas: Iterable[AreaFigures]) -> int:
    """Of several mappings of a shared object the one that counts is the largest."""
    shared: dict[str, int] = {}
    total = 0
    for area in areas:
        if area.share:
            shared[area.share] = max(area.pmd_mapped, shared.get(area.share, 0))
        else:
            total += area.pmd_mapped
    return total + sum(shared.values())


def _is_child(path: str, above: str) -> bool:
    """Whether a cgroup is directly below another one."""
    return path != "/" and (path.rpartition("/")[0] or "/") == above


def _is_in(cgroup: str, path: str) -> bool:
    return path in {"/", cgroup} or cgroup.startswith(path + "/")
