"""Random policies in the running kernel: the verifier takes every one, and they mean the same.

POLICYC_KERNEL_POLICIES and POLICYC_KERNEL_REQUESTS say how many.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from random import Random

import pytest

from policyc.emit.clang import ToolMissing, find_clang
from tests.differential.compare import (
    checked_plan,
    host_lane,
    kernel_lane,
    reference_lane,
)
from tests.differential.failures import find_failure, smallest_failure
from tests.differential.lanes import kernel
from tests.differential.lanes.kernel import KernelLane
from tests.strategies.policies import policy_of_seed
from tests.strategies.requests import Requests, World, states

POLICIES = int(os.environ.get("POLICYC_KERNEL_POLICIES", "200"))
REQUESTS = int(os.environ.get("POLICYC_KERNEL_REQUESTS", "5000"))
SHARDS = 10
FIRST_SEED = 1_000_000
LANES = (reference_lane, kernel_lane)


def _unavailable() -> str:
    try:
        find_clang()
    except ToolMissing as missing:
        return str(missing)
    return kernel.available()


pytestmark = [
    pytest.mark.kernel,
    pytest.mark.slow,
    pytest.mark.skipif(bool(_unavailable()), reason=_unavailable() or "-"),
]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_kernel_agrees(shard: int) -> None:
    for place in range(shard, POLICIES, SHARDS):
        seed = FIRST_SEED + place
        if find_failure(seed, REQUESTS, LANES) is not None:
            pytest.fail(f"seed {seed}: {smallest_failure(seed, REQUESTS, LANES)}", pytrace=False)


@pytest.mark.parametrize("seed", range(2_000_000, 2_000_020))
def test_rules_are_counted(seed: int) -> None:
    """The counters are the rules that fired, in the kernel and on the host."""
    _, plan = checked_plan(policy_of_seed(seed))
    random = Random(seed)
    world = World(plan, random)
    expected = dict.fromkeys((rule.index for rule in plan.rules), 0)
    with ExitStack() as stack:
        meaning = reference_lane(plan, world, stack)
        in_kernel, on_host = kernel_lane(plan, world, stack), host_lane(plan, world, stack)
        for hook in plan.hooks:
            requests = Requests(plan, hook, world, random).make(400)
            for state in states(plan, random):
                in_kernel.decide(hook, requests, state)
                on_host.decide(hook, requests, state)
                for verdict in meaning.decide(hook, requests, state):
                    for index in verdict.fired:
                        if index is not None:
                            expected[index] += 1
        assert isinstance(in_kernel.inner, KernelLane)
        assert in_kernel.inner.counters() == expected
        assert not isinstance(on_host.inner, KernelLane)
        assert on_host.inner.counters() == expected
    assert sum(expected.values()) > 0
