"""Looking for a request for which a property does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from policyc.plan import cases as c
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, evaluate
from policyc.plan.promises import property_holds
from policyc.testing.maker import Maker
from policyc.testing.smallest import smallest
from policyc.testing.strategies import Situation

__all__ = ["Counterexample", "look"]

#: Told of each example: the blocks that were asked, the request, the state and the outcome.
Watch = Callable[[n.HookPlan, Values, State, Outcome], None]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The smallest request that was found for which a property does not hold.

    `names` are the attributes that say what kind of request it is; all others are as
    `policyc decide` has them.
    """

    values: Values
    state: State
    outcome: Outcome
    names: tuple[str, ...]


_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


#: Where the choices for some situations start from.
_NUMBERS = st.integers(0, (1 << 64) - 1)

_CGROUP_ID = "cgroup.id"

#: How many situations follow from one number.
_AT_ONCE = 10


class _FoundError(Exception):
    """A request for which the property does not hold."""


def look(
    plan: n.Plan, promise: c.Property, *, examples: int, seed: int, watch: Watch | None = None
) -> tuple[int, Counterexample | None]:
    """How many requests were tried, and the smallest for which the property does not hold.

    The same plan, number and seed give the same answer.
    """
    maker = Maker(plan, promise.hook, promise.condition)
    tried = 0

    def fails(values: Values, state: State) -> bool:
        outcome = evaluate(plan, maker.hook, values, state)
        return not property_holds(plan, promise, values, outcome, state)

    def broken(situation: Situation) -> bool:
        nonlocal tried
        tried += 1
        values, state = situation
        outcome = evaluate(plan, maker.hook, values, state)
        if watch is not None:
            watch(maker.hook, values, state, outcome)
        return not property_holds(plan, promise, values, outcome, state)

    found = _search(maker, broken, examples, seed)
    if found is None:
        return tried, None
    values, state = smallest(maker, *found, fails)
    outcome = evaluate(plan, maker.hook, values, state)
    if values.get(_CGROUP_ID) is not None:
        numbers = (None, *maker.pools[_CGROUP_ID])
        others = [{**values, _CGROUP_ID: number} for number in numbers]
        if all(evaluate(plan, maker.hook, other, state) == outcome for other in others):
            values = others[0]  # no rollout looks at it
    return tried, Counterexample(values, state, outcome, _names(maker, values))


class _Simplest:
    """The first of everything."""

    def below(self, count: int) -> int:
        return 0


class _Seeded:
    """Choices that follow from a number."""

    def __init__(self, number: int) -> None:
        self._random = Random(number).random

    def below(self, count: int) -> int:
        return int(self._random() * count)


def _search(
    maker: Maker, broken: Callable[[Situation], bool], examples: int, number: int
) -> Situation | None:
    """The first situation that is broken, if one is; `examples` of them are tried.

    Hypothesis chooses numbers, and several situations follow from each of them: a choice of
    its own for each choice in them would take most of the time. What was found is made smaller
    by what is known of policies.
    """
    found: list[Situation] = []
    left = examples

    @seed(number)
    @settings(
        max_examples=-(-examples // _AT_ONCE),
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=_CHECKS,
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(_NUMBERS)
    def example(number: int) -> None:
        nonlocal left
        if found:  # hypothesis runs it once more, to be sure
            raise _FoundError
        choices = _Seeded(number)
        for _ in range(min(_AT_ONCE, left)):
            situation = maker.situation(_Simplest() if left == examples else choices)
            left -= 1
            if broken(situation):
                found.append(situation)
                raise _FoundError

    try:
        example()
    except _FoundError:
        return found[0]
    return None


def _names(maker: Maker, values: Values) -> tuple[str, ...]:
    """The attributes of a counterexample that are not what they are if nobody says anything."""

    def is_usual(name: str, first: n.ConstValue | None) -> bool:
        if name == _CGROUP_ID:  # has no usual value: without one, every rollout leaves it out
            return values[name] is None
        return name != "orders" and values[name] == first

    return tuple(name for name, pool in maker.pools.items() if not is_usual(name, pool[0]))
