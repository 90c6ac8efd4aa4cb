"""NUMA balancing: which process is scanned, and when (kernel/sched/fair.c).

One task stands for all threads of a process: they scan the same memory, in turn, and their
faults are alike. Tasks are not moved between nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policyc.simulate.model.numa_faults import Balanced, take_faults
from policyc.simulate.model.numa_marks import Marker
from policyc.simulate.model.numa_placement import FaultStatistics
from policyc.simulate.model.scan_period import new_thread_period, scan_period_bounds
from policyc.simulate.model.tiering import NORMAL, Promotion
from policyc.simulate.workload.specification import MILLISECOND

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, ProcessState

__all__ = ["NumaBalancing"]

#: TICK_NSEC with CONFIG_HZ=250. A task that scanned waits two of them longer.
TICK = 4 * MILLISECOND

#: A task runs 32 times as long as it scanned before it scans again.
OVERHEAD = 32

#: Virtual memory that one scan may pass, in windows: most of it may be holes.
VIRTUAL = 8


class NumaBalancing:
    """Balances all processes for which it is on. Give it to the engine, or call advance()."""

    __slots__ = ("_promotion", "host")

    def __init__(self, host: Host) -> None:
        self.host = host
        self._promotion = [Promotion() for _ in host.nodes]

    def advance(self, host: Host, until: int) -> None:
        """Scan what is due and take the hint faults up to a time, in nanoseconds."""
        if len(host.nodes) < 2 or not (host.machine.numa.balancing or host.hook.attached):
            return
        for process in host.living():
            mode, reference = self._mode(host, process)
            state = process.notes.get("numa_balancing")
            if not mode and state is None:
                continue
            if not isinstance(state, Balanced):
                state = process.notes["numa_balancing"] = self._enter(host, process, until)
            if mode:
                self._scan(host, process, state, mode, until)
            for due in state.marks.take(host, until):
                take_faults(host, process, due, self._promotion, mode=mode, reference=reference)

    def _mode(self, host: Host, process: ProcessState) -> tuple[int, int]:
        """The bits of kernel.numa_balancing that hold for a process, and its hot threshold.

        A program turns the normal mode on where the system has none; the threshold it gives
        is read by tiering mode only, which is the system's (RFC of January 2026, patch 3).
        """
        settings = host.machine.numa
        mode, threshold = settings.balancing, settings.hot_threshold
        if host.hook.attached:
            answer = host.hook.numa(host, process)
            if answer.on:
                mode |= NORMAL
            if answer.hot_threshold:
                threshold = answer.hot_threshold
        return mode, max(1, threshold // MILLISECOND)

    def _enter(self, host: Host, process: ProcessState, until: int) -> Balanced:
        """A process that is seen for the first time: what it ran in this tick counts."""
        delay = host.machine.numa.scan_delay
        ran = float((until - host.now) * max(1, process.threads))
        return Balanced(
            period=max(1, delay // MILLISECOND),
            statistics=FaultStatistics.make(len(host.nodes)),
            needed=float(delay),
            cpu_seen=max(0.0, process.cpu_time - ran),
            seen=host.now,
        )

    def _scan(
        self, host: Host, process: ProcessState, state: Balanced, mode: int, until: int
    ) -> None:
        """Mark windows as they come due (`task_tick_numa`).

        The clock is CPU time: an idle process is not scanned. Of many threads one after the
        other scans, so that wall time is what is left of the limit.
        """
        span = until - state.seen
        used = process.cpu_time - state.cpu_seen
        state.seen, state.cpu_seen = until, process.cpu_time
        if span <= 0 or used <= 0 or not process.resident:
            return
        if process.threads > state.threads and state.scanned:
            state.period = new_thread_period(host.machine.numa)
        state.threads = max(1, process.threads)
        rate = min(1.0, used / span)
        now = float(until - span)
        while True:
            wait = max(0.0, state.needed - state.credit) / rate
            if now + wait > until:
                break
            now += wait
            state.credit = 0.0
            self._window(host, process, state, mode, round(now))
        state.credit += (until - now) * rate

    def _window(
        self, host: Host, process: ProcessState, state: Balanced, mode: int, now: int
    ) -> None:
        settings = host.machine.numa
        if not state.scanned:
            state.scanned = True
            bounds = scan_period_bounds(process.resident, settings, host.page_size)
            state.period = bounds.start
            if state.threads > 1:
                state.period = new_thread_period(settings)
        time = self._task_numa_work(host, process, state, mode, now)
        period = float(state.period * MILLISECOND)
        slowed = (period + 2 * TICK + OVERHEAD * time) / state.threads
        state.needed = max(period, slowed)

    def _task_numa_work(
        self, host: Host, process: ProcessState, state: Balanced, mode: int, now: int
    ) -> float:
        """Mark the next window; the CPU time it took."""
        marker = Marker.make(host, process, mode)
        areas = list(process.areas.values())
        window = max(1, host.machine.numa.scan_size // host.page_size)
        present, virtual = window, window * VIRTUAL
        index, page = state.position
        index, page = (index, page) if index < len(areas) else (0, 0)
        updates = huge = 0
        while present > 0 and virtual > 0:
            area = areas[index]
            start = max(page, area.first)
            end = min(-(-(start + present) // area.block) * area.block, area.end)
            marked, pmds, due = marker.mark(area, start, end, now)
            if due is not None:
                state.marks.add(due)
                present -= end - start
            virtual -= end - start
            updates += marked
            huge += pmds
            page = end
            if end < area.end:
                continue
            index, page = index + 1, 0
            if index == len(areas):
                index = 0
                state.sequence += 1
                break
        state.position = (index, page)
        process.cgroup.count("numa_pte_updates", updates)
        process.cgroup.count("numa_huge_pte_updates", huge)
        costs = host.costs
        entries = updates - huge * (host.block - 1)
        time = entries * costs.mark + (state.threads * costs.shootdown if updates else 0.0)
        process.kernel_time += time
        return time
