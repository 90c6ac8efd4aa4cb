"""What is noted while a run goes on: samples over time, means, peaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policyc.simulate.model.hook import PolicyHook
from policyc.simulate.workload.specification import SECOND, Workload

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host

__all__ = ["Recorder"]

#: Samples that a timeline has at most, about.
_SAMPLES = 240

#: Counters that the timeline shows as rates, by the name that it gives them.
_RATES = {
    "migrations": ("numa_pages_migrated", "kmmscand_migrated"),
    "faults": ("pgfault",),
    "splits": ("thp_split_page",),
    "collapses": ("thp_collapse_alloc",),
}

_OUTCOMES = ("allowed", "narrowed", "denied")


@dataclass(slots=True, eq=False)
class Recorder:
    """`area` under the memory curve of each cgroup in page-nanoseconds, and the samples."""

    every: int
    due: int = 0
    weight: Counter[str] = field(default_factory=Counter[str])
    length: int = 0
    highest: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    seconds: list[float] = field(default_factory=list[float])
    series: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    before: Counter[str] = field(default_factory=Counter[str])

    @classmethod
    def of(cls, host: Host, workload: Workload) -> Recorder:
        """Samples so often that a run of the workload has enough of them."""
        if workload.duration is None:
            return cls(every=SECOND // 50)
        return cls(every=max(1, workload.duration // _SAMPLES))

    def tick(self, host: Host, length: int) -> None:
        """A tick is over."""
        self.length += length
        for path, cgroup in host.cgroups.items():
            self.weight[path] += cgroup.usage * length
            some = cgroup.pressure.percent("some", "avg10")
            full = cgroup.pressure.percent("full", "avg10")
            if some:
                old = self.highest.get(path, (0, 0))
                self.highest[path] = (max(old[0], some), max(old[1], full))
        if host.now >= self.due:
            self.sample(host)

    def sample(self, host: Host, *, last: bool = False) -> None:
        """Note how things stand."""
        now = host.now / SECOND
        if self.seconds and now <= self.seconds[-1]:
            return
        if len(self.seconds) >= 2 * _SAMPLES and not last:
            self._thin()
        self.due = host.now + self.every
        elapsed = now - (self.seconds[-1] if self.seconds else 0.0)
        self.seconds.append(now)
        for name, value in self._values(host, max(elapsed, 1e-9)).items():
            self.series.setdefault(name, [0.0] * (len(self.seconds) - 1)).append(value)

    def _thin(self) -> None:
        """A run longer than was foreseen: keep every second sample."""
        self.every *= 2
        self.seconds = self.seconds[1::2]
        for name, values in self.series.items():
            rate = name in _RATES or name.startswith("decisions.")
            pairs = zip(values[::2], values[1::2], strict=False)
            self.series[name] = [sum(p) / 2 if rate else p[1] for p in pairs]

    def _values(self, host: Host, elapsed: float) -> dict[str, float]:
        size = host.page_size
        orders = [0] * (host.pmd_order + 1)
        for area in host.areas():
            for order, pages in enumerate(area.by_order):
                orders[order] += pages
        values = {f"memory.order{o}": float(pages * size) for o, pages in enumerate(orders)}
        for name, counters in _RATES.items():
            total = sum(host.root.counters[counter] for counter in counters)
            values[name] = (total - self.before[name]) / elapsed
            self.before[name] = total
        hook = host.hook
        for outcome in _OUTCOMES:
            total = hook.outcomes[outcome] if isinstance(hook, PolicyHook) else 0
            name = f"decisions.{outcome}"
            values[name] = (total - self.before[name]) / elapsed
            self.before[name] = total
        values["pressure.some"] = host.psi.percent("some", "avg10") / 100
        values["pressure.full"] = host.psi.percent("full", "avg10") / 100
        for path, cgroup in host.cgroups.items():
            if cgroup.processes:
                values[f"cgroup.{path}"] = float(cgroup.usage * size)
        return values
