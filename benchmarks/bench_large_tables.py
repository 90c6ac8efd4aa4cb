"""What a policy with a rule for each of many cgroups costs: 10, 1,000 and 10,000 rules.

Run: python benchmarks/bench_large_tables.py [--json]

The emitted program runs in this kernel with BPF_PROG_TEST_RUN, which times many runs of one
request; the generated Python is asked the same. The figures are the medians of rounds in
which the sizes take turns. The cgroups are spread over the table and 3 levels deep, the last
of them in no rule. Needs root and clang.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policyc.api import Policy
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.layout import answer_layout, pack_request, request_layout
from policyc.hooks.loader import profiles
from policyc.kernel.objects import load
from policyc.kernel.testrun import TestRun
from policyc.plan import nodes as n
from policyc.plan.types import CGROUP, ORDERS
from policyc.runtime.requests import ThpRequest
from tests.differential.lanes import kernel
from tests.differential.lanes.kernel import KernelLane

SIZES = (10, 1_000, 10_000)
ROUNDS = 15
REPEAT = 20_000
CALLS = 300


def policy(count: int) -> n.Plan:
    """A rule for each of many cgroups, with one of five answers."""
    cgroup = n.Attribute(CGROUP, "cgroup")
    rules = [
        n.Rule(i, n.UnderPath(cgroup, i), n.Allow(n.Const(ORDERS, 0x10 << i % 5)), "", i + 1, "")
        for i in range(count)
    ]
    rules.append(n.Rule(count, None, n.Allow(n.Const(ORDERS, 0)), "", count + 1, "otherwise"))
    block = n.Block(0, None, 0, None, tuple(rules), None, 1)
    hook = n.HookPlan(n.HookName.THP, n.Combine.MEET, (block,))
    paths = tuple(f"/pods/{i}" for i in range(count))
    return n.Plan("large", "large.thp", n.Target(), paths, (), (), (), hook, None, ())


def cgroups(count: int) -> list[str]:
    """Where the requests come from."""
    return [f"/pods/{number}/app" for number in (0, count // 3, count // 2, count - 1, count)]


@dataclass(frozen=True)
class Size:
    """A policy of one size, ready to be asked."""

    count: int
    compile_seconds: float
    verified: int
    lane: KernelLane
    run: TestRun
    requests: list[bytes]
    python: Policy
    python_requests: list[ThpRequest]


def prepare(count: int) -> Size:
    """Compile, load and fill the tables."""
    plan = policy(count)
    (hook,) = plan.hooks
    start = time.perf_counter()
    # As the programs for the hooks walk up the tree.
    data = compile_object("#define POLICYC_MAY_GOTO\n" + emit_bpf(plan, profiles()["testrun"]))
    seconds = time.perf_counter() - start
    with load(data) as loaded:
        (program,) = loaded.programs
    ids: dict[str, int] = {}

    def number(path: str) -> int:
        return ids.setdefault(path, len(ids) + 1)

    lane = KernelLane(plan, data, number)
    layout = request_layout(plan, hook)
    requests = [
        pack_request(layout, {"orders": 0x3FE, "cgroup": path}, number) for path in cgroups(count)
    ]
    run = TestRun(
        lane.loaded.program_descriptor("thp"), layout.size + answer_layout(plan, hook).size
    )
    asked = [ThpRequest(orders=0x3FE, cgroup=path) for path in cgroups(count)]
    return Size(
        count, seconds, program.verified_instructions, lane, run, requests, Policy(plan), asked
    )


def kernel_ns(size: Size) -> float:
    """The mean time of a decision, over the requests."""
    return statistics.mean(size.run.time(request, REPEAT) for request in size.requests)


def python_ns(size: Size) -> float:
    """The mean time of a decision, over the requests."""
    ask, requests = size.python.thp_orders, size.python_requests
    start = time.perf_counter_ns()
    for _ in range(CALLS // len(requests)):
        for request in requests:
            ask(request)
    return (time.perf_counter_ns() - start) / (CALLS // len(requests) * len(requests))


def main() -> None:
    """Print the figures."""
    if kernel.available():
        print(f"skipped: {kernel.available()}")
        return
    sizes = [prepare(count) for count in SIZES]
    kernel_rounds = [[kernel_ns(size) for size in sizes] for _ in range(ROUNDS)]
    python_rounds = [[python_ns(size) for size in sizes] for _ in range(ROUNDS)]
    rows: list[dict[str, float]] = []
    for place, size in enumerate(sizes):
        rows.append(
            {
                "rules": size.count,
                "compile_seconds": size.compile_seconds,
                "verified_instructions": size.verified,
                "kernel_ns": statistics.median(r[place] for r in kernel_rounds),
                "kernel_ratio": statistics.median(r[place] / r[0] for r in kernel_rounds),
                "python_ns": statistics.median(r[place] for r in python_rounds),
                "python_ratio": statistics.median(r[place] / r[0] for r in python_rounds),
            }
        )
        size.lane.close()
    if "--json" in sys.argv[1:]:
        print(json.dumps(rows))
        return
    print(" rules  compile  verified  kernel  ratio   Python  ratio")
    for row in rows:
        print(
            f"{row['rules']:6}  {row['compile_seconds']:5.2f} s  {row['verified_instructions']:8}"
            f"  {row['kernel_ns']:3.0f} ns  {row['kernel_ratio']:5.2f}"
            f"  {row['python_ns']:4.0f} ns  {row['python_ratio']:5.2f}"
        )


if __name__ == "__main__":
    main()
