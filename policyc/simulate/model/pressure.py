"""Pressure stall information (kernel/sched/psi.c): how much of the time threads lacked memory.

The averages are the kernel's own fixed-point arithmetic, bit for bit. What goes into them is
an approximation, since the model knows how long threads stood still in a tick and not at
which instants; `collect` says how it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from policyc.plan.evaluate import percent_of_average

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, ProcessState

__all__ = ["HZ", "PERIOD", "Pressure", "Which", "Window", "calc_averages", "collect"]

Which = Literal["some", "full"]
Window = Literal["avg10", "avg60", "avg300"]

#: CONFIG_HZ of the distribution kernels that most hosts run.
HZ = 250

#: psi_period: PSI_FREQ is 2 * HZ + 1 jiffies. Nanoseconds.
PERIOD = (2 * HZ + 1) * (1_000_000_000 // HZ)

#: include/linux/sched/loadavg.h
FIXED_SHIFT = 11
FIXED_1 = 1 << FIXED_SHIFT

#: EXP_10s, EXP_60s, EXP_300s: 1 / exp(2 s / window) with 11 fractional bits.
DECAY = (1677, 1981, 2034)

_WHICH: tuple[Which, ...] = ("some", "full")
_WINDOWS: tuple[Window, ...] = ("avg10", "avg60", "avg300")


@dataclass(slots=True, eq=False)
class Pressure:
    """The pressure of one cgroup or of the system, for memory.

    `total` is stalled time so far, in nanoseconds: some and full. `averages` are as
    `psi_group.avg` has them: for some and for full the three windows, percent with 11
    fractional bits.
    """

    total: list[int] = field(default_factory=lambda: [0, 0])
    averages: list[list[int]] = field(default_factory=lambda: [[0, 0, 0], [0, 0, 0]])
    last_update: int = 0
    next_update: int = PERIOD
    #: What of `total` is in the averages.
    counted: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, some: int, full: int) -> None:
        """Count stalled time, in nanoseconds."""
        self.total[0] += some
        self.total[1] += full

    def advance(self, now: int) -> None:
        """Bring the averages to a time, in nanoseconds (`update_averages`).

        A sample longer than its period is not lost: what is too much counts in the next.
        """
        if now < self.next_update:
            return
        missed = (now - self.next_update) // PERIOD
        period = now - (self.last_update + missed * PERIOD)
        self.next_update += (1 + missed) * PERIOD
        self.last_update = now
        for state in range(2):
            sample = min(self.total[state] - self.counted[state], period)
            self.counted[state] += sample
            self.averages[state] = calc_averages(self.averages[state], missed, sample, period)

    def spread(self, start: int, end: int, some: float, full: float) -> None:
        """Count what was stalled between two times, evenly, and update at each window's end."""
        done, left = start, [round(some), round(full)]
        while self.next_update <= end:
            boundary = max(self.next_update, done)
            parts = [n * (boundary - done) // max(1, end - done) for n in left]
            self.add(parts[0], parts[1])
            left = [n - part for n, part in zip(left, parts, strict=True)]
            done = boundary
            self.advance(boundary)
        self.add(left[0], left[1])

    def average(self, which: Which, window: Window) -> int:
        """An average as the kernel keeps it: percent with 11 fractional bits."""
        return self.averages[_WHICH.index(which)][_WINDOWS.index(window)]

    def percent(self, which: Which, window: Window) -> int:
        """An average in hundredths of a percent, by the arithmetic of the language."""
        return percent_of_average(self.average(which, window))

    def total_microseconds(self, which: Which) -> int:
        """`total=` of /proc/pressure/memory."""
        return self.total[_WHICH.index(which)] // 1000


def calc_averages(averages: list[int], missed: int, time: int, period: int) -> list[int]:
    """The averages after a period in which `time` was stalled (`calc_avgs`).

    `missed` periods before it had no sample. Times in nanoseconds.
    """
    if missed:
        averages = [
            _calc_load(load, _power(decay, missed), 0)
            for load, decay in zip(averages, DECAY, strict=True)
        ]
    active = time * 100 // period * FIXED_1
    return [_calc_load(load, decay, active) for load, decay in zip(averages, DECAY, strict=True)]


def _calc_load(load: int, decay: int, active: int) -> int:
    """One step of a moving average (`calc_load`, include/linux/sched/loadavg.h)."""
    mixed = load * decay + active * (FIXED_1 - decay)
    # Rounded up when it rises, so that it can reach what it nears.
    if active >= load:
        mixed += FIXED_1 - 1
    return mixed // FIXED_1


def _power(base: int, exponent: int) -> int:
    """A power with 11 fractional bits, rounded in each step (`fixed_power_int`)."""
    result = FIXED_1
    while exponent:
        if exponent & 1:
            result = (result * base + FIXED_1 // 2) >> FIXED_SHIFT
        exponent >>= 1
        if exponent:
            base = (base * base + FIXED_1 // 2) >> FIXED_SHIFT
    return result


def collect(host: Host, tick_start: int, now: int) -> None:
    """Take over what processes stood still in a tick, for each cgroup and the system.

    The kernel knows at each instant which tasks are delayed. Here their mean number over the
    tick is put into the formula at the head of psi.c:

        threads = min(tasks, CPUs)
        some    = min(delayed / threads, 1)
        full    = (threads - min(productive, threads)) / threads

    As the kernel weighs CPUs by how long they were not idle (`collect_percpu_times`), a task
    counts for the share of the tick in which it ran or was delayed.

    A process cannot be delayed longer than its threads have time; what is more counts in the
    following ticks. `ProcessState.stalled` is read, not set back.
    """
    length = now - tick_start
    if length <= 0:
        return
    tasks: dict[str, float] = {}
    delayed: dict[str, float] = {}
    for process in host.processes:
        if process.ended is not None and process.ended < tick_start:
            continue
        number, share = _load(process, length)
        if not number:
            continue
        for cgroup in process.cgroup.upwards():
            tasks[cgroup.path] = tasks.get(cgroup.path, 0.0) + number
            delayed[cgroup.path] = delayed.get(cgroup.path, 0.0) + number * share
    cpus = max(1, host.machine.cpus)
    for path, cgroup in host.cgroups.items():
        some, full = _shares(tasks.get(path, 0.0), delayed.get(path, 0.0), cpus)
        cgroup.pressure.spread(tick_start, now, some * length, full * length)
    some, full = _shares(tasks.get("/", 0.0), delayed.get("/", 0.0), cpus)
    host.psi.spread(tick_start, now, some * length, full * length)


@dataclass(slots=True)
class _Seen:
    """What was seen of a process: stalled time that is still to count, and its CPU time."""

    carried: float = 0.0
    cpu_time: float = 0.0


def _load(process: ProcessState, length: int) -> tuple[float, float]:
    """How many of a process's threads were not idle in a tick, in the mean, and the share of
    the tick in which each of its threads was delayed.
    """
    seen = process.notes.setdefault("pressure", _Seen())
    assert isinstance(seen, _Seen)
    time = float(max(1, process.threads) * length)
    ran = process.cpu_time - seen.cpu_time
    seen.cpu_time = process.cpu_time
    debt = process.stalled + seen.carried
    counted = min(debt, time)
    seen.carried = debt - counted
    busy = min(1.0, (max(0.0, ran) + counted) / time)
    return max(1, process.threads) * busy, counted / time


def _shares(tasks: float, delayed: float, cpus: int) -> tuple[float, float]:
    """Some and full, as shares of the time."""
    if not delayed:
        return 0.0, 0.0
    threads = min(tasks, cpus)
    productive = tasks - delayed
    return min(delayed / threads, 1.0), (threads - min(productive, threads)) / threads
