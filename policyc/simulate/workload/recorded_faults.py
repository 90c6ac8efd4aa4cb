"""Makes a workload of recorded page faults: processes, their VMAs, and what they did.

Memory of files is left out, as far as the recording says what it is: huge pages policies are
about anonymous memory and shmem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from policyc.simulate.workload.lines import RecordError, check_length
from policyc.simulate.workload.perf import Advice, Collapse, Kind, PerfReader
from policyc.simulate.workload.phases import Step, phases_of
from policyc.simulate.workload.recorded import (
    Given,
    Recorded,
    cgroup_of,
    machine_of,
    named,
    workload_of,
)
from policyc.simulate.workload.recorded_tasks import WRITE, Collector, Task, Totals
from policyc.simulate.workload.segments import (
    Segment,
    Touches,
    passes_of_huge,
    segments,
)
from policyc.simulate.workload.specification import (
    GIB,
    MIB,
    MILLISECOND,
    SECOND,
    Pattern,
    Process,
    Vma,
)

__all__ = ["workload_from_faults"]

#: Processes and mappings with fewer faults are left out, or put together.
FEW_OF_PROCESS, FEW_OF_VMA = 16, 64
#: A child that shares its parent's memory is a process of its own with more faults than this.
FEW_OF_CHILD = 256
MOST_PROCESSES = 256
#: Children that share their parent's memory for a shorter time are left out.
_LONG = 10 * MILLISECOND
#: The share of faults for PMD-sized pages that must be where passes have them.
_PLAIN = 0.8
_SINGLES = 4
#: Faults of an unknown mapping that are farther apart than this are in two.
_APART = 2 * MIB
#: Larger mappings are as large as what is used of them.
_RESERVED = 1 * GIB


def workload_from_faults(
    lines: Iterable[str], given: Given, *, huge: bool | None = None
) -> Recorded:
    """The workload of what `perf script` printed; raises RecordError.

    `huge`: whether a fault can stand for a PMD-sized page; None: as far as that is plain.
    """
    reader = PerfReader()
    collector = Collector(reader)
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
    check_length(start, totals.last)
    tasks, left = _chosen(collector.tasks)
    processes: list[Process] = []
    page_size, pmd_size = machine.page_size, machine.page_size << machine.pmd_order
    for task in tasks:
        inferred = _Inferred(task, collector.tasks, page_size, pmd_size, huge)
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
    if not processes:
        raise RecordError(
            f"no process has {FEW_OF_PROCESS} page faults of anonymous memory or shmem, all of "
            f"them together {totals.kept:,}; record for longer"
        )
    comments[()] = _heading(reader, totals, processes, left)
    seconds = (totals.last - start) / SECOND
    description = f"{_several(len(processes))}, recorded with perf for {seconds:.3f} s"
    return Recorded(workload_of(given, description, machine, processes), comments)


def _chosen(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """The processes with the most faults in the order of their start, and the others."""
    parents = {task.pid for task in tasks if len(task.times) >= FEW_OF_PROCESS}
    big: list[Task] = []
    for task in tasks:
        shares = not task.executed and task.parent in parents and len(task.times) < FEW_OF_CHILD
        if len(task.times) >= FEW_OF_PROCESS and not shares:
            big.append(task)
    big.sort(key=lambda task: -len(task.times))
    kept = big[:MOST_PROCESSES]
    kept.sort(key=lambda task: (task.began, task.pid))
    ids = {id(task) for task in kept}
    return kept, [task for task in tasks if id(task) not in ids and len(task.times)]


def _heading(
    reader: PerfReader, totals: Totals, processes: Sequence[Process], left: Sequence[Task]
) -> list[str]:
    """What stands above the file: what was read, and what that can tell."""
    lines = [
        (
            f"Made by `policyc workload from-perf` of {reader.lines:,} lines: {totals.kept:,} page "
            f"faults of anonymous memory and shmem in {_several(len(processes))}, {totals.files:,} "
            "of files, which are left out."
        ),
        (
            "A page fault is the first touch of a page. That a page is touched again is not seen: "
            "add phases for it, or record with DAMON."
        ),
    ]
    if left:
        faults = sum(len(task.times) for task in left)
        names = ", ".join(sorted({task.comm or "?" for task in left})[:6])
        lines.append(
            f"{_several(len(left))} with {faults:,} faults left out: too few faults, or a child "
            f"that shares its parent's memory ({names})."
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


def _several(processes: int) -> str:
    return f"{processes:,} process{'' if processes == 1 else 'es'}"


def _children(task: Task, tasks: Sequence[Task]) -> list[tuple[Task, int]]:
    """Children that share the memory of a process and for how long, by time."""
    found: list[tuple[Task, int]] = []
    programs = {other.pid for other in tasks if other.executed}  # fork and execve
    for child in tasks:
        if child.parent != task.pid or child.pid in programs or not len(child.times):
            continue
        until = task.ended or child.began
        if task.began <= child.began <= until:
            ended = child.ended or max(task.times[-1], child.times[-1])
            if ended - child.began >= _LONG:
                found.append((child, ended - child.began))
    return sorted(found, key=lambda item: item[0].began)


class _Inferred:
    """What is made of the faults of one process."""

    def __init__(
        self,
        task: Task,
        tasks: Sequence[Task],
        page_size: int,
        pmd_size: int,
        huge: bool | None,
    ) -> None:
        self._task = task
        self._page, self._pmd, self._huge = page_size, pmd_size, huge
        self._children = _children(task, tasks)
        self._addresses = np.frombuffer(task.addresses, np.uint64).astype(np.int64)
        self._times = np.frombuffer(task.times, np.int64)
        self._threads = np.frombuffer(task.threads, np.int64)
        self._flags = np.frombuffer(task.flags, np.uint8)
        self.comments: dict[tuple[str | int, ...], list[str]] = {}
        self.vmas: list[Vma] = []
        self.steps: list[Step] = []
        self._small: list[tuple[int, int]] = []
        self._infer()
        self._forks()

    def _infer(self) -> None:
        order = np.argsort(self._times, kind="stable")
        for low, high, kind, known in self._areas():
            inside = (self._addresses[order] >= low) & (self._addresses[order] < high)
            at = order[inside]
            touches = Touches(
                self._addresses[at], self._times[at], self._threads[at], self._flags[at] >= WRITE
            )
            huge = self._huge_faults(low, high, known, touches)
            pages = self._distinct(touches) + int(huge.sum()) * (self._pmd // self._page - 1)
            if pages >= FEW_OF_VMA:
                self._area(low, high, kind=kind, known=known, touches=touches, huge=huge)
            elif pages:
                self._small.append((int(touches.times[0]), pages))
        if self._small:
            self._others()

    def _huge_faults(
        self, low: int, high: int, known: bool, touches: Touches
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """The faults that brought a PMD-sized page: nothing else in its range faults.

        Unless it was said that there are such pages, only where nearly all of these faults
        are at the start or the end of the range, as in passes over memory, or where nearly
        all ranges have a single fault, though not at a distance that the program chose.
        """
        blocks, inverse, counts = np.unique(
            touches.addresses // self._pmd, return_inverse=True, return_counts=True
        )
        whole = (blocks * self._pmd >= low) & ((blocks + 1) * self._pmd <= high)
        single = whole & (counts == 1)
        found = single[inverse] & known & (self._huge is not False)
        if self._huge is None and found.any():
            places = touches.addresses[found] % self._pmd // self._page
            edges = (places == 0) | (places == self._pmd // self._page - 1)
            steps = np.diff(touches.addresses[found])
            stride = len(steps) > 1 and (steps == steps[0]).all() and abs(steps[0]) != self._pmd
            alone = single.sum() >= max(_SINGLES, _PLAIN * whole.sum())
            found &= not stride and bool(edges.mean() >= _PLAIN or alone)
        return found

    def _distinct(self, touches: Touches) -> int:
        return len(np.unique(touches.addresses // self._page))

    def _areas(self) -> list[tuple[int, int, Kind, bool]]:
        """Where memory was: mappings that the recording names, and clusters of the others."""
        areas: list[tuple[int, int, Kind, bool]] = []
        for start, end, kind in self._task.anon:
            low, high = start // self._page * self._page, -(-end // self._page) * self._page
            if areas and areas[-1][1] == low and areas[-1][2] is kind:
                areas[-1] = (areas[-1][0], high, kind, True)
            else:
                areas.append((low, high, kind, True))
        pages = np.unique(self._addresses // self._page)
        used: list[tuple[int, int, Kind, bool]] = []
        for low, high, kind, known in areas:
            first, last = np.searchsorted(pages, (low // self._page, -(-high // self._page)))
            inside, pages = pages[first:last], np.delete(pages, slice(first, last))
            if high - low <= _RESERVED:
                used.append((low, high, kind, known))
                continue
            # Far more is reserved than used; what is used may be in several places.
            for start, end in self._clusters(inside, _RESERVED):
                first_block, last_block = start // self._pmd, -(-end // self._pmd)
                whole = max(low, first_block * self._pmd), min(high, last_block * self._pmd)
                used.append((*whole, kind, known))
        for start, end in self._clusters(pages, _APART):
            used.append((start, end, Kind.UNKNOWN, False))
        return sorted(used, key=lambda area: area[0])

    def _clusters(
        self, pages: np.ndarray[tuple[int], np.dtype[np.int64]], apart: int
    ) -> Iterator[tuple[int, int]]:
        """The bytes of runs of sorted pages with gaps of at most `apart` bytes."""
        if len(pages):
            breaks = np.flatnonzero(np.diff(pages) > apart // self._page) + 1
            for run in np.split(pages, breaks):
                yield int(run[0]) * self._page, (int(run[-1]) + 1) * self._page

    def _area(
        self,
        low: int,
        high: int,
        *,
        kind: Kind,
        known: bool,
        touches: Touches,
        huge: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ) -> None:
        name = f"vma-{len(self.vmas)}"
        found = self._segments(touches, huge)
        # A huge page may reach beyond the last fault; a mapping has its own end.
        end = high if known else max(high, *(segment.end for segment in found))
        found = [
            replace(segment, end=end, touches=(end - segment.start) // self._page)
            if segment.end > end
            else segment
            for segment in found
        ]
        found += self._given_back(low, end, touches)
        self.comments["vmas", len(self.vmas)] = [
            f"{low:#x}-{end:#x}, {len(huge):,} faults in {self._distinct(touches):,} pages; "
            + ("the recording has the mapping." if known else "a guess by the addresses alone.")
        ]
        self.vmas.append(
            Vma(
                name=name,
                size=end - low,
                kind="shmem" if kind is Kind.SHMEM else "anon",
                advice=self._advice(low, end),
                misalign=low % self._pmd,
            )
        )
        for segment in found:
            self.steps.append(Step(segment, name, low, self._page, self._task.writes_known))

    def _segments(
        self, touches: Touches, huge: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> list[Segment]:
        found = passes_of_huge(touches.where(huge), self._page, self._pmd)
        rest = touches.where(~huge)
        # After a fork all pages fault once more, since they are shared.
        cuts = np.searchsorted(rest.times, [child.began for child, _ in self._children])
        edges = [0, *map(int, cuts), len(rest.times)]
        for first, last in pairwise(edges):
            piece = rest.where(slice(first, last))
            found += segments(piece, self._page, self._pmd, huge=self._huge is not False)
        return found

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
        self.steps.append(Step(segment, "others", 0, self._page, False))

    def _forks(self) -> None:
        """Children that did not become another program share the memory for a while."""
        for child, duration in self._children:
            note = f"a child for {duration / SECOND:.3f} s, with {len(child.times):,} faults"
            segment = Segment(
                Pattern.FORK, 0, 0, child.began, child.began, len(child.times), 0, note=note
            )
            self.steps.append(Step(segment, "", 0, self._page, False, duration))

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
            (
                f"Process {task.pid} with {threads} thread{'s' if threads > 1 else ''}: "
                f"{len(self._times):,} faults."
            )
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
            start=max(0, int(self._times.min()) - start),
            vmas=tuple(self.vmas),
            phases=phases,
        )
