"""Times the model of memory management against a plain numpy replay of the same accesses.

Usage: python benchmarks/bench_model.py [--json] [--quick]

The replay draws the same pages, reads the order of each and counts what is not there: it
knows nothing of folios, limits, nodes or time. The model does all of that. Both run in this
process, in turns; the figures are the best of three. The second half shows that time grows
with touches and with processes, and no faster. Exits with 1 if a figure is missed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policyc.simulate.engine import simulate
from policyc.simulate.model.patterns import DRAWN
from policyc.simulate.workload import shipped
from policyc.simulate.workload.reader import read_workload
from policyc.simulate.workload.specification import (
    GIB,
    MIB,
    Cgroup,
    Machine,
    Node,
    Pattern,
    Phase,
    Process,
    Thp,
    Vma,
    Workload,
)

#: The figures to reach: touches a second on one core, seconds and bytes of the largest run,
#: and how much more than twice the time twice the work may take.
TOUCHES, SECONDS, MEMORY, SLACK = 20e6, 30.0, 2 * GIB, 1.25

SIZE = GIB


def workload(pattern: Pattern, touches: int, enabled: str = "always", size: int = SIZE) -> Workload:
    """One process that fills its memory, then touches it."""
    return Workload(
        name=pattern.value,
        machine=Machine(
            nodes=(Node(memory=128 * GIB, cpus=8),),
            thp=Thp(enabled=enabled, sizes={4: "inherit"}),
        ),
        processes=(
            Process(
                name="worker",
                vmas=(Vma(name="heap", size=size),),
                phases=(Phase(pattern=pattern, vma="heap", touches=touches, write=0.5, threads=4),),
            ),
        ),
    )


def many(cgroups: int) -> Workload:
    """A process in each cgroup, with a limit."""
    return Workload(
        name="many",
        machine=Machine(nodes=(Node(memory=128 * GIB, cpus=64),), thp=Thp(enabled="always")),
        cgroups=tuple(Cgroup(path=f"/pod-{n}", memory_max=64 * MIB) for n in range(cgroups)),
        processes=tuple(
            Process(
                name=f"worker-{n}",
                cgroup=f"/pod-{n}",
                vmas=(Vma(name="heap", size=16 * MIB),),
                phases=(Phase(pattern=Pattern.ZIPF, vma="heap", touches=100_000, rate=50_000.0),),
            )
            for n in range(cgroups)
        ),
    )


def replay(pattern: Pattern, touches: int) -> None:
    """The same accesses and nothing else: draw, look up, count, mark."""
    rng = np.random.default_rng(1)
    pages = SIZE // 4096
    order = np.full(pages, 255, np.uint8)
    missing = 0
    for start in range(0, touches, DRAWN):
        count = min(DRAWN, touches - start)
        match pattern:
            case Pattern.SEQUENTIAL:
                touched = np.arange(start, start + count) % pages
            case Pattern.ZIPF:
                power = 1 - 0.99
                top = (1.0 + pages) ** power - 1
                rank = ((rng.random(count) * top + 1) ** (1 / power) - 1).astype(np.int64)
                touched = np.minimum(rank, pages - 1)
            case _:
                touched = rng.integers(0, pages, count)
        missing += int(np.count_nonzero(order[touched] == 255))
        order[touched] = 9


def best(action: Callable[[], object]) -> float:
    """Seconds, the least of three."""
    times: list[float] = []
    for _ in range(3):
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return min(times)


def peak_of_the_largest() -> tuple[float, float]:
    """Seconds and bytes of the 64 GB run of the tiering benchmark, in a process of its own."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_largest)


def _largest() -> tuple[float, float]:
    import resource

    found = read_workload(shipped.workload("abench"), ["size=64G"])
    start = perf_counter()
    simulate(found, name="abench")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return perf_counter() - start, float(used)


def main() -> int:
    """0 if all figures are reached."""
    quick = "--quick" in sys.argv
    touches = 4_000_000 if quick else 40_000_000
    rows: list[dict[str, float | str]] = []
    missed: list[str] = []
    for pattern in (Pattern.SEQUENTIAL, Pattern.UNIFORM, Pattern.ZIPF):
        for enabled in ("always", "never"):
            what = workload(pattern, touches, enabled)
            model = best(lambda what=what: simulate(what, name="x"))
            plain = best(lambda pattern=pattern: replay(pattern, touches))
            rate = touches / model
            rows.append(
                {
                    "accesses": f"{pattern.value}, {enabled}",
                    "model": rate,
                    "numpy": touches / plain,
                    "ratio": model / plain,
                }
            )
            if rate < TOUCHES and not quick:
                missed.append(f"{pattern.value}, {enabled}: {rate / 1e6:.1f} M touches a second")
    growth = _growth(touches, missed)
    largest = (0.0, 0.0) if quick else peak_of_the_largest()
    if largest[0] > SECONDS or largest[1] > MEMORY:
        missed.append(f"64 GB: {largest[0]:.1f} s, {largest[1] / GIB:.2f} GiB")
    if "--json" in sys.argv:
        print(json.dumps({"rows": rows, "growth": growth, "largest": largest, "missed": missed}))
    else:
        _print(rows, growth, largest)
        for line in missed:
            print(f"missed: {line}")
    return 1 if missed else 0


def _growth(touches: int, missed: list[str]) -> dict[str, float]:
    """How much longer twice as many touches take, and ten times as many cgroups."""
    base = workload(Pattern.UNIFORM, touches)
    double = replace(
        base,
        processes=tuple(
            replace(p, phases=tuple(replace(f, touches=2 * touches) for f in p.phases))
            for p in base.processes
        ),
    )
    small, large = (100, 200) if touches < 10_000_000 else (100, 1000)
    times = [best(lambda n=n: simulate(many(n), name="x")) for n in (small, large)]
    growth = {
        "twice the touches": best(lambda: simulate(double, name="x"))
        / best(lambda: simulate(base, name="x")),
        f"{large} cgroups for {small}": times[1] / times[0],
        "seconds with the most cgroups": times[1],
    }
    if growth["twice the touches"] > 2 * SLACK:
        missed.append("time grows faster than touches")
    if times[1] / times[0] > large / small * SLACK:
        missed.append("time grows faster than cgroups")
    return growth


def _print(
    rows: list[dict[str, float | str]], growth: dict[str, float], largest: tuple[float, float]
) -> None:
    print(f"{'accesses':<22}{'model':>14}{'numpy':>14}{'time, ratio':>13}")
    for row in rows:
        model, plain = float(row["model"]) / 1e6, float(row["numpy"]) / 1e6
        ratio = float(row["ratio"])
        print(f"{row['accesses']:<22}{model:>11.1f} M/s{plain:>11.1f} M/s{ratio:>12.2f}")
    for name, value in growth.items():
        print(f"{name:<36}{value:>10.2f}")
    if largest[0]:
        print(f"64 GB of abench: {largest[0]:.1f} s, {largest[1] / GIB:.2f} GiB")


if __name__ == "__main__":
    sys.exit(main())
