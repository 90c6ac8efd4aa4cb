"""The model beside the table of the kmmscand RFC: abench on CXL memory, three ways.

The reference is the cover letter of "mm: slowtier page promotion based on PTE A bit", V1, of
19 March 2025: seconds that abench took on a machine with 512 CPUs. Three numbers of the model
were fitted to the 8 GB row: the latencies of fast and slow memory, which abench.toml has, and
the share of migrations that fail under contention (`Costs.contended`). The other rows are
predictions.

    python benchmarks/model_kmmscand.py [GB ...]
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

#: Seconds by size in GB: NUMAB2, NUMAB1, kmmscand.
REFERENCE = {
    8: (134.33, 186.71, 120.52),
    16: (292.24, 376.09, 275.97),
    32: (585.06, 744.37, 546.49),
    64: (1278.98, 1534.49, 1205.20),
}
BASELINES = ("numab2", "numab1", "kmmscand")
FITTED = 8

#: What is asked of the predictions, in percent.
WITHIN = 10.0


def predict(size: int, baseline: str) -> float:
    """Seconds that abench takes in the model."""
    from policyc.simulate.baselines import applied
    from policyc.simulate.engine import simulate
    from policyc.simulate.workload.reader import read_workload

    path = REPOSITORY / "examples" / "workloads" / "abench.toml"
    workload = applied(read_workload(path, [f"size={size}G"]), baseline)
    return simulate(workload, name=baseline).total.run_seconds


def main(sizes: list[int]) -> int:
    """Print the table; 1 if a prediction is too far off."""
    missed = 0
    print("abench, seconds: model, reference, difference; and what the model itself took")
    print(f"{'':>6} " + " ".join(f"{name:>28}" for name in BASELINES))
    for size in sizes:
        cells: list[str] = []
        for baseline, reference in zip(BASELINES, REFERENCE[size], strict=True):
            start = time.process_time()
            found = predict(size, baseline)
            took = time.process_time() - start
            off = (found / reference - 1) * 100
            missed += size != FITTED and abs(off) > WITHIN
            cells.append(f"{found:8.1f} {reference:8.1f} {off:+5.1f}% {took:3.0f}s")
        note = "  (fitted)" if size == FITTED else ""
        print(f"{size:>3} GB " + " ".join(cells) + note, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of the model: {peak:.0f} MiB")
    if missed:
        print(f"{missed} predictions are off by more than {WITHIN:.0f} %")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    sys.exit(main([int(size) for size in sys.argv[1:]] or list(REFERENCE)))
