"""Tests and properties while somebody types: all of a test, and a quick look at a property."""

from __future__ import annotations

import time
from random import Random

from policyc.plan import nodes as n
from policyc.plan.cases import Property
from policyc.plan.evaluate import evaluate
from policyc.plan.promises import property_holds, run_case
from policyc.testing.maker import Maker

__all__ = ["outcomes"]

#: Requests that a property is tried with; `policyc test` tries many more.
_REQUESTS = 25

#: The time for all properties of a policy, in seconds; nobody is to wait for them.
_PATIENCE = 0.04


class _Dice:
    """Small decisions, the same ones each time."""

    def __init__(self) -> None:
        self._random = Random(0)

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        return self._random.randrange(count)


def outcomes(plan: n.Plan) -> dict[int, str]:
    """What to show above each test and property, by the line it begins on."""
    found: dict[int, str] = {}
    for case in plan.tests:
        met = [verdict.met for verdict in run_case(plan, case)]
        count = f"{sum(met)} of {len(met)}"
        found[case.line] = f"passes ({count})" if all(met) else f"FAILS ({count})"
    end = time.perf_counter() + _PATIENCE
    for promise in plan.properties:
        holds = _holds(plan, promise, end)
        if holds is None:
            title = "not tried here, which would take long: `policyc test` does"
        elif holds:
            title = f"holds for {_REQUESTS} generated requests"
        else:
            title = "FAILS: `policyc test` shows for which request"
        found[promise.line] = title
    return found


def _holds(plan: n.Plan, promise: Property, end: float) -> bool | None:
    """Whether a property holds for some requests; None if time is up before that is known."""
    if time.perf_counter() > end:
        return None
    maker, dice = Maker(plan, promise.hook, promise.condition), _Dice()
    for _ in range(_REQUESTS):
        if time.perf_counter() > end:
            return None
        values, state = maker.situation(dice)
        outcome = evaluate(plan, maker.hook, values, state)
        if not property_holds(plan, promise, values, outcome, state):
            return False
    return True
