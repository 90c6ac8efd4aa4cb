"""How often NUMA balancing marks the next window of a process's memory (kernel/sched/fair.c).

Periods are whole milliseconds, as the kernel computes them: divisions round down.
"""

from __future__ import annotations

from dataclasses import dataclass

from policyc.simulate.workload.specification import MIB, MILLISECOND, NumaBalancing

__all__ = ["Group", "ScanBounds", "new_thread_period", "scan_period_bounds", "updated_scan_period"]

#: MAX_SCAN_WINDOW: no more than this is marked in a second, MiB.
MAX_SCAN_WINDOW = 2560

#: NUMA_PERIOD_SLOTS and NUMA_PERIOD_THRESHOLD: 7 of 10 faults should be local.
SLOTS, THRESHOLD = 10, 7


@dataclass(frozen=True, slots=True)
class Group:
    """A numa_group: tasks that share pages. `shared` and `private` are faults, decayed."""

    tasks: int
    shared: int
    private: int

    def stretched(self, period: int) -> int:
        """A period for one task of a group, whose members scan the same pages in turn."""
        return period * self.tasks * (self.shared + 1) // (self.private + self.shared + 1)


@dataclass(frozen=True, slots=True)
class ScanBounds:
    """The shortest scan period, that of a first scan, the longest; milliseconds."""

    minimum: int
    start: int
    maximum: int


def scan_period_bounds(
    resident: int, settings: NumaBalancing, page_size: int = 4096, group: Group | None = None
) -> ScanBounds:
    """The bounds for a task (`task_scan_min`, `task_scan_start`, `task_scan_max`).

    `resident` is the RSS in pages. Larger processes are scanned in shorter periods, so that
    all of it is scanned between scan_period_min and scan_period_max.
    """
    size = max(1, settings.scan_size // MIB)
    window = max(1, settings.scan_size // page_size)
    windows = max(1, -(-(resident or window) // window))
    floor = 1000 // (MAX_SCAN_WINDOW // size if size < MAX_SCAN_WINDOW else 1)
    minimum = max(floor, settings.scan_period_min // MILLISECOND // windows)
    maximum = settings.scan_period_max // MILLISECOND // windows
    start = minimum
    if group is not None:
        start = max(start, group.stretched(minimum))
        maximum = max(maximum, group.stretched(maximum))
    return ScanBounds(minimum, start, max(minimum, maximum))


def new_thread_period(settings: NumaBalancing) -> int:
    """The period of a thread that clone(CLONE_VM) made, until its first placement, ms.

    The first thread of a process takes `task_scan_start` for its first scan. One that is
    made later has its node_stamp set already (`init_numa_balancing`), so that
    `task_tick_numa` leaves the period what it was made with: scan_delay. Until the first
    placement, after a pass over all memory, many threads scan one window in that time.
    """
    return max(1, settings.scan_delay // MILLISECOND)


def updated_scan_period(
    period: int,
    bounds: ScanBounds,
    *,
    remote: int,
    local: int,
    failed: int,
    shared: int,
    private: int,
) -> tuple[int, bool]:
    """The next period, and whether the scan pauses for it from now (`update_task_scan_period`).

    `remote`, `local` and `failed` are pages that faulted since the last change: on another
    node, on the task's node, and those whose migration failed. `shared` and `private` are
    pages that another task, or the same, had touched before. The scan pauses, and the first
    three are kept for the next time, where nothing was to be learned or migration failed.
    """
    if local + shared == 0 or failed:
        return min(bounds.maximum, period << 1), True
    slot = -(-period // SLOTS)
    of_local = local * SLOTS // (local + remote)
    of_private = private * SLOTS // (private + shared)
    if of_private >= THRESHOLD:
        change = max(of_private - THRESHOLD, 1) * slot
    elif of_local >= THRESHOLD:
        change = max(of_local - THRESHOLD, 1) * slot
    else:
        change = -(THRESHOLD - max(of_local, of_private)) * slot
    return min(max(period + change, bounds.minimum), bounds.maximum), False
