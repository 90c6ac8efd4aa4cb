"""Makes a workload of recorded page faults: processes, their VMAs, and what they did.

Memory of files is left out, as far as the recording says what it is: huge pages policies are
about anonymous memory and shmem.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from policyc.simulate.workload.lines import RecordError
from policyc.simulate.workload.mappings import Mappings
from policyc.simulate.workload.perf import (
    Advice,
    Allocation,
    Collapse,
    Event,
    Exec,
    Exit,
    Fault,
    Fork,
    Kind,
    Mapping,
    PerfReader,
    Scan,
    Unmapping,
)
from policyc.simulate.workload.phases import Step, phases_of
from policyc.simulate.workload.recorded import (
    Given,
    Recorded,
    cgroup_of,
    machine_of,
    named,
    workload_of,
)
from policyc.simulate.workload.segments import Segment, Touches, segments
from policyc.simulate.workload.specification import MIB, SECOND, Pattern, Process, Vma

__all__ = ["workload_from_faults"]

#: Faults that are kept, 18 bytes each; further ones are only counted.
MOST_FAULTS = 8 << 20
#: Processes and mappings with fewer faults are left out, or put together.
FEW_OF_PROCESS, FEW_OF_VMA = 16, 64
MOST_PROCESSES = 256
#: Faults of an unknown mapping that are farther apart than this are in two.
_APART = 2 * MIB
_KINDS = tuple(Kind)


@dataclass(slots=True)
class _Task:
    """A process, from its start or execve on."""

    pid: int
    comm: str
    began: int
    parent: int | None = None
    ended: int | None = None
    executed: bool = False
    mappings: Mappings = field(default_factory=Mappings)
    anon: Mappings = field(default_factory=Mappings)
    times: array[int] = field(default_factory=lambda: array("q"))
    addresses: array[int] = field(default_factory=lambda: array("Q"))
    threads: array[int] = field(default_factory=lambda: array("i"))
    #: The kind's number, and 16 for a write.
    flags: array[int] = field(default_factory=lambda: array("B"))
    writes_known: bool = False
    main_comm: bool = False
    steps: list[Unmapping | Collapse | Advice] = field(
        default_factory=list[Unmapping | Collapse | Advice]
    )
    forks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    cpus: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(slots=True)
class _Totals:
    """What is counted over all of the recording."""

    kept: int = 0
    beyond: int = 0
    files: int = 0
    scans: int = 0
    collapses: int = 0
    scanned_none: list[int] = field(default_factory=list[int])
    orders: dict[int, int] = field(default_factory=dict[int, int])
    first: int | None = None
    last: int = 0


class _Collector:
    """Sorts events by process."""

    def __init__(self, reader: PerfReader) -> None:
        self._reader = reader
        self._current: dict[int, _Task] = {}
        self.tasks: list[_Task] = []
        self.totals = _Totals()

    def read(self, lines: Iterable[str]) -> None:
        """All events of the lines."""
        for event in self._reader.read(lines):
            if event.time:  # what was there before the recording has time 0
                if self.totals.first is None:
                    self.totals.first = event.time
                self.totals.last = max(self.totals.last, event.time)
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Fault():
                self._fault(event)
            case Mapping():
                task = self._task(event.pid, event.time)
                task.mappings.add(event.start, event.end, event.kind)
                if event.kind in (Kind.ANON, Kind.SHMEM):
                    task.anon.add(event.start, event.end, event.kind)
            case Unmapping() | Collapse() | Advice():
                self._task(event.pid, event.time).steps.append(event)
            case Exec():
                self._exec(event.pid, event.comm, event.time)
            case Fork():
                self._fork(event)
            case Exit():
                task = self._current.get(event.pid)
                if task is not None and event.pid == event.tid:
                    task.ended = event.time
                    del self._current[event.pid]
            case Allocation():
                orders = self.totals.orders
                orders[event.order] = orders.get(event.order, 0) + 1
            case Scan():
                self._scan(event)

    def _task(self, pid: int, time: int, comm: str = "") -> _Task:
        task = self._current.get(pid)
        if task is None:
            task = _Task(pid, comm, time)
            self._current[pid] = task
            self.tasks.append(task)
        return task

    def _exec(self, pid: int, comm: str, time: int) -> None:
        before = self._current.pop(pid, None)
        if before is not None:
            before.ended = time
        task = self._task(pid, time, comm)
        task.main_comm = task.executed = True

    def _fork(self, event: Fork) -> None:
        if event.pid == event.parent:
            return
        parent = self._current.get(event.parent)
        task = _Task(event.pid, parent.comm if parent else "", event.time, event.parent)
        self._current[event.pid] = task
        self.tasks.append(task)

    def _fault(self, event: Fault) -> None:
        task = self._task(event.pid, event.time, event.comm)
        if event.pid == event.tid and task.comm != event.comm:
            if task.main_comm and not task.executed and len(task.times):
                self._exec(event.pid, event.comm, event.time)  # nothing else told of it
                task = self._current[event.pid]
                task.executed = False
            elif not task.executed:
                task.comm = event.comm
        task.main_comm = task.main_comm or event.pid == event.tid
        kind = task.mappings.kind(event.address)
        if kind in (Kind.FILE, Kind.NONE):
            self.totals.files += 1
            return
        if self.totals.kept >= MOST_FAULTS:
            self.totals.beyond += 1
            return
        self.totals.kept += 1
        task.times.append(event.time)
        task.addresses.append(event.address)
        task.threads.append(event.tid)
        task.flags.append(_KINDS.index(kind) | (16 if event.write is not False else 0))
        task.writes_known = task.writes_known or event.write is not None
        if event.cpu is not None:
            task.cpus[event.cpu] = task.cpus.get(event.cpu, 0) + 1

    def _scan(self, event: Scan) -> None:
        if event.collapsed:
            self.totals.collapses += 1
            return
        self.totals.scans += 1
        if event.none is not None and len(self.totals.scanned_none) < 100_000:
            self.totals.scanned_none.append(event.none)


def workload_from_faults(lines: Iterable[str], given: Given) -> Recorded:
    """The workload of what `perf script` printed; raises RecordError."""
    reader = PerfReader()
    collector = _Collector(reader)
    collector.read(lines)
    totals = collector.totals
    machine, settings = machine_of(given)
    comments: dict[tuple[str | int, ...], list[str]] = {("machine",): [settings]}
    if not totals.kept:
        raise RecordError(
            f"{reader.lines:,} lines have no page fault of anonymous memory or shmem; record "
            "them with `perf record -e page-faults -c 1 -d COMMAND`"
        )
    start = totals.first or 0
    tasks, left = _chosen(collector.tasks)
    processes: list[Process] = []
    page_size, pmd_size = machine.page_size, machine.page_size << machine.pmd_order
    for task in tasks:
        inferred = _Inferred(task, collector.tasks, page_size, pmd_size)
        if not inferred.steps:
            left.append(task)
            continue
        place = ("processes", len(processes))
        nodes = len(machine.nodes)
        processes.append(
            inferred.process(given, [p.name for p in processes], start, nodes, machine.cpus)
        )
        for path, texts in inferred.comments.items():
            comments[(*place, *path)] = texts
    comments[()] = _heading(reader, totals, processes, left)
    seconds = (totals.last - start) / SECOND
    description = f"{len(processes)} processes, recorded with perf for {seconds:.3f} s"
    return Recorded(workload_of(given, description, machine, processes), comments)


def _chosen(tasks: Sequence[_Task]) -> tuple[list[_Task], list[_Task]]:
    """The processes with the most faults in the order of their start, and the others."""
    children = {task.pid for task in tasks if task.parent is not None and not task.executed}
    parents = {task.pid for task in tasks if len(task.times) >= FEW_OF_PROCESS}
    big: list[_Task] = []
    for task in tasks:
        forked = task.pid in children and not task.executed and task.parent in parents
        if len(task.times) >= FEW_OF_PROCESS and not forked:
            big.append(task)
    big.sort(key=lambda task: -len(task.times))
    kept = big[:MOST_PROCESSES]
    kept.sort(key=lambda task: (task.began, task.pid))
    ids = {id(task) for task in kept}
    return kept, [task for task in tasks if id(task) not in ids and len(task.times)]


def _heading(
    reader: PerfReader, totals: _Totals, processes: Sequence[Process], left: Sequence[_Task]
) -> list[str]:
    """What stands above the file: what was read, and what that can tell."""
    lines = [
        f"Made by `policyc workload from-perf` of {reader.lines:,} lines: {totals.kept:,} page "
        f"faults of anonymous memory and shmem in {len(processes)} processes, {totals.files:,} "
        "of files, which are left out.",
        "A page fault is the first touch of a page. That a page is touched again is not seen: "
        "add phases for it, or record with DAMON.",
    ]
    if left:
        faults = sum(len(task.times) for task in left)
        names = ", ".join(sorted({task.comm or "?" for task in left})[:6])
        lines.append(
            f"{len(left)} processes with {faults:,} faults are left out: too few faults, or "
            f"a child that shares its parent's memory ({names})."
        )
    if totals.beyond:
        lines.append(f"{totals.beyond:,} faults after the first {totals.kept:,} are left out.")
    if reader.strange and reader.first_strange is not None:
        where, text = reader.first_strange
        lines.append(f"{reader.strange:,} lines were not understood, first line {where}: {text}")
    if totals.orders:
        sizes = ", ".join(
            f"{count:,} of order {order}" for order, count in sorted(totals.orders.items())
        )
        lines.append(f"Allocations of movable folios above order 0 while recording: {sizes}.")
    if totals.scans or totals.collapses:
        none = (
            f", in the median {int(np.median(totals.scanned_none))} PTEs of them empty"
            if (totals.scanned_none)
            else ""
        )
        lines.append(
            f"khugepaged looked at {totals.scans:,} ranges{none}, and collapsed "
            f"{totals.collapses:,} in this time."
        )
    return lines


class _Inferred:
    """What is made of the faults of one process."""

    def __init__(self, task: _Task, tasks: Sequence[_Task], page_size: int, pmd_size: int) -> None:
        self._task = task
        self._page, self._pmd = page_size, pmd_size
        self._addresses = np.frombuffer(task.addresses, np.uint64).astype(np.int64)
        self._times = np.frombuffer(task.times, np.int64)
        self._threads = np.frombuffer(task.threads, np.int32).astype(np.int64)
        self._flags = np.frombuffer(task.flags, np.uint8)
        self.comments: dict[tuple[str | int, ...], list[str]] = {}
        self.vmas: list[Vma] = []
        self.steps: list[Step] = []
        self._small: list[tuple[int, int]] = []
        self._infer()
        self._forks(tasks)

    def _infer(self) -> None:
        order = np.argsort(self._times, kind="stable")
        for low, high, kind, known in self._areas():
            inside = (self._addresses[order] >= low) & (self._addresses[order] < high)
            at = order[inside]
            if len(at) < FEW_OF_VMA:
                if len(at):
                    self._small.append((int(self._times[at[0]]), self._distinct(at)))
                continue
            self._area(low, high, kind, known, at)
        if self._small:
            self._others()

    def _distinct(self, at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
        return len(np.unique(self._addresses[at] // self._page))

    def _areas(self) -> list[tuple[int, int, Kind, bool]]:
        """Where memory was: mappings that the recording names, and clusters of the others."""
        areas: list[tuple[int, int, Kind, bool]] = []
        for low, high, kind in self._task.anon:
            if areas and areas[-1][1] == low and areas[-1][2] is kind:
                areas[-1] = (areas[-1][0], high, kind, True)
            else:
                areas.append((low, high, kind, True))
        pages = np.unique(self._addresses // self._page)
        for low, high, _, _ in areas:
            pages = pages[(pages * self._page < low) | (pages * self._page >= high)]
        if len(pages):
            limit = _APART // self._page
            for cluster in np.split(pages, np.flatnonzero(np.diff(pages) > limit) + 1):
                low, high = int(cluster[0]) * self._page, (int(cluster[-1]) + 1) * self._page
                areas.append((low, high, Kind.UNKNOWN, False))
        return sorted(areas, key=lambda area: area[0])

    def _area(
        self,
        low: int,
        high: int,
        kind: Kind,
        known: bool,
        at: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> None:
        name = f"vma-{len(self.vmas)}"
        touches = Touches(
            self._addresses[at], self._times[at], self._threads[at], self._flags[at] >= 16
        )
        advice = self._advice(low, high)
        self.comments["vmas", len(self.vmas)] = [
            f"{low:#x}-{high:#x}, {len(at):,} faults in {self._distinct(at):,} pages; "
            + ("the recording has the mapping." if known else "a guess by the addresses alone.")
        ]
        self.vmas.append(
            Vma(
                name=name,
                size=high - low,
                kind="shmem" if kind is Kind.SHMEM else "anon",
                advice=advice,
                misalign=low % self._pmd,
            )
        )
        found = segments(touches, self._page, self._pmd)
        found += self._given_back(low, high, touches)
        for segment in found:
            self.steps.append(Step(segment, name, low, self._task.writes_known))

    def _advice(self, low: int, high: int) -> str:
        advice = "none"
        for step in self._task.steps:
            if isinstance(step, Advice):
                shared = min(high, step.end) - max(low, step.start)
                if 2 * shared >= high - low:
                    advice = step.advice
        return advice

    def _given_back(self, low: int, high: int, touches: Touches) -> list[Segment]:
        """munmap and madvise on memory that was touched before."""
        found: list[Segment] = []
        for step in self._task.steps:
            if isinstance(step, Advice):
                continue
            start, end = max(low, step.start), min(high, step.end)
            end = -(-end // self._page) * self._page
            inside = (touches.addresses >= start) & (touches.addresses < end)
            if start < end and (inside & (touches.times <= step.time)).any():
                pattern = Pattern.COLLAPSE if isinstance(step, Collapse) else Pattern.FREE
                found.append(Segment(pattern, start, min(end, high), step.time, step.time, 0, 0))
        return found

    def _others(self) -> None:
        """All mappings with few faults as one."""
        began = min(time for time, _ in self._small)
        pages = sum(count for _, count in self._small)
        self.comments["vmas", len(self.vmas)] = [
            f"{len(self._small)} mappings with fewer than {FEW_OF_VMA} faults each, together."
        ]
        self.vmas.append(Vma(name="others", size=pages * self._page))
        segment = Segment(
            Pattern.SEQUENTIAL,
            0,
            pages * self._page,
            began,
            began,
            pages,
            pages,
            self._page,
            sure="a guess",
        )
        self.steps.append(Step(segment, "others", 0, False))

    def _forks(self, tasks: Sequence[_Task]) -> None:
        """Children that did not become another program share the memory for a while."""
        end = int(self._times[-1])
        for child in tasks:
            if child.parent != self._task.pid or child.executed or not len(child.times):
                continue
            if child.began < self._task.began or child.began > (self._task.ended or child.began):
                continue
            if any(other.pid == child.pid and other.executed for other in tasks):
                continue  # vfork or fork and execve
            ended = child.ended or max(end, int(child.times[-1]))
            segment = Segment(
                Pattern.FORK,
                0,
                0,
                child.began,
                child.began,
                len(child.times),
                0,
                note=f"a child for {(ended - child.began) / SECOND:.3f} s",
            )
            step = Step(segment, "", 0, False)
            self.steps.append(replace(step, duration=max(1, ended - child.began)))

    def process(
        self, given: Given, taken: Sequence[str], start: int, nodes: int, cpus: int
    ) -> Process:
        """The process that these faults are of, with times from `start` on."""
        task = self._task
        name = named(task.comm, taken, fallback=f"pid-{task.pid}")
        phases, notes = phases_of(self.steps, start=int(self._times.min()), ended=task.ended)
        for number, note in enumerate(notes):
            if note:
                self.comments["phases", number] = [note]
        threads = len(np.unique(self._threads))
        self.comments[()] = [
            f"Process {task.pid} with {threads} thread{'s' if threads > 1 else ''}: "
            f"{len(self._times):,} faults."
        ]
        node = 0
        if task.cpus and cpus:
            cpu = max(task.cpus, key=lambda number: (task.cpus[number], -number))
            node = min(nodes - 1, cpu * nodes // cpus)
        return Process(
            name=name,
            comm=task.comm.encode()[:15].decode("utf-8", "ignore"),
            cgroup=cgroup_of(given, str(task.pid), task.comm or name),
            node=node,
            start=int(self._times.min()) - start,
            vmas=tuple(self.vmas),
            phases=phases,
        )
