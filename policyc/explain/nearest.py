"""The nearest change of one thing for which the policy would give another answer.

Changes are measured so that they can be compared. The distance of a number is the difference
as a share of the larger of both, that of a percentage the difference itself (12.5% to 10% is
0.025), that of an order set the share of its orders that are in only one of both, and that of a
cgroup the same of the steps from the root. Another name, another bool, another cgroup id, and
one member of a set have the distance 1; a value that appears or disappears has the distance 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from policyc.explain.candidates import Candidate, Changeable, ChangeKind, changeables
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, evaluate
from policyc.plan.types import NUMERIC, Kind, Type
from policyc.runtime.checks import PERCENT_MAX
from policyc.simulate.values import Value

__all__ = ["Change", "Nearest", "distance", "nearest_changes"]

#: How many rules are looked at in search of other answers: at most some seconds.
_BUDGET = 500_000

#: And of small policies, how many requests.
_MOST_REQUESTS = 20_000

_ANOTHER, _APPEARS = 1.0, 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change and the answer that the evaluator gives after it.

    `before` and `after` are None for an absent value; for a set `after` is a member that is
    added, or `before` one that is taken out. `values` and `state` are those after the change.
    """

    kind: ChangeKind
    name: str
    type: Type
    before: Value
    after: Value
    distance: float
    values: Values
    state: State
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each thing that can be changed to another answer its nearest change, nearest first.

    `tried` counts the requests that were asked; `complete` is false if there were too many to
    ask, then what is there is still the nearest, but farther changes may be missing.
    """

    changes: tuple[Change, ...]
    tried: int
    complete: bool


def nearest_changes(plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> Nearest:
    """The nearest change of each attribute, parameter and set, as the evaluator confirms it."""
    before = evaluate(plan, hook, values, state)
    rules = sum(len(block.rules) for block in hook.blocks)
    left = budget = min(_MOST_REQUESTS, _BUDGET // max(rules, 1))
    thresholds = {b.hot_threshold.name for b in hook.blocks if isinstance(b.hot_threshold, n.Param)}
    found: dict[tuple[str, str], Change] = {}
    for far, changeable, candidate in _by_distance(changeables(plan, hook, values, state)):
        thing = (changeable.kind, changeable.name)
        if thing in found:
            continue
        if not left:
            return Nearest(tuple(found.values()), budget, False)
        left -= 1
        outcome = evaluate(plan, hook, candidate.values, candidate.state)
        common = _common(values, candidate.values)
        stated = changeable.kind == "parameter" and changeable.name in thresholds
        if _differ(before, outcome, common, on_only=stated):
            found[thing] = _change(changeable, candidate, far, outcome)
    return Nearest(tuple(found.values()), budget - left, True)


def _by_distance(
    things: Iterable[Changeable],
) -> list[tuple[float, Changeable, Candidate]]:
    """All candidates, nearest first, otherwise in the order in which they were found."""
    measured = [
        (_distance_of(changeable, candidate), changeable, candidate)
        for changeable in things
        for candidate in changeable.candidates
    ]
    return sorted(measured, key=itemgetter(0))


def _distance_of(changeable: Changeable, candidate: Candidate) -> float:
    if changeable.kind == "set" or changeable.name == "cgroup.id":
        appears = changeable.kind != "set" and None in (candidate.before, candidate.after)
        return _APPEARS if appears else _ANOTHER
    return distance(changeable.type, candidate.before, candidate.after)


def distance(type: Type, before: Value, after: Value) -> float:
    """How far two values of a type are apart: 0 to 1 for values, 2 if one is absent."""
    if before is None or after is None:
        return _APPEARS
    match type.kind:
        case Kind.PERCENT:
            return abs(int(before) - int(after)) / PERCENT_MAX
        case Kind.ORDERS:
            differing, either = int(before) ^ int(after), int(before) | int(after)
            return differing.bit_count() / max(either.bit_count(), 1)
        case Kind.CGROUP:
            return _steps_apart(str(before), str(after))
        case kind if kind in NUMERIC:
            larger = max(int(before), int(after))
            return abs(int(before) - int(after)) / larger if larger else 0.0
        case _:
            return _ANOTHER


def _steps_apart(before: str, after: str) -> float:
    """The share of the steps from the root that only one of the paths has."""
    first, second = before.strip("/").split("/"), after.strip("/").split("/")
    if before == "/" or after == "/":
        return 0.0 if before == after else 1.0
    shared = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        shared += 1
    apart = len(first) + len(second) - 2 * shared
    return apart / (apart + shared)


def _common(values: Values, changed: Values) -> int:
    """The orders that are requested before and after."""
    return int(values.get("orders") or 0) & int(changed.get("orders") or 0)


def _differ(before: Outcome, after: Outcome, common: int, *, on_only: bool) -> bool:
    """Whether the answers differ, and not just because something else was asked for."""
    if (before.orders ^ after.orders) & common or before.on != after.on:
        return True
    return not on_only and before.hot_threshold != after.hot_threshold


def _change(changeable: Changeable, candidate: Candidate, far: float, outcome: Outcome) -> Change:
    return Change(
        changeable.kind,
        changeable.name,
        changeable.type,
        candidate.before,
        candidate.after,
        far,
        candidate.values,
        candidate.state,
        outcome,
    )
