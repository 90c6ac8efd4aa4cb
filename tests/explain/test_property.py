"""Random policies and requests: what is shown is what the evaluator does."""

from __future__ import annotations

from functools import reduce
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyc.explain.account import Account, account_of
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, evaluate
from policyc.simulate.values import REQUESTS
from tests.differential.compare import checked_plan
from tests.explain.recompute import disagreements
from tests.strategies.policies import Generated, policies, policy_of_seed
from tests.strategies.requests import Requests, World, states


def accounts(generated: Generated, seed: int, count: int) -> list[Account]:
    """Accounts of some requests, in several states of the policy."""
    plan, random = checked_plan(generated)[1], Random(seed)
    world = World(plan, random)
    return [
        account_of(plan, hook, whole(hook, request.values), state)
        for hook in plan.hooks
        for state in states(plan, random)
        for request in Requests(plan, hook, world, random).make(count)
    ]


def whole(hook: n.HookPlan, values: dict[str, n.ConstValue | None]) -> Values:
    """The request with every attribute, and the depth that its cgroup has."""
    cgroup = values.get("cgroup")
    depth = None if cgroup is None else len([part for part in str(cgroup).split("/") if part])
    return REQUESTS[hook.hook.value].from_values({**values, "cgroup.depth": depth}).values()


@pytest.mark.parametrize("seed", range(25))
def test_seeded(seed: int) -> None:
    for account in accounts(policy_of_seed(seed), seed, 2):
        check_steps(account)
        check_nearest(account)


@given(policies(), st.integers(0, 1000))
def test_any(generated: Generated, seed: int) -> None:
    for account in accounts(generated, seed, 1)[:2]:
        check_steps(account)
        check_nearest(account)


def check_steps(account: Account) -> None:
    """The values of the steps follow from each other, and lead to what the evaluator found."""
    explanation = account.explanation
    plan, hook = explanation.plan, explanation.hook
    values, state = explanation.values, explanation.state
    lets: dict[str, object] = {}
    shown = [steps for block in account.blocks for steps in block.rules]
    for steps in sorted(shown, key=lambda steps: steps.found == "not reached"):
        for step in (steps.condition, steps.answer):
            if step is not None:
                assert disagreements(step, plan, values, state, lets) == []
        value = True if steps.condition is None else steps.condition.value is True
        assert steps.would_hold is value
        assert steps.found != "fails" or not value
    outcome = evaluate(plan, hook, values, state)
    for block, fired in zip(account.blocks, outcome.fired, strict=True):
        holding = [steps.rule for steps in block.rules if steps.found == "holds"]
        assert holding == ([] if fired is None else [fired])
        if fired is not None:
            first = next(steps for steps in block.rules if steps.would_hold)
            assert first.rule is fired
    check_combination(account, outcome)


def check_combination(account: Account, outcome: Outcome) -> None:
    """The opinions that are said to count give the decision."""
    combined = account.combination
    assert len(combined.counted) + len(combined.ignored) == len(outcome.opinions)
    if account.explanation.hook.hook is n.HookName.THP:
        requested = int(account.explanation.values["orders"] or 0)
        met = reduce(lambda mask, opinion: mask & opinion.orders, combined.counted, requested)
        assert met == outcome.orders
    else:
        on = bool(combined.counted) and all(opinion.on for opinion in combined.counted)
        assert on is outcome.on


def check_nearest(account: Account) -> None:
    """Each change is of one thing, legal, and gives another answer; the nearest comes first."""
    explanation = account.explanation
    plan, hook = explanation.plan, explanation.hook
    distances = [change.distance for change in account.nearest.changes]
    assert distances == sorted(distances)
    before = explanation.outcome
    for change in account.nearest.changes:
        after = evaluate(plan, hook, change.values, change.state)
        assert after == change.outcome
        assert differ(hook, before, after)
        REQUESTS[hook.hook.value].from_values(change.values)
        differing = {
            name
            for name in {*explanation.values, *change.values}
            if explanation.values.get(name) != change.values.get(name)
        }
        if change.kind == "attribute":
            follows = {"memory.free"}
            if change.name == "cgroup":
                of_cgroup = {name for name in differing if name.startswith("cgroup.")}
                follows = {"cgroup.depth"} if change.after is not None else of_cgroup
            assert change.name in differing
            assert differing <= {change.name, *follows}
            assert change.state == explanation.state
        else:
            assert not differing
            assert changed_names(explanation.state, change.state) == [change.name]
        check_range(plan, change.state)


def differ(hook: n.HookPlan, before: Outcome, after: Outcome) -> bool:
    """Whether the answers differ."""
    if hook.hook is n.HookName.THP:
        return before.orders != after.orders
    return (before.on, before.hot_threshold) != (after.on, after.hot_threshold)


def changed_names(before: State, after: State) -> list[str]:
    """The sets and parameters that differ."""
    sets = [name for name in before.sets if before.sets[name] != after.sets[name]]
    return sets + [name for name in before.params if before.params[name] != after.params[name]]


def check_range(plan: n.Plan, state: State) -> None:
    """No parameter is outside its range."""
    for param in plan.params:
        assert param.low <= state.params[param.name] <= param.high
