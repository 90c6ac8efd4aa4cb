"""The rows of the table: which figures are shown, in which order, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policyc.simulate.figures import FIGURES, Unit
from policyc.simulate.report.columns import Column, Report
from policyc.simulate.results import Figures
from policyc.simulate.spelling import spell, spell_order

__all__ = ["Group", "Row", "groups", "kept"]


@dataclass(frozen=True, slots=True)
class Row:
    """A figure under the name that people know it by; `rare` rows are left out if all 0."""

    label: str
    unit: Unit
    read: Callable[[Figures], float]
    rare: bool = False

    def cell(self, column: Column, cgroup: str | None = None) -> str:
        """The figure of a column as text."""
        return spell(column.mean(self.read, cgroup), self.unit)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]


def _row(label: str, name: str, *, rare: bool = False) -> Row:
    figure = FIGURES[name]
    return Row(label, figure.unit, figure.read, rare)


_TIME = Group(
    "time",
    (
        _row("run time", "run_seconds"),
        _row("touches a second", "throughput"),
        _row("CPU time", "cpu_seconds"),
        _row("access, median", "access_p50_seconds"),
        _row("access, p99", "access_p99_seconds"),
        _row("page fault, median", "fault_p50_seconds"),
        _row("page fault, p99", "fault_p99_seconds"),
        _row("stalled for memory", "stall_seconds", rare=True),
    ),
)

_EVENTS = Group(
    "events",
    (
        _row("page faults", "pgfault"),
        _row("  huge pages allocated", "thp_fault_alloc"),
        _row("  fell back to smaller", "thp_fault_fallback", rare=True),
        _row("  mTHP pages allocated", "anon_fault_alloc", rare=True),
        _row("splits", "thp_split_page"),
        _row("  of underused pages", "thp_underused_split_page", rare=True),
        _row("collapses", "thp_collapse_alloc"),
        _row("pages moved", "migrations"),
        _row("  promoted", "pgpromote_success", rare=True),
        _row("  demoted", "pgdemote_kswapd", rare=True),
        _row("hint faults", "numa_hint_faults"),
        _row("pages from swap", "pswpin", rare=True),
        _row("pages to swap", "pswpout", rare=True),
    ),
)

_TROUBLE = Group(
    "trouble",
    (
        _row("pressure, some", "pressure_some"),
        _row("pressure, full", "pressure_full"),
        _row("OOM kills", "oom_kill"),
    ),
)


def groups(report: Report) -> tuple[Group, ...]:
    """All rows of a report: memory has one for each order that occurs."""
    orders = [_share(order, report.page_size) for order in report.orders()]
    memory = Group(
        "memory",
        (
            _row("memory, average", "memory_mean_bytes"),
            _row("memory, peak", "memory_peak_bytes"),
            _row("memory at the end", "memory_bytes"),
            _row("  never touched", "bloat_bytes"),
            _row("  in huge pages", "huge_share"),
            *orders,
            _row("in swap", "swap_bytes", rare=True),
        ),
    )
    return (memory, _TIME, _EVENTS, _TROUBLE)


def _share(order: int, page_size: int) -> Row:
    def read(figures: Figures) -> float:
        size = figures.huge_bytes_by_order.get(order, 0)
        return 100 * size / figures.memory_bytes if figures.memory_bytes else 0.0

    return Row(f"    of {spell_order(order, page_size)}", "percent", read)


def kept(report: Report, group: Group, cgroup: str | None = None) -> list[Row]:
    """The rows of a group that say something: rare ones only if any run has one."""
    return [
        row
        for row in group.rows
        if not row.rare or any(column.mean(row.read, cgroup) for column in report.columns)
    ]
