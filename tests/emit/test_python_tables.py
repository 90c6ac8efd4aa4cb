"""Tables in generated Python mean what their rules mean, one after the other."""

from __future__ import annotations

from random import Random
from time import perf_counter
from typing import Any

import pytest

from policyc.api import Policy
from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, evaluate
from policyc.plan.passes.tables import tables_of
from policyc.runtime.requests import NumaRequest, ThpRequest
from tests.emit.bpf_plans import random_state, random_table_plan, random_values
from tests.emit.test_bpf_tables import chain
from tests.outcomes import outcome_of

SEEDS = range(120)
BATCHES = 6
REQUESTS = 60


def request_of(
    hook: n.HookName, values: dict[str, n.ConstValue | None]
) -> ThpRequest | NumaRequest:
    kind = ThpRequest if hook is n.HookName.THP else NumaRequest
    derived = {row.name for row in attributes().values() if row.derived}
    fields: dict[str, Any] = {
        name.replace(".", "_"): value for name, value in values.items() if name not in derived
    }
    return kind(**fields)


def set_state(policy: Policy, state: State) -> None:
    for name, members in state.sets.items():
        policy.state.sets[name].replace(members)
    for name, value in state.params.items():
        policy.state.params[name] = bool(value) if name == "bool" else value


@pytest.mark.parametrize("batch", range(BATCHES))
def test_tables_agree_with_the_evaluator(batch: int) -> None:
    for seed in SEEDS[batch::BATCHES]:
        plan = random_table_plan(seed)
        (hook,) = plan.hooks
        policy, random = Policy(plan), Random(seed)
        state = random_state(random)
        for count in range(REQUESTS):
            if count % 20 == 0:
                state = random_state(random)
                set_state(policy, state)
            values = random_values(random, hook.hook, plan.paths)
            request = request_of(hook.hook, values)
            expected = evaluate(plan, hook, request.values(), state)
            assert outcome_of(plan, policy.decide(request)) == expected, (seed, request)
            if isinstance(request, ThpRequest):
                assert policy.thp_orders(request) == expected.orders, (seed, request)


def test_ten_thousand_rules_are_one_look_up() -> None:
    plan = chain(10_000)
    assert tables_of(plan).tables
    start = perf_counter()
    policy = Policy(plan)
    loaded = perf_counter()
    for number in range(0, 10_001, 100):
        orders = policy.thp_orders(ThpRequest(orders=0x3FF, cgroup=f"/pods/{number}/app"))
        assert orders == (0x3FF & 0x10 << number % 5 if number < 10_000 else 0x3FF)
    # As branches the loop takes some 8,000,000 tests of a path: seconds, not milliseconds.
    assert perf_counter() - loaded < 0.25
    assert loaded - start < 20
