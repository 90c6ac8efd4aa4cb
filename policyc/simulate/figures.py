"""The figures of a run by name: what tables, documents, pages and conditions show of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from policyc.simulate.results import COUNTERS, Figures

__all__ = [
    "ALIASES",
    "FIGURES",
    "Figure",
    "Unit",
    "huge_bytes",
    "huge_share",
    "throughput",
    "work_rate",
]

Unit = Literal["bytes", "seconds", "percent", "count", "rate"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: what one of it is, and how it is read."""

    name: str
    unit: Unit
    meaning: str
    read: Callable[[Figures], float]


def huge_bytes(figures: Figures) -> int:
    """Bytes in folios of more than one page, at the end."""
    return sum(figures.huge_bytes_by_order.values())


def huge_share(figures: Figures) -> float:
    """The share of memory in folios of more than one page, in percent."""
    if not figures.memory_bytes:
        return 0.0
    return 100 * huge_bytes(figures) / figures.memory_bytes


def throughput(figures: Figures) -> float:
    """Touches a second of run time."""
    return figures.touches / figures.run_seconds if figures.run_seconds else 0.0


def work_rate(figures: Figures) -> float:
    """Touches a second that threads were busy or stood still, which a rate does not limit."""
    busy = figures.cpu_seconds + figures.stall_seconds
    return figures.touches / busy if busy else 0.0


def _migrations(figures: Figures) -> int:
    # numa_pages_migrated counts promotions too (mm/migrate.c, migrate_misplaced_folio).
    names = ("numa_pages_migrated", "pgdemote_kswapd", "kmmscand_migrated")
    return sum(figures.counters.get(name, 0) for name in names)


def _field(name: str, unit: Unit, meaning: str) -> Figure:
    return Figure(name, unit, meaning, lambda figures: getattr(figures, name))


def _counter(name: str, meaning: str) -> Figure:
    return Figure(name, "count", meaning, lambda figures: figures.counters.get(name, 0))


_OWN = (
    _field("memory_bytes", "bytes", "memory charged at the end"),
    _field("memory_peak_bytes", "bytes", "the most memory that was charged"),
    _field("memory_mean_bytes", "bytes", "memory charged, on average over time"),
    _field("bloat_bytes", "bytes", "memory at the end that was never touched or holds zeros"),
    _field("swap_bytes", "bytes", "memory in swap at the end"),
    Figure("huge_bytes", "bytes", "memory in folios of more than one page, at the end", huge_bytes),
    Figure("huge_share", "percent", "the share of memory that is in such folios", huge_share),
    _field("touches", "count", "page touches"),
    Figure("throughput", "rate", "page touches a second", throughput),
    Figure("work_rate", "rate", "touches a second of CPU time and standstill", work_rate),
    _field("run_seconds", "seconds", "run time"),
    _field("cpu_seconds", "seconds", "CPU time of all threads, page faults included"),
    _field("access_p50_seconds", "seconds", "median time of an access"),
    _field("access_p99_seconds", "seconds", "99th percentile of the time of an access"),
    _field("fault_p50_seconds", "seconds", "median time of a page fault"),
    _field("fault_p99_seconds", "seconds", "99th percentile of the time of a page fault"),
    _field("pressure_some", "percent", "highest 10 s average of PSI memory some"),
    _field("pressure_full", "percent", "highest 10 s average of PSI memory full"),
    _field("stall_seconds", "seconds", "time that threads stood still for memory"),
    Figure("migrations", "count", "pages moved between nodes, whoever moved them", _migrations),
)

#: Every figure by its name, counters last and by their kernel names.
FIGURES: dict[str, Figure] = {
    **{figure.name: figure for figure in _OWN},
    **{name: _counter(name, meaning) for name, meaning in COUNTERS.items()},
}

#: Shorter names that people use, and the figures that they mean.
ALIASES = {
    "memory": "memory_bytes",
    "peak": "memory_peak_bytes",
    "mean": "memory_mean_bytes",
    "bloat": "bloat_bytes",
    "swap": "swap_bytes",
    "huge": "huge_bytes",
    "time": "run_seconds",
    "cpu": "cpu_seconds",
    "p50": "access_p50_seconds",
    "p99": "access_p99_seconds",
    "access_p50": "access_p50_seconds",
    "access_p99": "access_p99_seconds",
    "fault_p50": "fault_p50_seconds",
    "fault_p99": "fault_p99_seconds",
    "stall": "stall_seconds",
    "pressure": "pressure_some",
    "faults": "pgfault",
    "major_faults": "pgmajfault",
    "splits": "thp_split_page",
    "collapses": "thp_collapse_alloc",
    "hint_faults": "numa_hint_faults",
    "promotions": "pgpromote_success",
    "demotions": "pgdemote_kswapd",
    "oom": "oom_kill",
}
