"""The boundary generator as strategies of hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from hypothesis import strategies as st

from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.testing.maker import Maker

__all__ = ["Situation", "requests", "situations", "situations_of", "states"]

#: The values of a request, and the sets and parameters at that moment.
Situation: TypeAlias = tuple[Values, State]


@cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


class _Drawn:
    """Choices that hypothesis makes."""

    __slots__ = ("_draw",)

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return self._draw(_below(count)) if count > 1 else 0


def requests(
    plan: n.Plan, hook: n.HookName | n.HookPlan | str, *, state: State | None = None
) -> st.SearchStrategy[ThpRequest | NumaRequest]:
    """Requests of a hook, as `Policy.decide` takes them.

    Their values are those at which the conditions of the policy change: its constants and
    the numbers next to them, its paths with parents, children and look-alikes, members of
    sets, orders that it names, absent values, ends of ranges. Attributes that decide nothing
    have their defaults. `state` is what is in the sets and parameters, as the policy starts
    if nothing is given.
    """
    maker = Maker(plan, hook)
    return _values(maker, state).map(maker.request.from_values)


def states(plan: n.Plan) -> st.SearchStrategy[State]:
    """What can be in the sets and parameters of a policy, parameters within their ranges."""
    hook = plan.hooks[0].hook if plan.hooks else n.HookName.THP
    maker = Maker(plan, hook)

    @st.composite
    def made(draw: st.DrawFn) -> State:
        return maker.state(_Drawn(draw), every=True)

    return made()


def situations(
    plan: n.Plan, hook: n.HookName | n.HookPlan | str, about: n.Expr | None = None
) -> st.SearchStrategy[Situation]:
    """The values of a request with a state, as the evaluator takes them.

    Half of them are led towards a condition, if one is given: so that it holds, or does not.
    """
    return situations_of(Maker(plan, hook, about))


def situations_of(maker: Maker) -> st.SearchStrategy[Situation]:
    """The same, of a maker that is there."""

    @st.composite
    def made(draw: st.DrawFn) -> Situation:
        return maker.situation(_Drawn(draw))

    return made()


def _values(maker: Maker, state: State | None) -> st.SearchStrategy[Values]:
    from policyc.plan.promises import first_state

    moment = first_state(maker.plan) if state is None else state

    @st.composite
    def made(draw: st.DrawFn) -> Values:
        return maker.values(_Drawn(draw), moment)

    return made()
