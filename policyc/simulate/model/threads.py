"""A process at work: its phases one after the other, as far as its threads have time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model import folios, khugepaged
from policyc.simulate.model.access import Access, access_of
from policyc.simulate.model.area import LARGEST, Area, Bools, Pages
from policyc.simulate.model.exit import end_process
from policyc.simulate.model.faults import touch
from policyc.simulate.model.fork import fork
from policyc.simulate.model.host import ProcessState
from policyc.simulate.model.patterns import Ordered, Stream, stream_of
from policyc.simulate.workload.specification import SECOND, Pattern, Phase

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host

__all__ = ["Worker"]

#: Rounds in one tick, after which what is left of it waits for the next.
_ROUNDS = 64

#: Ticks after which the cost of a touch is looked at again: a hot window may have moved on.
_LASTS = 5


@dataclass(slots=True, eq=False)
class Worker:
    """What a process does next.

    `left` is wall time of this tick that its threads have, in nanoseconds; negative when
    they did more than there was time for, which the next ticks take away. `faulting` is what
    faults cost a touch at present, nanoseconds.
    """

    host: Host
    process: ProcessState
    phase: int = 0
    round: int = 1
    stream: Stream | None = None
    left: float = 0.0
    until: int | None = None
    credit: float = 0.0
    faulting: float = 0.0
    #: What a touch costs, when that was found, and how things were then.
    access: Access | None = None
    seen: tuple[float, ...] = ()
    age: int = 0

    @property
    def finished(self) -> bool:
        """Whether it has nothing left to do."""
        return self.process.ended is not None or not self.process.alive

    def advance(self, start: int, end: int) -> None:
        """Work from one time to another."""
        self._settle_debts()
        self.left += end - start
        for _ in range(_ROUNDS):
            if self.left <= 0 or self.finished:
                break
            self._one(end)
        self.process.running = not self.finished and self.until is None

    def _settle_debts(self) -> None:
        """The kernel's work in the last tick, and standstill, are time that is gone."""
        process = self.process
        self.left -= (process.stalled + process.kernel_time) / max(1, process.threads)
        process.all_stalls += process.stalled
        process.stalled = process.kernel_time = 0.0

    def _one(self, end: int) -> None:
        """Go on with the present phase until it or the time is over."""
        process = self.process
        if self.phase >= len(process.spec.phases):
            self._start_over(end)
            return
        phase = process.spec.phases[self.phase]
        process.threads = phase.threads
        match phase.pattern:
            case Pattern.SLEEP:
                self._sleep(phase, end)
            case Pattern.FREE:
                pages = self._range(phase)
                freed = folios.release(self.host, self._area(phase), pages)
                self.left -= freed * self.host.costs.free
                self._next(end)
            case Pattern.COLLAPSE:
                pages = self._range(phase)
                khugepaged.collapse_range(
                    self.host, self._area(phase), int(pages[0]), int(pages[-1]) + 1
                )
                self._next(end)
            case Pattern.FORK:
                self._fork(phase, end)
            case Pattern.EXIT:
                self.end(end - round(max(0.0, self.left)))
                self.exit()
            case _:
                self._touch(phase, end)

    def _start_over(self, end: int) -> None:
        spec = self.process.spec
        if not spec.phases or (spec.repeat and self.round >= spec.repeat):
            self.end(end - round(max(0.0, self.left)))
            return
        self.round += 1
        self.phase = 0
        self.left -= 1  # phases that take no time end too

    def end(self, now: int) -> None:
        """Its phases are over; its memory stays until it exits."""
        self.process.ended = now
        self._drop_stream()

    def exit(self) -> None:
        """Free all it has."""
        self._drop_stream()
        end_process(self.host, self.process)

    def _next(self, end: int) -> None:
        self._drop_stream()
        self.phase += 1
        self.until = None
        self.credit = 0.0

    def _drop_stream(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None and stream in stream.area.streams:
            stream.area.streams.remove(stream)
            stream.area.version += 1

    def _area(self, phase: Phase) -> Area:
        return self.process.areas[phase.vma]

    def _range(self, phase: Phase) -> Pages:
        area, size = self._area(phase), self.host.page_size
        first = area.first + phase.offset // size
        length = area.vma.size - phase.offset if phase.length is None else phase.length
        return np.arange(first, min(area.end, first + max(1, -(-length // size))))

    def _sleep(self, phase: Phase, end: int) -> None:
        now = end - round(self.left)
        if self.until is None:
            self.until = now + (phase.duration or 0)
        if self.until >= end:
            self.left = 0.0
            return
        self.left = float(end - self.until)
        self._next(end)

    def _fork(self, phase: Phase, end: int) -> None:
        """Children that share all memory for a while, and only read (a snapshot is written)."""
        host, process = self.host, self.process
        for number in range(phase.children):
            name = f"{process.name}/{number}"
            child = ProcessState(
                process.pid + 100_000 + len(host.processes),
                process.spec,
                name,
                process.cgroup,
                process.node,
                parent=process,
            )
            child.areas = {
                key: area if area.vma.share else fork(host, area, child)
                for key, area in process.areas.items()
            }
            host.processes.append(child)
            process.cgroup.processes.append(child)
            now = end - round(max(0.0, self.left))
            child.notes["threads"] = now + (phase.duration or 0)
            self.left -= process.resident * host.costs.fork_page
        self._next(end)

    def _touch(self, phase: Phase, end: int) -> None:
        if self.stream is None:
            self._begin(phase, end)
        stream = self.stream
        assert stream is not None
        host, process = self.host, self.process
        access = self._access(stream)
        each = access.mean + phase.work + phase.delay
        busy = each + self.faulting
        rate = phase.threads / max(busy, 1e-3) * SECOND
        if phase.rate is not None:
            rate = min(rate, phase.rate)
        stream.rate = rate
        time = self.left
        if self.until is not None:
            time = min(time, max(0.0, self.until - (end - self.left)))
        possible = rate * time / SECOND + self.credit
        count = int(min(possible, stream.total - stream.done, self._until_wrapped(stream)))
        over = stream.done + count >= stream.total
        self.credit = 0.0 if over else possible - count
        bill = self._replay(stream, count) if count else 0.0
        if not process.alive:  # killed for memory
            self.end(end - round(max(0.0, self.left)))
            return
        self.faulting = bill / count if count else self.faulting
        used = time
        if count and (over or phase.rate is None):
            waited = count / phase.rate * SECOND if phase.rate else 0.0
            used = max(count * each / phase.threads, waited)
        self.left -= used + bill / phase.threads
        process.cpu_time += count * (access.mean + phase.work) + bill
        process.touches += count
        for latency, share in access.classes:
            process.access_times.add(latency, share * count)
        for node, traffic in enumerate(access.traffic):
            host.nodes[node].traffic += traffic * count
        expired = self.until is not None and end - max(0.0, self.left) >= self.until
        if over or expired:
            self._next(end)

    def _access(self, stream: Stream) -> Access:
        """What a touch costs; looked at anew when pages have moved, and now and then."""
        area = stream.area
        loads = (node.load for node in self.host.nodes)
        seen = (*area.by_node, *area.by_order, area.zero_mapped, *loads)
        if self.access is None or self.seen != seen or self.age >= _LASTS:
            self.access = access_of(self.host, self.process, stream)
            self.seen, self.age = seen, 0
        self.age += 1
        return self.access

    @staticmethod
    def _until_wrapped(stream: Stream) -> float:
        """Where memory is short, a page that was touched may be gone in the next pass."""
        if isinstance(stream, Ordered) and stream.area.missing:
            return stream.steps - stream.done % stream.steps
        return math.inf

    def _begin(self, phase: Phase, end: int) -> None:
        host, area = self.host, self._area(phase)
        now = end - round(self.left)
        self.stream = stream = stream_of(phase, area, host.page_size, now)
        area.streams.append(stream)
        area.version += 1
        if phase.duration is not None:
            self.until = now + phase.duration
        self.credit = 0.0
        self.access = None
        # The first guess of what faults cost; from then on it is what they did cost.
        costs = host.costs
        fault = costs.fault + costs.zero_byte * host.page_size
        missing = np.count_nonzero(area.folio[stream.first : stream.first + stream.span] > LARGEST)
        self.faulting = fault * int(missing) / stream.span

    def _replay(self, stream: Stream, count: int) -> float:
        """The touches that need the kernel, and what is written; nanoseconds of its work."""
        area, phase, host = stream.area, stream.phase, self.host
        writes = phase.write > 0
        attention = area.missing + (
            area.unfilled + area.zero_mapped + area.cow_count if writes else 0
        )
        if not attention:
            stream.done += count
            return 0.0
        pages = stream.touched(count, lambda some: self._changes(area, some, writes), host.rng)
        stream.done += count
        if not len(pages):
            return 0.0
        if phase.write >= 1:
            written = np.ones(len(pages), np.bool_)
        else:
            # A page that is touched several times is written if one of them writes.
            times = max(1.0, count / stream.distinct())
            written = host.rng.random(len(pages)) < 1 - (1 - phase.write) ** times
        bill = touch(host, self.process, area, pages, written=written, zeros=phase.zero)
        return bill.time

    @staticmethod
    def _changes(area: Area, pages: Pages, writes: bool) -> Bools:
        """Whether touches of pages change something: fault, or fill zeros."""
        changes = area.folio[pages] > LARGEST
        if writes:
            changes |= ~area.filled[pages]
            if area.cow_count and area.cow is not None:
                changes |= area.cow[pages]
        return changes
