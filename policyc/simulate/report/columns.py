"""What a report is about: one column for each policy, baseline and swept value."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyc.simulate.figures import FIGURES, Figure, throughput, work_rate
from policyc.simulate.results import Figures, Run
from policyc.simulate.runs import Outcome

__all__ = ["SAME", "Column", "Report", "columns_of"]

#: Differences up to one percent are none: the model is not better than that.
SAME = 0.01


@dataclass(frozen=True, slots=True)
class Column:
    """The runs of one policy or baseline with one setting, one for each seed."""

    title: str
    baseline: str
    setting: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run of the first seed."""
        return self.runs[0]

    def figures(self, cgroup: str | None = None) -> list[Figures]:
        """The figures of each seed: of the whole machine, or of a cgroup."""
        if cgroup is None:
            return [run.total for run in self.runs]
        return [run.cgroups.get(cgroup, Figures()) for run in self.runs]

    def mean(self, read: Callable[[Figures], float], cgroup: str | None = None) -> float:
        """A figure, on average over the seeds."""
        return statistics.fmean(read(figures) for figures in self.figures(cgroup))

    def deviation(self, read: Callable[[Figures], float], cgroup: str | None = None) -> float:
        """The standard deviation of a figure over the seeds, 0 if there is one."""
        values = [float(read(figures)) for figures in self.figures(cgroup)]
        return statistics.stdev(values) if len(values) > 1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is shown, whatever it is shown as.

    `policy`, `file` and `profile` are empty where only baselines run. `failed` are the
    sentences of conditions that hold. `page_size` is that of the machine.
    """

    workload: str
    description: str
    page_size: int
    columns: tuple[Column, ...]
    policy: str = ""
    file: str = ""
    profile: str = ""
    sweeps: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the runs."""
        return self.columns[0].seeds if self.columns else ()

    @property
    def policies(self) -> tuple[Column, ...]:
        """The columns of the policy: one, or one for each swept value."""
        return tuple(column for column in self.columns if not column.baseline)

    @property
    def baselines(self) -> tuple[Column, ...]:
        """The columns of the baselines."""
        return tuple(column for column in self.columns if column.baseline)

    def speed(self) -> Figure:
        """What tells the runs apart in speed: touches a second or, where their rates are
        given and all runs keep up with them, touches a second of busy time.
        """
        rates = [
            column.mean(throughput)
            for column in self.columns
            if not column.mean(FIGURES["oom_kill"].read)
        ]
        if rates and min(rates) >= max(rates) * (1 - SAME) and self._busy():
            return FIGURES["work_rate"]
        return FIGURES["throughput"]

    def _busy(self) -> bool:
        return all(column.mean(work_rate) for column in self.columns)

    def orders(self) -> list[int]:
        """Orders above 0 of which any run has memory, the largest first."""
        found = {
            order
            for column in self.columns
            for figures in column.figures()
            for order, size in figures.huge_bytes_by_order.items()
            if size
        }
        return sorted(found, reverse=True)

    def cgroups(self) -> list[str]:
        """The paths of all cgroups but the root, those with the most memory first."""
        most: dict[str, float] = {}
        for column in self.columns:
            for run in column.runs:
                for path, figures in run.cgroups.items():
                    most[path] = max(most.get(path, 0), figures.memory_peak_bytes)
        most.pop("/", None)
        return sorted(most, key=lambda path: (-most[path], path))


def columns_of(outcomes: Sequence[Outcome]) -> tuple[Column, ...]:
    """The columns of some runs, in the order of their first."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.job.name, outcome.job.setting), []).append(outcome)
    return tuple(
        Column(
            group[0].job.title,
            group[0].job.baseline,
            group[0].job.setting,
            tuple(each.job.workload.seed for each in group),
            tuple(each.run for each in group),
        )
        for group in groups.values()
    )
