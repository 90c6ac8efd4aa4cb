"""The model beside kernels: what workloads did natively, and what the model says they do.

Usage: python benchmarks/model_kernel.py [--json] [DIRECTORY...]

DIRECTORY holds what the tests in the VM left: results/LANE of the test bed, by default all of
those in ${XDG_CACHE_HOME:-~/.cache}/policyc-testbed. Without any, the workloads of
tests/kernel/workloads run on this machine, as far as it permits (as root). Exits with 1 if a
figure differs by more than the case allows, 3 if there is nothing to compare with.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policyc.simulate.results import COUNTERS
from policyc.simulate.workload.reader import read_workload
from policyc.simulate.workload.runner import Missing, run
from tests.kernel.comparing import Compared, compared, listing
from tests.kernel.modelled import CASES


def recorded(directories: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What kernels in VMs did: the lane, and what a test left."""
    for directory in directories:
        for file in sorted(directory.glob("*/files/model/*.json")):
            yield directory.name, json.loads(file.read_text("utf-8"))


def made_here() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the cases without a policy on this machine; the others need the hooks."""
    for case in CASES:
        if case.policy:
            continue
        try:
            outcome = run(read_workload(case.file, case.overrides), apply=True, patience=120)
        except (Missing, OSError) as error:
            print(f"{case.name} cannot run here: {error}", file=sys.stderr)
            continue
        document = outcome.document()
        _leave_out_others(document["runs"][0])
        yield "here", {"case": case.name, "profile": "", "outcome": document}


def _leave_out_others(run: dict[str, Any]) -> None:
    """Leave out what this kernel counts for the whole machine, where others run too."""
    total, root = run["total"], run["cgroups"]["/"]
    for name in ("faults_by_order", *COUNTERS):
        if name == "faults_by_order" or name not in root:
            total.pop(name, None)


def worst(found: Sequence[Compared]) -> Iterator[tuple[str, float, str]]:
    """The largest error of each figure that is compared, and of which case it is."""
    errors: dict[str, tuple[float, str]] = {}
    for each in found:
        for row in each.rows:
            if row.name not in each.case.apart and row.kernel and not each.case.killed:
                before = errors.get(row.name, (-1.0, ""))
                errors[row.name] = max(before, (abs(row.error), each.case.name))
    for name, (error, case) in sorted(errors.items()):
        yield name, error, case


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--json"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = sorted((cache / "policyc-testbed/results").glob("*"))
    directories = [Path(argument) for argument in arguments] or kept
    abouts = list(recorded(directories)) or list(made_here())
    if not abouts:
        print("nothing to compare with: make test-kernel, or run this as root", file=sys.stderr)
        return 3
    found = [(lane, compared(about)) for lane, about in abouts]
    if "--json" in sys.argv:
        print(json.dumps([_document(lane, each) for lane, each in found], indent=2))
    else:
        for lane in dict.fromkeys(lane for lane, _ in found):
            mine = [each for other, each in found if other == lane]
            print(f"== {lane}: kernel, model, difference")
            print(listing(mine))
            print("\n-- the largest difference of each figure")
            for name, error, case in worst(mine):
                print(f"    {name:28} {error:>8.2%}  {case if error else ''}".rstrip())
    return int(any(each.wrong or each.case.killed != each.model_killed for _, each in found))


def _document(lane: str, each: Compared) -> dict[str, Any]:
    return {
        "lane": lane,
        "case": each.case.name,
        "profile": each.profile,
        "killed": {"kernel": each.case.killed, "model": each.model_killed},
        "apart": dict(each.case.apart),
        "rows": [
            {
                "where": row.where,
                "name": row.name,
                "kernel": row.kernel,
                "model": row.model,
                "allowed": each.allowed(row.name),
            }
            for row in each.rows
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
