"""What a native run found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from policyc.simulate.report.document import figures_document
from policyc.simulate.results import COUNTERS, Figures, Run

__all__ = ["AreaFigures", "Outcome", "run_document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaFigures:
    """A mapping of a process at the end, bytes, with what its children share of it.

    `by_order` is what is in folios of each order, `pmd_mapped` what is mapped by PMDs.
    `zero_inside` is what of large folios holds only zeros, `lingering` what of them is not
    mapped any more. `smaps` are lines of /proc/PID/smaps. `exact` is False where page frames
    cannot be seen: then `by_order` knows the PMD order and 0 only.
    """

    process: str
    area: str
    share: str = ""
    by_order: dict[int, int] = field(default_factory=dict[int, int])
    by_node: dict[int, int] = field(default_factory=dict[int, int])
    pmd_mapped: int = 0
    zero_page: int = 0
    zero_inside: int = 0
    lingering: int = 0
    swapped: int = 0
    exact: bool = False
    smaps: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A native run: the figures as the simulator has them, and what only the kernel tells.

    `size_statistics` are the changes of hugepages-*/stats by order, `differences` the
    settings that were not as the workload has them.
    """

    workload: str
    description: str
    seed: int
    kernel: str
    run: Run
    areas: tuple[AreaFigures, ...] = ()
    size_statistics: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    differences: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The outcome as JSON can hold it: `runs` as of a simulation, and `kernel`.

        Of a cgroup only those counters are there that the kernel has for cgroups.
        """
        return {
            "workload": {"name": self.workload, "description": self.description},
            "policy": None,
            "seeds": [self.seed],
            "runs": [run_document(self.run, self.seed)],
            "kernel": {
                "release": self.kernel,
                "areas": [asdict(area) for area in self.areas],
                "size_statistics": {str(k): v for k, v in self.size_statistics.items()},
                "differences": list(self.differences),
            },
        }


def run_document(run: Run, seed: int) -> dict[str, Any]:
    """A run as the report of a simulation has it."""
    return {
        "name": run.name,
        "policy": run.policy,
        "setting": {},
        "seed": seed,
        "total": _figures(run.total),
        "cgroups": {path: _figures(run.cgroups[path]) for path in sorted(run.cgroups)},
        "process_seconds": {
            name: run.process_seconds[name] for name in sorted(run.process_seconds)
        },
        "rules": [],
        "no_opinion": run.no_opinion,
        "notes": list(run.notes),
        "timeline": asdict(run.timeline),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    unknown = COUNTERS.keys() - figures.counters.keys()
    return {name: v for name, v in figures_document(figures).items() if name not in unknown}
