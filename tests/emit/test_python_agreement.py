"""The generated functions give the outcome of the reference evaluator for every request."""

from __future__ import annotations

from random import Random

import pytest

from policyc.api import Policy
from policyc.plan import nodes as n
from policyc.plan.evaluate import evaluate
from policyc.runtime.requests import NumaRequest, ThpRequest
from tests.emit.python_plans import random_plan, random_request
from tests.outcomes import outcome_of, plan_state

PLANS = 400
REQUESTS = 60
BATCHES = 8


def change_state(policy: Policy, random: Random) -> None:
    policy.state.params["share"] = random.choice([0, 1, 2_500, 10_000])
    policy.state.params["room"] = random.choice([0, 1, (1 << 64) - 1])
    policy.state.params["switch"] = random.random() < 0.5
    policy.state.sets["groups"].replace(random.choice([[], ["/"], ["/a", "/0/1/2"], ["/a/bc"]]))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_generated_functions_agree_with_the_evaluator(batch: int):
    for seed in range(batch, PLANS, BATCHES):
        plan = random_plan(seed)
        assert plan.thp is not None
        assert plan.numa is not None
        policy = Policy(plan)
        random = Random(seed)
        for count in range(REQUESTS):
            if count == REQUESTS // 2:
                change_state(policy, random)
            state = plan_state(policy.state)
            thp = random_request(random, ThpRequest)
            expected = evaluate(plan, plan.thp, thp.values(), state)
            assert outcome_of(plan, policy.decide(thp)) == expected, (seed, thp)
            assert policy.thp_orders(thp) == expected.orders, (seed, thp)
            numa = random_request(random, NumaRequest)
            expected = evaluate(plan, plan.numa, numa.values(), state)
            assert outcome_of(plan, policy.decide(numa)) == expected, (seed, numa)


def test_random_plans_decide_in_different_ways():
    """The comparison above would prove nothing if every request got the same answer."""
    rules: set[int | None] = set()
    shares: set[str] = set()
    for seed in range(40):
        plan = random_plan(seed)
        policy = Policy(plan)
        random = Random(seed)
        for _ in range(REQUESTS):
            decision = policy.decide(random_request(random, ThpRequest))
            rules.add(None if decision.rule is None else decision.rule.index)
            narrowed = decision.orders != decision.requested
            shares.add("none" if not decision.orders else "some" if narrowed else "all")
            assert len(decision.fired) == len(plan.thp.blocks if plan.thp else ())
    assert shares == {"none", "some", "all"}
    assert len(rules) > 10
    assert None in rules


def test_combine_modes_are_all_drawn():
    combines = {
        hook.combine for seed in range(60) for hook in random_plan(seed).hooks if hook.blocks[1:]
    }
    assert combines == set(n.Combine)
