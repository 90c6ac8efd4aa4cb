"""Asks a generated function and one written by hand the same questions, and prints the ratio.

Usage: python benchmarks/python_decision.py [--json]

Both run in this process, in turns, so that a machine that gets slower or faster in between
changes neither more than the other. The figures are medians.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns

from policyc.api import Policy
from policyc.plan import nodes as n
from policyc.plan.types import CGROUP, ORDERS, PERCENT, SIZE, Kind, Type
from policyc.runtime.requests import ThpRequest

ROUNDS = 201
CALLS = 2_000

REQUESTS = (
    ThpRequest(orders=0x3FC, cgroup="/kubepods/java/web-1", event="khugepaged"),
    ThpRequest(orders=0x3FC, cgroup="/kubepods/burstable/a", vma_size=16 << 20),
    ThpRequest(orders=0x3FC, cgroup="/system.slice/cron", vma_advice="hugepage"),
    ThpRequest(orders=0x200, cgroup="/system.slice/cron"),
    ThpRequest(orders=0x3FC, cgroup="/kubepods/java/web-2", cgroup_psi_memory_full_avg10=2_000),
    ThpRequest(orders=0x3FC),
)


def small_policy() -> n.Plan:
    """Five rules over pressure, a set, a path, the event and what madvise(2) said."""
    event, advice = Type(Kind.ENUM, "event"), Type(Kind.ENUM, "advice")
    cgroup = n.Attribute(CGROUP, "cgroup")
    pressure = n.Attribute(PERCENT, "cgroup.psi.memory.full.avg10")
    equal, at_least = n.CompareOperator.EQUAL, n.CompareOperator.GREATER_EQUAL
    squeezed = n.Compare(n.CompareOperator.GREATER, pressure, n.Param(PERCENT, "ceiling"))
    scanned = n.Compare(equal, n.Attribute(event, "event"), n.Const(event, "khugepaged"))
    large = n.Compare(at_least, n.Attribute(SIZE, "vma.size"), n.Const(SIZE, 8 << 20))
    advised = n.Compare(equal, n.Attribute(advice, "vma.advice"), n.Const(advice, "hugepage"))
    answers: tuple[tuple[n.Expr | None, int], ...] = (
        (squeezed, 0),
        (n.And((n.UnderSet(cgroup, "java"), scanned)), 1 << 9),
        (n.And((n.UnderPath(cgroup, 0), large)), 0x1F),
        (advised, n.ALL_ORDERS),
        (None, 0),
    )
    rules = tuple(
        n.Rule(index, condition, n.Allow(n.Const(ORDERS, orders)), "", index + 1, "")
        for index, (condition, orders) in enumerate(answers)
    )
    block = n.Block(0, None, 0, None, rules, None, 1)
    return n.Plan(
        name="small",
        file="small.thp",
        target=n.Target(),
        paths=("/kubepods/burstable",),
        sets=(n.SetDefinition("java", CGROUP, ("/kubepods/java",), 1),),
        params=(n.ParamDefinition("ceiling", PERCENT, 1_000, 0, 10_000, 1),),
        locals=(),
        thp=n.HookPlan(n.HookName.THP, n.Combine.MEET, (block,)),
        numa=None,
        host=(),
    )


JAVA = {"/kubepods/java"}
CEILING = 1_000


def by_hand(request: ThpRequest) -> int:
    """The same policy as a Python programmer would write it, with the state in globals."""
    pressure = request.cgroup_psi_memory_full_avg10
    if pressure is not None and pressure > CEILING:
        return 0
    cgroup = request.cgroup
    if cgroup is not None:
        if request.event == "khugepaged":
            for path in JAVA:
                if cgroup == path or cgroup.startswith(path + "/"):
                    return request.orders & 0x200
        if request.vma_size >= 8 << 20 and (
            cgroup == "/kubepods/burstable" or cgroup.startswith("/kubepods/burstable/")
        ):
            return request.orders & 0x1F
    if request.vma_advice == "hugepage":
        return request.orders
    return 0


def nanoseconds(function: Callable[[ThpRequest], int]) -> float:
    """The time of one call, over a mix of requests."""
    calls = REQUESTS * (CALLS // len(REQUESTS))
    start = perf_counter_ns()
    for request in calls:
        function(request)
    return (perf_counter_ns() - start) / len(calls)


def measure() -> dict[str, float]:
    """The medians of both functions and of their ratio, round by round."""
    generated = Policy(small_policy()).thp_orders
    assert all(generated(request) == by_hand(request) for request in REQUESTS)
    rounds = [(nanoseconds(generated), nanoseconds(by_hand)) for _ in range(ROUNDS)]
    return {
        "generated_ns": statistics.median(ours for ours, _ in rounds),
        "by_hand_ns": statistics.median(theirs for _, theirs in rounds),
        "ratio": statistics.median(ours / theirs for ours, theirs in rounds),
    }


def main() -> None:
    """Print the figures."""
    figures = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps(figures))
        return
    print(f"generated  {figures['generated_ns']:6.0f} ns")
    print(f"by hand    {figures['by_hand_ns']:6.0f} ns")
    print(f"ratio      {figures['ratio']:6.2f}")


if __name__ == "__main__":
    main()
