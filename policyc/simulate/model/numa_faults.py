"""Hint faults: who touched a page, whether it moves there, what is learned of it.

do_numa_page() of mm/memory.c, migrate_misplaced_folio() of mm/migrate.c, task_numa_fault()
and task_numa_placement() of kernel/sched/fair.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.model import folios, kswapd
from policyc.simulate.model.area import LARGEST, NOWHERE, Area, Bools, Bytes
from policyc.simulate.model.host import Host, ProcessState, cpu_nodes
from policyc.simulate.model.numa_marks import Due, Marks
from policyc.simulate.model.numa_placement import FaultStatistics, passes_filter
from policyc.simulate.model.scan_period import Group, scan_period_bounds, updated_scan_period
from policyc.simulate.model.tiering import TIERING, Promotion, hint_fault_latency
from policyc.simulate.model.watermarks import watermarks
from policyc.simulate.workload.specification import MILLISECOND

__all__ = ["Balanced", "Faults", "take_faults"]


@dataclass(slots=True, eq=False)
class Balanced:
    """What balancing keeps of a process. Periods are ms; `credit` is CPU time since the last
    scan, and at most wall time, in nanoseconds; `position` is the next page to scan.
    """

    period: int
    statistics: FaultStatistics
    credit: float = 0.0
    needed: float = 0.0
    cpu_seen: float = 0.0
    seen: int = 0
    threads: int = 1
    position: tuple[int, int] = (0, 0)
    sequence: int = 0
    placed: int = 0
    scanned: bool = False
    grouped: bool = False
    remote: int = 0
    local: int = 0
    failed: int = 0
    marks: Marks = field(default_factory=Marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Hint faults of an area in the order of their times, an entry of each array for each.

    `source` is the node of the page, `target` that of the CPU, `sizes` the pages of the
    folio, `last` the node of the fault before (NOWHERE: none), `private` whether the same
    task had that one. `slow` pages are of slow tiers, `top` tells of each node whether it is
    of the fastest.
    """

    host: Host
    process: ProcessState
    state: Balanced
    due: Due
    mode: int
    source: Bytes
    target: Bytes
    sizes: NDArray[np.int64]
    last: Bytes
    private: Bools
    slow: Bools
    top: Bools

    @property
    def area(self) -> Area:
        """Where they are."""
        return self.due.area

    @property
    def local(self) -> Bools:
        """Whether the page is on the node of the CPU."""
        return self.source == self.target

    @property
    def tiering(self) -> bool:
        """Whether slow tiers keep the time of marking instead of the last task."""
        return bool(self.mode & TIERING)

    def targets(self, wanted: Bools) -> list[int]:
        """The nodes that wanted pages go to."""
        found: list[int] = np.flatnonzero(np.bincount(self.target[wanted])).tolist()
        return found


def take_faults(
    host: Host,
    process: ProcessState,
    due: Due,
    promotion: list[Promotion],
    *,
    mode: int,
    reference: int,
) -> None:
    """Take the faults of an area (`do_numa_page`).

    `mode` is the bits of kernel.numa_balancing that hold for the process, `reference` its
    hot threshold in ms, `promotion` the state of each node as a target.
    """
    area = due.area
    for order in np.flatnonzero(np.bincount(due.orders)).tolist():
        folios.unprotect(area, folios.whole(due.heads[due.orders == order], order))
    due = due.part(np.flatnonzero(area.folio[due.heads] <= LARGEST))
    number = len(due.heads)
    if not number:
        return
    faults = _look(host, process, due, mode)
    process.cgroup.count("pgfault", number)
    process.cgroup.count("numa_hint_faults", number)
    process.cgroup.count("numa_hint_faults_local", int(np.count_nonzero(faults.local)))
    process.kernel_time += number * host.costs.hint_fault
    if not mode:
        return
    wanted = _filtered(faults)
    if faults.tiering and faults.slow.any():
        wanted = np.where(faults.slow, _hot(faults, promotion, reference), wanted)
    wanted &= ~faults.local
    moved = _migrate(faults, wanted)
    _record(faults, moved, wanted & ~moved)


def _look(host: Host, process: ProcessState, due: Due, mode: int) -> Faults:
    area, number = due.area, len(due.heads)
    state = process.notes["numa_balancing"]
    assert isinstance(state, Balanced)
    if area.last_node is None:
        area.last_node = np.full(area.length, NOWHERE, np.uint8)
    last = area.last_node[due.heads]
    source = area.node[due.heads]
    top = np.array([node.top_tier for node in host.nodes])
    tasks, nodes = _who(host, process, area, state.threads)
    target = np.array(nodes, np.uint8)
    if len(set(nodes)) > 1:
        target = target[host.rng.integers(0, len(nodes), number)]
    else:
        target = np.full(number, nodes[0], np.uint8)
    private = last != NOWHERE
    if tasks > 1:
        private &= host.rng.random(number) < 1 / tasks
    return Faults(
        host=host,
        process=process,
        state=state,
        due=due,
        mode=mode,
        source=source,
        target=target,
        sizes=np.left_shift(1, area.folio[due.heads].astype(np.int64)),
        last=last,
        private=private,
        slow=~top[source],
        top=top,
    )


def _who(host: Host, process: ProcessState, area: Area, threads: int) -> tuple[int, list[int]]:
    """How many tasks touch an area, and the nodes of their CPUs."""
    if not area.vma.share:
        return threads, cpu_nodes(host, process)
    sharers = [
        other for other in host.living() if any(each is area for each in other.areas.values())
    ]
    tasks = sum(max(1, other.threads) for other in sharers)
    return tasks, [node for other in sharers for node in cpu_nodes(host, other)]


