"""Whether a policy keeps what its tests and properties promise, by the reference evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policyc.plan import cases as c
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, evaluate, value_of

__all__ = ["Verdict", "first_state", "property_holds", "result_values", "run_case"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one expectation: the request, the state, the outcome, and if it is met."""

    expectation: c.Expectation
    given: c.Given
    state: State
    outcome: Outcome
    met: bool


def first_state(plan: n.Plan) -> State:
    """The sets and parameters as the policy says."""
    return State(
        {item.name: frozenset(item.members) for item in plan.sets},
        {item.name: item.default for item in plan.params},
    )


def hook_of(plan: n.Plan, hook: n.HookName) -> n.HookPlan:
    """The blocks of a hook; none of them where the policy does not answer it."""
    found = next((item for item in plan.hooks if item.hook is hook), None)
    default = n.Combine.MEET if hook is n.HookName.THP else n.Combine.NEAREST
    return found or n.HookPlan(hook, default, ())


# -- properties


def result_values(hook: n.HookName, outcome: Outcome) -> dict[str, n.ConstValue | None]:
    """The attributes that stand for the answer."""
    if hook is n.HookName.THP:
        return {c.RESULT: outcome.orders}
    return {c.RESULT: outcome.on, c.RESULT_HOT_THRESHOLD: outcome.hot_threshold}


def property_holds(
    plan: n.Plan, promise: c.Property, values: Values, outcome: Outcome, state: State
) -> bool:
    """Whether a property holds for a request and the answer to it."""
    known = {**values, **result_values(promise.hook, outcome)}
    return value_of(plan, promise.condition, known, state) is True


# -- tests


def run_case(plan: n.Plan, case: c.TestCase) -> Iterator[Verdict]:
    """What becomes of each expectation of a test, in order."""
    hook = hook_of(plan, case.hook)
    state, given = first_state(plan), None
    for step in case.steps:
        match step:
            case c.Given():
                given = step
            case c.SetMembers(name, members):
                state = State({**state.sets, name: frozenset(members)}, state.params)
            case c.SetParam(name, value):
                state = State(state.sets, {**state.params, name: value})
            case c.Expectation(expected):
                assert given is not None
                values = dict(given.values)
                outcome = evaluate(plan, hook, values, state)
                met = _is_met(expected, values, outcome)
                yield Verdict(step, given, state, outcome, met)


def _is_met(expected: c.Expected, values: Values, outcome: Outcome) -> bool:
    match expected:
        case c.ExpectOrders(orders):
            requested = values["orders"]
            assert isinstance(requested, int)
            return outcome.orders == requested & orders
        case c.ExpectBalance(on, hot_threshold):
            same = hot_threshold is None or outcome.hot_threshold == hot_threshold
            return outcome.on == on and same
        case c.ExpectNoOpinion():
            return not outcome.opinions
