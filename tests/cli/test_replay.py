"""The engine of simulate: the quick requests of a trace are those of the API."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import asdict

import policyc
from policyc.plan.evaluate import State, evaluate
from policyc.runtime.checks import U64_MAX
from policyc.simulate.replay import compare, replay
from policyc.simulate.trace import read_trace, shipped_trace
from tests.cli.commands import POLICY, ROOT, environment


def state_of(policy: policyc.Policy) -> State:
    """The present state of a policy, as the evaluator takes it."""
    sets = {name: members.members for name, members in policy.state.sets.items()}
    return State(sets, {name: int(policy.state.params[name]) for name in policy.state.params})


def test_requests_of_a_trace_are_ordinary_requests() -> None:
    with shipped_trace().open("rb") as stream:
        for entry in read_trace(stream):
            values = dict(entry.request.values())
            kind = policyc.ThpRequest if entry.hook == "thp" else policyc.NumaRequest
            assert isinstance(entry.request, kind)
            rebuilt = kind.from_values(values)
            assert asdict(rebuilt) == asdict(entry.request)
            assert repr(rebuilt) == repr(entry.request)


def test_every_decision_is_that_of_the_evaluator() -> None:
    policy = policyc.loads((ROOT / "examples" / "fleet.thp").read_bytes())
    hooks = {hook.hook.value: hook for hook in policy.plan.hooks}
    state = state_of(policy)
    with shipped_trace().open("rb") as stream:
        for entry in read_trace(stream):
            decision = policy.decide(entry.request)
            outcome = evaluate(policy.plan, hooks[entry.hook], entry.request.values(), state)
            rule = outcome.decided_by
            assert (decision.rule and decision.rule.index) == (rule and rule.index)
            if isinstance(decision, policyc.ThpDecision):
                assert decision.orders == outcome.orders


def read(*lines: dict[str, object]) -> list[policyc.ThpRequest | policyc.NumaRequest]:
    """The requests of some lines."""
    data = "\n".join(map(json.dumps, lines)).encode()
    return [entry.request for entry in read_trace(io.BytesIO(data))]


def test_values_of_a_line() -> None:
    (request,) = read(
        {
            "hook": "thp",
            "orders": ["64K", 9],
            "vma.size": "4096",
            "task.pid": "0x10",
            "task.comm": "\udcff-x",
            "cgroup": "/a/b",
            "cgroup.id": str(U64_MAX),
            "memory.max": "8G",
            "memory.free": "3G",
            "psi.io.some.avg10": "0.5%",
            "time": 1.5,
            "comment": ["anything"],
        }
    )
    assert isinstance(request, policyc.ThpRequest)
    assert request.orders == 1 << 4 | 1 << 9
    assert (request.vma_size, request.task_pid) == (4096, 16)
    assert request.task_comm == b"\xff-x"
    assert (request.cgroup_depth, request.cgroup_id) == (2, U64_MAX)
    assert (request.memory_usage, request.memory_free) == (5 << 30, 3 << 30)
    assert request.psi_io_some_avg10 == 50
    assert request.event == "pagefault"


def test_requests_share_nothing() -> None:
    first, second = read({"hook": "numa", "cgroup": "/a", "task.uid": 1}, {"hook": "numa"})
    assert (first.cgroup, first.task_uid) == ("/a", 1)
    assert (second.cgroup, second.task_uid) == (None, None)


def test_state_counts_in_a_replay() -> None:
    policy = policyc.loads(POLICY)
    line = b'{"hook": "thp", "orders": "all", "cgroup": "/jvm", "event": "khugepaged"}\n'
    before = replay(policy, read_trace(io.BytesIO(line)))
    policy.state.sets["java"].add("/jvm")
    after = replay(policy, read_trace(io.BytesIO(line)))
    assert before.hooks["thp"].outcomes["no opinion"] == 1
    assert after.hooks["thp"].outcomes["narrowed"] == 1
    other = policyc.loads(POLICY)
    assert compare(policy, other, read_trace(io.BytesIO(line * 3)), keep=2).count == 3


def test_trace_and_schema_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "make_trace.py"), "--check"]
    assert subprocess.run(command, env=environment(), check=False).returncode == 0
    assert shipped_trace().stat().st_size < 1_000_000
