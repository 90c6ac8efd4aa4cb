"""Coverage against a count of its own: what the evaluator has really asked, on random policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from policyc.plan import evaluate as evaluator
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, cgroup_mix
from policyc.testing import Coverage
from tests.differential.compare import checked_plan
from tests.strategies.policies import policy_of_seed
from tests.strategies.requests import Requests, World, states

SEEDS = 100
REQUESTS = 12

_ORIGINAL = evaluator._value


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[tuple[int, bool]]]:
    """How often the evaluator came to each value of each expression, by identity."""
    seen: Counter[tuple[int, bool]] = Counter()

    def value(env: Any, expr: n.Expr) -> n.ConstValue | None:
        found = _ORIGINAL(env, expr)
        seen[id(expr), found is True] += 1
        return found

    with monkeypatch.context() as patch:
        patch.setattr(evaluator, "_value", value)
        yield seen


class Expected:
    """What requests have reached, counted without looking at conditions."""

    def __init__(self) -> None:
        self.rules: Counter[int] = Counter()
        self.scopes: Counter[tuple[n.HookName, int, bool]] = Counter()
        self.rollouts: Counter[tuple[n.HookName, int, bool]] = Counter()
        self.combined: Counter[n.HookName] = Counter()

    def add(self, plan: n.Plan, hook: n.HookPlan, values: Values, outcome: Outcome) -> None:
        """One more request."""
        cgroup, number = values.get("cgroup"), values.get("cgroup.id")
        answers = 0
        for block, fired in zip(hook.blocks, outcome.fired, strict=True):
            is_inside = True
            if block.scope is not None:
                path = plan.paths[block.scope].rstrip("/") + "/"
                is_inside = cgroup is not None and f"{str(cgroup).rstrip('/')}/".startswith(path)
                # Ancestors that are too far above are not looked at.
                is_inside &= str(cgroup).rstrip("/").count("/") - path.rstrip("/").count("/") < 32
                self.scopes[hook.hook, block.index, is_inside] += 1
            if is_inside and block.rollout is not None:
                share = block.rollout.value if isinstance(block.rollout, n.Const) else None
                if share is None:
                    admitted = fired is not None
                else:
                    admitted = number is not None and cgroup_mix(int(number)) % 10_000 < int(share)
                self.rollouts[hook.hook, block.index, admitted] += 1
            if fired is not None:
                self.rules[fired.index] += 1
                answers += not isinstance(fired.action, n.Pass)
        self.combined[hook.hook] += answers > 1


def _requests(plan: n.Plan, seed: int) -> Iterator[tuple[n.HookPlan, Values, State]]:
    random = Random(seed)
    world = World(plan, random)
    for hook in plan.hooks:
        for state in states(plan, random):
            for request in Requests(plan, hook, world, random).make(REQUESTS):
                yield hook, request.values, state


@pytest.mark.parametrize("seed", range(SEEDS))
def test_counts_are_what_the_evaluator_asked(seed: int, monkeypatch: pytest.MonkeyPatch):
    plan = checked_plan(policy_of_seed(seed))[1]
    coverage, expected = Coverage(plan), Expected()
    asked: Counter[tuple[int, bool]] = Counter()
    for hook, values, state in _requests(plan, seed):
        with recorded(monkeypatch) as seen:
            outcome = evaluator.evaluate(plan, hook, values, state)
        asked += seen
        coverage.add(hook, values, state, outcome)
        expected.add(plan, hook, values, outcome)

    for place, known in coverage.conditions.items():
        found = coverage.outcomes[place]
        key = id(known.expr)
        assert (found.yes, found.no) == (asked[key, True], asked[key, False]), known
    for rule in plan.rules:
        assert coverage.rules[rule.index].yes == expected.rules[rule.index]
    for counted, wanted in (
        (coverage.scopes, expected.scopes),
        (coverage.rollouts, expected.rollouts),
    ):
        for where, found in counted.items():
            assert (found.yes, found.no) == (wanted[*where, True], wanted[*where, False])
    for hook, found in coverage.combined.items():
        assert found.yes == expected.combined[hook]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_happens_is_never_left_out(seed: int):
    plan = checked_plan(policy_of_seed(seed))[1]
    coverage = Coverage(plan)
    for hook, values, state in _requests(plan, seed):
        # The checker does not look at how deep a cgroup is: one of 40 levels is not `under "/"`.
        if str(values.get("cgroup")).count("/") < n.MAX_CGROUP_LEVELS:
            coverage.add(hook, values, state, evaluator.evaluate(plan, hook, values, state))
    countable = coverage.countable
    for place, known in coverage.conditions.items():
        found = coverage.outcomes[place]
        assert not found.yes or True in known.possible, known
        assert not found.no or False in known.possible, known
    for rule in plan.rules:
        assert not coverage.rules[rule.index].yes or rule.index in countable.rules
    for counted, possible in (
        (coverage.scopes, countable.scopes),
        (coverage.rollouts, countable.rollouts),
    ):
        for where, found in counted.items():
            assert not found.yes or True in possible[where]
            assert not found.no or False in possible[where]


def test_share_is_what_was_seen_of_what_counts():
    plan = checked_plan(policy_of_seed(3))[1]
    coverage = Coverage(plan)
    assert coverage.tally().percent < 100
    for hook, values, state in _requests(plan, 3):
        coverage.add(hook, values, state, evaluator.evaluate(plan, hook, values, state))
    tally = coverage.tally()
    every = [
        (seen, known.possible)
        for seen, known in zip(
            coverage.outcomes.values(), coverage.conditions.values(), strict=True
        )
    ]
    reached = sum((seen.yes > 0) * (True in values) for seen, values in every)
    reached += sum((seen.no > 0) * (False in values) for seen, values in every)
    assert tally.conditions.reached == reached
    assert tally.conditions.whole == sum(len(values) for _, values in every)
