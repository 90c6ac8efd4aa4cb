"""The emitted C means what the reference evaluator says, on the host and in the kernel."""

from __future__ import annotations

from random import Random

import pytest

from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.layout import Answer, answer_layout, pack_request, request_layout, unpack_answer
from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values, evaluate
from tests.differential.lanes import host, kernel
from tests.emit.bpf_plans import cgroup_id, random_plan, random_state, random_values

SEEDS = range(60)


def expected(plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> Answer:
    outcome = evaluate(plan, hook, values, state)
    value = outcome.orders if hook.hook is n.HookName.THP else int(outcome.on)
    fired = tuple(None if rule is None else rule.index for rule in outcome.fired)
    return Answer(value, bool(outcome.opinions), outcome.hot_threshold, fired)


def check(
    plan: n.Plan, lane: host.HostLane | kernel.KernelLane, seed: int, states: int, requests: int
) -> None:
    random = Random(seed)
    (hook,) = plan.hooks
    layout, answers = request_layout(plan, hook), answer_layout(plan, hook)
    for _ in range(states):
        state = random_state(random)
        lane.set_state(state)
        batch = [random_values(random, hook.hook, plan.paths) for _ in range(requests)]
        got = lane.decide(hook, [pack_request(layout, values, cgroup_id) for values in batch])
        for values, data in zip(batch, got, strict=True):
            assert unpack_answer(answers, data) == expected(plan, hook, values, state), values


@pytest.mark.skipif(bool(host.available()), reason=host.available() or "-")
@pytest.mark.parametrize("seed", SEEDS)
def test_host_agrees(seed: int) -> None:
    plan = random_plan(seed)
    with host.HostLane(plan, cgroup_id) as lane:
        check(plan, lane, seed, 3, 100)


@pytest.mark.skipif(bool(kernel.available()), reason=kernel.available() or "-")
@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_agrees(seed: int) -> None:
    plan = random_plan(seed)
    data = compile_object(emit_bpf(plan, profiles()["testrun"]))
    with kernel.KernelLane(plan, data, cgroup_id) as lane:
        check(plan, lane, seed, 3, 100)


@pytest.mark.skipif(bool(kernel.available()), reason=kernel.available() or "-")
@pytest.mark.parametrize("paths", [64, 65, 200])
def test_many_paths(paths: int) -> None:
    plan = random_plan(5, paths)
    data = compile_object(emit_bpf(plan, profiles()["testrun"]))
    with kernel.KernelLane(plan, data, cgroup_id) as lane:
        check(plan, lane, paths, 2, 100)
    with host.HostLane(plan, cgroup_id) as lane:
        check(plan, lane, paths, 2, 100)
