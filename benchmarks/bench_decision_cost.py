"""What a decision costs in the kernel: ours beside the same policy written by hand in C.

Run: python benchmarks/bench_decision_cost.py [--json]

The thp blocks of examples/fleet.thp run in this kernel with BPF_PROG_TEST_RUN on requests that
different rules answer. By hand is benchmarks/decision_by_hand.bpf.c; on random requests it must
first say the same as ours. An empty program shows what running any program costs, and is
subtracted; a system call that does nothing shows what is left of the call itself. The programs
take turns, and the fastest round of each counts: whatever else the machine does only adds.
Needs root, clang and libbpf's headers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policyc.check import check_text
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.layout import answer_layout, pack_request, request_layout, unpack_answer
from policyc.hooks.loader import profiles
from policyc.kernel.objects import Loaded, load
from policyc.kernel.state import fill
from policyc.kernel.testrun import TestRun
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from tests.differential.lanes import kernel
from tests.strategies.requests import Requests, World, states

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 40
REPEAT = 20_000
COMPARED = 5_000

#: Ours may be that much slower than by hand: this many nanoseconds, or this part.
NANOSECONDS, PART = 1.0, 0.05

_USUAL: dict[str, n.ConstValue] = {
    "orders": 0x3FE,
    "event": "pagefault",
    "vma.advice": "none",
    "vma.size": 16 << 20,
    "vma.stack": False,
    "mm.rss": 64 << 20,
    "task.comm": b"java",
    "cgroup.psi.memory.full.avg10": 0,
    "memory.usage": 1 << 30,
    "memory.max": 8 << 30,
}

#: What differs from the request above, by the rule that answers.
REQUESTS: dict[str, dict[str, n.ConstValue]] = {
    "no cgroup": {},
    "under pressure": {"cgroup": "/system.slice", "cgroup.psi.memory.full.avg10": 5_000},
    "java, khugepaged": {"cgroup": "/kubepods/java/web-1", "event": "khugepaged"},
    "burstable, large area": {"cgroup": "/kubepods/burstable/pod/app"},
    "advised": {"cgroup": "/user.slice/user-1000.slice", "vma.advice": "hugepage"},
    "tuned name": {"cgroup": "/system.slice/memcached", "task.comm": b"memcached"},
    "batch, otherwise": {"cgroup": "/kubepods/batch/job/main"},
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program with its runner."""

    name: str
    loaded: Loaded
    run: TestRun


def plan_of_fleet() -> n.Plan:
    """The example's plan."""
    path = ROOT / "examples" / "fleet.thp"
    plan = check_text(path.read_bytes(), path.name, profiles=["testrun"]).plan
    assert plan is not None
    return plan


def candidate(name: str, data: bytes, program: str, size: int) -> Candidate:
    """A loaded program of an object."""
    loaded = load(data)
    return Candidate(name, loaded, TestRun(loaded.program_descriptor(program), size))


def candidates(plan: n.Plan, size: int) -> list[Candidate]:
    """The empty program, by hand, and ours without and with counters of rules."""
    by_hand = compile_object(
        (ROOT / "benchmarks" / "decision_by_hand.bpf.c").read_text("utf-8"), name="by_hand.bpf.c"
    )
    hook, profile = plan.hooks[0], profiles()["testrun"]
    # As the programs for the hooks walk up the tree, where the kernel can.
    walk = kernel.MAY_GOTO if kernel.has_may_goto() else ""
    plain, counting = (
        compile_object(walk + emit_bpf(plan, profile, hook=hook, counters=counters))
        for counters in (False, True)
    )
    return [
        candidate("empty program", by_hand, "nothing", size),
        candidate("by hand", by_hand, "thp", size),
        candidate("ours", plain, "thp", size),
        candidate("ours, counting rules", counting, "thp", size),
    ]


def check_agreement(plan: n.Plan, programs: list[Candidate], state: State) -> None:
    """By hand and ours say the same, or the comparison is void."""
    hook, random = plan.hooks[0], Random(1)
    layout, answers = request_layout(plan, hook), answer_layout(plan, hook)
    world = World(plan, random)
    requests = Requests(plan, hook, world, random).make(COMPARED)
    for values in (state, *states(plan, random)):
        for item in programs:
            fill(item.loaded, plan, values, world.id)
        for request in requests:
            packed = pack_request(layout, request.values, world.id)
            said = {
                unpack_answer(answers, item.run.run(packed)[layout.size :]) for item in programs
            }
            if len(said) != 1:
                raise SystemExit(f"not the same decision: {said} for {request.values}")


def system_call() -> float:
    """The time of a system call that does nothing."""
    rounds = 100_000
    start = time.perf_counter_ns()
    for _ in range(rounds):
        os.getppid()
    return (time.perf_counter_ns() - start) / rounds


def measure(programs: list[Candidate], requests: dict[str, bytes]) -> dict[str, dict[str, float]]:
    """The fastest round of each program for each request, as the kernel measures it (whole ns)."""
    best = {item.name: dict.fromkeys(requests, float("inf")) for item in programs}
    for _ in range(ROUNDS):
        for name, data in requests.items():
            for item in programs:
                best[item.name][name] = min(best[item.name][name], item.run.time(data, REPEAT))
    return best


def main() -> None:
    plan = plan_of_fleet()
    hook = plan.hooks[0]
    layout = request_layout(plan, hook)
    programs = candidates(plan, layout.size + answer_layout(plan, hook).size)
    ids: dict[str, int] = {}

    def number(path: str) -> int:
        return ids.setdefault(path, len(ids) + 1)

    state = State(
        {item.name: frozenset(item.members) for item in plan.sets},
        {item.name: item.default for item in plan.params},
    )
    deciding = programs[1:]
    check_agreement(plan, deciding, state)
    for item in deciding:
        fill(item.loaded, plan, state, number)
    requests = {
        name: pack_request(layout, {**_USUAL, **values}, number)
        for name, values in REQUESTS.items()
    }
    call = min(system_call() for _ in range(5))
    best = measure(programs, requests)
    report(call, best)


def report(call: float, best: dict[str, dict[str, float]]) -> None:
    """Print the figures."""
    floor = best.pop("empty program")
    names = list(best)
    net = {name: {r: best[name][r] - floor[r] for r in floor} for name in names}
    mean = {name: sum(net[name].values()) / len(floor) for name in names}
    more = mean["ours"] - mean["by hand"]
    if "--json" in sys.argv:
        document = {"system_call_ns": call, "empty_program_ns": floor, "decision_ns": net}
        print(json.dumps({**document, "mean_ns": mean, "ours_minus_by_hand_ns": more}, indent=2))
        return
    print(f"a system call that does nothing {call:8.1f} ns")
    print(f"an empty program                {sum(floor.values()) / len(floor):8.1f} ns")
    print("\nns per decision, without what the empty program takes")
    print(f"{'':24}" + "".join(f"{name:>22}" for name in names) + f"{'ours / by hand':>16}")
    for request in floor:
        row = [net[name][request] for name in names]
        print(f"{request:24}" + "".join(f"{v:22.1f}" for v in row) + f"{row[1] / row[0]:16.2f}")
    row = [mean[name] for name in names]
    print(f"{'mean':24}" + "".join(f"{v:22.1f}" for v in row) + f"{row[1] / row[0]:16.2f}")
    within = more <= max(NANOSECONDS, PART * mean["by hand"])
    print(
        f"\nours takes {more:+.1f} ns ({more / mean['by hand']:+.1%}): "
        f"{'within' if within else 'more than'} 1 ns or 5 % of by hand"
    )


if __name__ == "__main__":
    main()
