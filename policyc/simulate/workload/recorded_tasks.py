"""Sorts what perf recorded by process: faults, mappings, forks, and what is only counted."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

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

__all__ = ["KINDS", "MOST_FAULTS", "WRITE", "Collector", "Task", "Totals"]

#: Faults that are kept, 25 bytes each; further ones are only counted.
MOST_FAULTS = 8 << 20
#: Flags of a fault: the index of its kind, and whether it may have been a write.
KINDS, WRITE = tuple(Kind), 16


@dataclass(slots=True)
class Task:
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
    threads: array[int] = field(default_factory=lambda: array("q"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    writes_known: bool = False
    main_comm: bool = False
    steps: list[Unmapping | Collapse | Advice] = field(
        default_factory=list[Unmapping | Collapse | Advice]
    )
    forks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    cpus: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(slots=True)
class Totals:
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


class Collector:
    """Sorts events by process."""

    def __init__(self, reader: PerfReader) -> None:
        self._reader = reader
        self._current: dict[int, Task] = {}
        self.tasks: list[Task] = []
        self.totals = Totals()

    def read(self, lines: Iterable[str]) -> None:
        """All events of the lines."""
        for event in self._reader.read(lines):
            # What was there before the recording has time 0.
            if event.time or isinstance(event, Fault):
                first = self.totals.first
                self.totals.first = event.time if first is None else min(first, event.time)
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

    def _task(self, pid: int, time: int, comm: str = "") -> Task:
        task = self._current.get(pid)
        if task is None:
            task = Task(pid, comm, time)
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
        task = Task(event.pid, parent.comm if parent else "", event.time, event.parent)
        if parent is not None:
            for start, end, kind in parent.mappings:
                task.mappings.add(start, end, kind)
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
        task.flags.append(KINDS.index(kind) | (WRITE if event.write is not False else 0))
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
