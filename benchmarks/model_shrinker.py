"""The model of the shrinker of underused huge pages beside the figures of its author.

Run: python benchmarks/model_shrinker.py [--json]

Two experiments of the cover letter and thread of "mm: split underutilized THPs" (Usama Arif,
July 2024): `stress` with a stride in half the memory it asks for, and servers of a fleet
under madvise, always, and always with the shrinker. The workload of the second is fitted on
the column of always, so that only the last one is a prediction. Exits with 1 if a figure is
off: the first experiment must be exact, the prediction within half a point.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policyc.simulate.baselines import applied
from policyc.simulate.engine import simulate
from policyc.simulate.results import Run
from policyc.simulate.workload import shipped
from policyc.simulate.workload.reader import read_workload
from policyc.simulate.workload.specification import Workload

#: max_ptes_none, shrink_underused, and whether the OOM killer came.
STRESS = (
    (450, False, True),
    (470, False, True),
    (0, True, False),
    (450, True, False),
    (470, True, False),
    (471, True, True),
    (510, True, True),
)

#: Percent over madvise, and whether the workload was fitted on it.
FLEET = {
    ("always", "performance"): (1.8, True),
    ("always", "memory"): (7.7, True),
    ("always+shrinker", "performance"): (1.7, False),
    ("always+shrinker", "memory"): (2.4, False),
}

#: Points of a percent: the letter gives one decimal.
FITTED, PREDICTED = 0.1, 0.5


@dataclass(frozen=True)
class Figure:
    """One figure of the reference, and the model's."""

    name: str
    reference: float
    model: float
    bound: float

    @property
    def good(self) -> bool:
        """Whether the model is near enough."""
        return abs(self.model - self.reference) <= self.bound


def killed(workload: Workload, ceiling: int, *, shrink: bool) -> bool:
    """Whether the OOM killer comes in the stress experiment."""
    machine = replace(
        workload.machine,
        thp=replace(workload.machine.thp, shrink_underused=shrink),
        khugepaged=replace(workload.machine.khugepaged, max_ptes_none=ceiling),
    )
    run = simulate(replace(workload, machine=machine), name="stress")
    return run.total.counters["oom_kill"] > 0


def stress() -> list[Figure]:
    """The edge between 470 and 471."""
    workload = read_workload(shipped.workload("stress-stride"))
    return [
        Figure(
            f"OOM kill, max_ptes_none {ceiling}, shrinker {'on' if shrink else 'off'}",
            float(expected),
            float(killed(workload, ceiling, shrink=shrink)),
            0.0,
        )
        for ceiling, shrink, expected in STRESS
    ]


def fleet() -> list[Figure]:
    """The table of the cover letter."""
    workload = read_workload(shipped.workload("shrinker-fleet"))
    runs = {
        name: simulate(applied(workload, name), name=name)
        for name in ("madvise", "always", "always+shrinker")
    }
    return [
        Figure(
            f"{name}: {what}, % over madvise{' (fitted)' if fitted else ''}",
            reference,
            percent(what, runs[name], runs["madvise"]),
            FITTED if fitted else PREDICTED,
        )
        for (name, what), (reference, fitted) in FLEET.items()
    ]


def percent(what: str, run: Run, madvise: Run) -> float:
    """How much more memory, or how much faster."""
    if what == "memory":
        return (run.cgroups["/web"].memory_bytes / madvise.cgroups["/web"].memory_bytes - 1) * 100
    return (madvise.process_seconds["web"] / run.process_seconds["web"] - 1) * 100


def main() -> int:
    """Print the figures; 1 if one is off."""
    start = time.perf_counter()
    figures = stress() + fleet()
    seconds = time.perf_counter() - start
    if "--json" in sys.argv[1:]:
        rows = [{**vars(each), "good": each.good} for each in figures]
        print(json.dumps({"figures": rows, "seconds": round(seconds, 2)}, indent=2))
    else:
        print(f"{'':58} reference    model")
        for each in figures:
            mark = "" if each.good else "   OFF"
            print(f"{each.name:58} {each.reference:9.1f} {each.model:8.2f}{mark}")
        print(f"all of them simulated in {seconds:.1f} s")
    return 0 if all(each.good for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
