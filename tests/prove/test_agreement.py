"""The logic means what the evaluator means, on random policies, requests and states."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")

from policyc.plan import nodes as n
from policyc.prove import terms as t
from tests.differential.compare import checked_plan
from tests.prove.agreement import Logic, as_request, meaning
from tests.strategies.policies import policy_of_seed
from tests.strategies.requests import Requests, World, states

POLICIES = int(os.environ.get("POLICYC_PROVED_POLICIES", "200"))
REQUESTS = 200
SHARDS = 10


def questions(plan: n.Plan, hook: n.HookPlan, seed: int, count: int) -> Any:
    """Requests with states, the first state first."""
    random = Random(seed)
    world = World(plan, random)
    situations = states(plan, random)
    for state in situations:
        for request in Requests(plan, hook, world, random).make(count // len(situations)):
            yield as_request(request.values), state


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_logic_agrees_with_the_evaluator(shard: int) -> None:
    asked = 0
    for seed in range(shard, POLICIES, SHARDS):
        text, plan = checked_plan(policy_of_seed(seed))
        for hook in plan.hooks:
            logic = Logic(plan, hook)
            for values, state in questions(plan, hook, seed, REQUESTS):
                expected = meaning(plan, hook, values, state)
                assert logic.meaning(values, state) == expected, (values, state, text)
                asked += 1
    assert asked >= REQUESTS * 0.9 * len(range(shard, POLICIES, SHARDS))


@pytest.mark.parametrize("seed", range(12))
def test_the_solver_finds_no_other_answer_to_one_request(seed: int) -> None:
    """The same through the solver, which must not find any other value of an output."""
    _, plan = checked_plan(policy_of_seed(seed))
    hook = plan.hooks[0]
    logic = Logic(plan, hook)
    for values, state in questions(plan, hook, seed, 8):
        solver = t.z3.Solver()
        for constraint in logic.inputs.constraints:
            solver.add(t.term(constraint))
        for variable, value in logic.inputs.assignment(values, state):
            known = bool(value) if t.z3.is_bool(variable) else value
            solver.add(variable == known)
        assert solver.check() == t.z3.sat
        expected = meaning(plan, hook, values, state)
        outputs = (logic.answer.opinion, logic.answer.orders, logic.answer.on)
        for output, value in zip(outputs, expected, strict=False):
            if not isinstance(output, (bool, int)):
                assert solver.check(output != value) == t.z3.unsat, (values, state)