def _filtered(faults: Faults) -> Bools:
    """What the two-stage filter lets through; remembers who touched each page last."""
    state = faults.state
    passed = passes_filter(
        state.statistics,
        mode=faults.mode,
        sequence=state.sequence,
        grouped=state.grouped,
        source=faults.source,
        target=faults.target,
        last=faults.last,
        private=faults.private,
        slow=faults.slow,
    )
    asked = ~faults.slow if faults.tiering else np.ones(len(passed), np.bool_)
    assert faults.area.last_node is not None
    faults.area.last_node[faults.due.heads[asked]] = faults.target[asked]
    return passed


def _hot(faults: Faults, promotion: list[Promotion], reference: int) -> Bools:
    """Which pages of slow tiers are promoted, in tiering mode."""
    wanted = np.zeros(len(faults.source), np.bool_)
    times = (faults.due.times // MILLISECOND).astype(np.int64)
    stamp = faults.area.stamp
    for node in faults.targets(faults.slow):
        chosen = np.flatnonzero(faults.slow & (faults.target == node))
        marked = np.zeros(len(chosen), np.uint32)
        if stamp is not None:
            marked = stamp[faults.due.heads[chosen]]
        of_node = promotion[node]
        before = of_node.candidates
        wanted[chosen] = of_node.hot(
            faults.host,
            node,
            now=times[chosen],
            latency=hint_fault_latency(times[chosen], marked),
            sizes=faults.sizes[chosen],
            reference=reference,
        )
        faults.process.cgroup.count("pgpromote_candidate", of_node.candidates - before)
    return wanted


def _migrate(faults: Faults, wanted: Bools) -> Bools:
    """Move pages as far as there is room; which were moved (`migrate_misplaced_folio`)."""
    moved = np.zeros(len(wanted), np.bool_)
    host, area, heads = faults.host, faults.area, faults.due.heads
    count, costs = faults.process.cgroup.count, host.costs
    for node in faults.targets(wanted):
        chosen = np.flatnonzero(wanted & (faults.target == node))
        if faults.state.threads > 1:
            # Other threads hold the folio's lock or a reference, or it is off the LRU.
            free = (1 - costs.contended) ** (faults.state.threads - 1)
            chosen = chosen[host.rng.random(len(chosen)) < free]
        # The target keeps its high watermark (migrate_balanced_pgdat).
        room = max(0, host.nodes[node].free.free_pages - watermarks(host, node).high)
        fit = chosen[: _fitting(faults.sizes[chosen], room)]
        if len(fit) < len(chosen) and faults.tiering:
            kswapd.wake(host, node)
        folios.migrate(host, area, heads[fit], node)
        moved[fit] = area.node[heads[fit]] == node
        done = fit[moved[fit]]
        pages = int(faults.sizes[done].sum())
        count("numa_pages_migrated", pages)
        if faults.tiering and faults.top[node]:
            up = done[faults.slow[done]]
            count("pgpromote_success", int(faults.sizes[up].sum()))
            # What was the time of marking is no task (folio_migrate_flags).
            assert area.last_node is not None
            area.last_node[heads[up]] = NOWHERE
        each = costs.migrate + costs.shootdown * faults.state.threads
        faults.process.kernel_time += len(done) * each + pages * host.page_size * costs.copy_byte
    count("pgmigrate_fail", int(faults.sizes[wanted & ~moved].sum()))
    return moved


def _fitting(sizes: NDArray[np.int64], room: int) -> int:
    """How many folios, in order, go into so many pages."""
    return int(np.searchsorted(np.cumsum(sizes), room, side="right"))


def _record(faults: Faults, moved: Bools, failed: Bools) -> None:
    """Count the faults for the next placement (`task_numa_fault`)."""
    state = faults.state
    memory = np.where(moved, faults.target, faults.source)
    first = faults.last == NOWHERE
    # A fault on a slow tier says nothing in tiering mode, nor does the first one elsewhere.
    known = faults.top[memory]
    if not faults.tiering:
        known = known | ~first
    if not known.any():
        return
    if state.placed != state.sequence:
        state.placed = state.sequence
        _place(faults)
    private = faults.private | first
    if faults.tiering:
        private |= faults.slow
    private, memory, cpu = private[known], memory[known], faults.target[known]
    sizes = faults.sizes[known]
    if not private.all():
        state.grouped = True
    local = faults.local[known]
    active = state.statistics.active()
    if state.grouped and int(np.count_nonzero(active)) > 1:
        # What the group touches on the nodes where it runs counts as local.
        local = local | (~private & active[memory] & active[cpu])
    near = int(sizes[local].sum())
    state.local += near
    state.remote += int(sizes.sum()) - near
    state.failed += int(faults.sizes[failed & known].sum())
    state.statistics.add(memory, cpu, private, sizes)


def _place(faults: Faults) -> None:
    """Adapt the scan period at the end of a pass (`task_numa_placement`)."""
    state, host = faults.state, faults.host
    shared, private = state.statistics.place()
    group = None
    if state.grouped:
        totals = state.statistics.memory.sum(axis=0)
        group = Group(state.threads, int(totals[0]), int(totals[1]))
    state.period, paused = updated_scan_period(
        state.period,
        scan_period_bounds(faults.process.resident, host.machine.numa, host.page_size, group),
        remote=state.remote,
        local=state.local,
        failed=state.failed,
        shared=shared,
        private=private,
    )
    state.needed = float(state.period * MILLISECOND)
    if paused:
        state.credit = 0.0
    else:
        state.remote = state.local = state.failed = 0
