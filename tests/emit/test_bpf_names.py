"""The name of a task ends at its first NUL, whatever the kernel left behind it."""

from __future__ import annotations

from random import Random

import pytest

from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.layout import answer_layout, pack_request, request_layout, unpack_answer
from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from policyc.plan.types import ORDERS, STRING
from tests.differential.lanes import host, kernel
from tests.emit.bpf_plans import cgroup_id


def names_plan() -> n.Plan:
    """One rule: the task's name is in a set."""
    rules = (
        n.Rule(0, n.InSet(n.Attribute(STRING, "task.comm"), "names"), n.Pass(), "", 1, ""),
        n.Rule(1, None, n.Allow(n.Const(ORDERS, 0)), "", 2, ""),
    )
    hook = n.HookPlan(n.HookName.THP, n.Combine.MEET, (n.Block(0, None, 0, None, rules, None, 1),))
    sets = (n.SetDefinition("names", STRING, (), 1),)
    return n.Plan("p", "p.thp", n.Target(), (), sets, (), (), hook, None, ())


def check(lane: host.HostLane | kernel.KernelLane, plan: n.Plan) -> None:
    (hook,) = plan.hooks
    layout, answers = request_layout(plan, hook), answer_layout(plan, hook)
    offset = layout.field("task.comm").offset
    random = Random(1)
    # Bytes around 0x00, 0x01 and 0x80 are those that word tricks go wrong with.
    alphabet = b"\x01\x7f\x80\x81\xffa"
    for length in range(16):
        name = bytes(random.choices(alphabet, k=length))
        lane.set_state(State({"names": frozenset([name])}, {}))
        request = bytearray(pack_request(layout, {"orders": 1, "task.comm": name}, cgroup_id))
        for _ in range(20):
            garbage = bytes(random.choices(b"\0\0" + alphabet, k=15 - length))
            request[offset : offset + 16] = name + b"\0" + garbage
            (data,) = lane.decide(hook, [bytes(request)])
            assert unpack_answer(answers, data).fired == (0,), (name, garbage)
        if name:
            request[offset + length - 1] ^= 0x42
            (data,) = lane.decide(hook, [bytes(request)])
            assert unpack_answer(answers, data).fired == (1,), name


@pytest.mark.skipif(bool(host.available()), reason=host.available() or "-")
def test_host_ignores_what_is_behind_the_nul() -> None:
    plan = names_plan()
    with host.HostLane(plan, cgroup_id) as lane:
        check(lane, plan)


@pytest.mark.skipif(bool(kernel.available()), reason=kernel.available() or "-")
def test_kernel_ignores_what_is_behind_the_nul() -> None:
    plan = names_plan()
    data = compile_object(emit_bpf(plan, profiles()["testrun"]))
    with kernel.KernelLane(plan, data, cgroup_id) as lane:
        check(lane, plan)
