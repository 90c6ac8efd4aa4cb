"""The reference evaluator: this is what a policy means.

Everything else (generated Python, emitted C, the program in the kernel) must give the
same outcome for every request. It is written to be read, not to be fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from policyc.plan import nodes as n
from policyc.plan.arithmetic import saturating
from policyc.plan.types import U64_MAX, Kind

__all__ = [
    "Opinion",
    "Outcome",
    "State",
    "Values",
    "ancestors",
    "cgroup_mix",
    "evaluate",
    "percent_of_average",
    "value_of",
]

#: The attributes of a request by name; one that is missing or None is absent.
#: `cgroup` is a path; `cgroup.id`, used for rollouts only, a number.
Values = Mapping[str, n.ConstValue | None]


@dataclass(frozen=True, slots=True)
class State:
    """The current members of the sets and values of the parameters, by name."""

    sets: Mapping[str, frozenset[bytes | str]]
    params: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one block said: `orders` for thp, `on` and `hot_threshold` (ns) for numa."""

    block: n.Block
    rule: n.Rule
    orders: int = 0
    on: bool = False
    hot_threshold: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision of a hook.

    `fired` has for each block the rule that applied there, None where the request is
    outside the scope or the rollout. `opinions` leaves out the blocks that passed.
    `orders` is what thp allows of the request (all of it if nobody has an opinion);
    `on` and `hot_threshold` (nanoseconds, None for the system's) are the numa answer.
    """

    fired: tuple[n.Rule | None, ...]
    opinions: tuple[Opinion, ...]
    decided_by: n.Rule | None
    orders: int = 0
    on: bool = False
    hot_threshold: int | None = None


def cgroup_mix(cgroup_id: int) -> int:
    """The fixed 64-bit mix of a cgroup id that rollouts use.

    The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
    Generators, OOPSLA 2014).
    """
    mixed = (cgroup_id + 0x9E3779B97F4A7C15) & U64_MAX
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & U64_MAX
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & U64_MAX
    return mixed ^ (mixed >> 31)


def percent_of_average(average: int) -> int:
    """A pressure average as the kernel keeps it (percent, 11 fractional bits) in hundredths.

    Formula: LOAD_INT and LOAD_FRAC of include/linux/sched/loadavg.h, in one step.
    """
    return (average * 100) >> 11


def ancestors(path: str) -> list[str]:
    """The cgroup and its nearest ancestors, innermost first, at most MAX_CGROUP_LEVELS."""
    levels = [path]
    while path != "/" and len(levels) < n.MAX_CGROUP_LEVELS:
        path = path.rpartition("/")[0] or "/"
        levels.append(path)
    return levels


def evaluate(plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> Outcome:
    """What the policy answers to one request. Total: every request has an outcome."""
    value_in = partial(_value, _Environment(plan, values, state, {}))
    fired: list[n.Rule | None] = []
    opinions: list[Opinion] = []
    for block in hook.blocks:
        rule = _first_rule(block, plan, values, value_in)
        fired.append(rule)
        if rule is not None:
            opinions.extend(_opinion(block, rule, values, value_in))
    deciding = _deciding(hook.combine, opinions)
    if hook.hook is n.HookName.THP:
        requested = values["orders"]
        assert isinstance(requested, int)
        orders = requested
        for opinion in deciding:
            orders &= opinion.orders
        exact = [o for o in deciding if o.orders == orders]
        return Outcome(tuple(fired), tuple(opinions), _rule_of(exact or deciding), orders=orders)
    on = bool(deciding) and all(opinion.on for opinion in deciding)
    thresholds = [o.hot_threshold for o in deciding if on and o.hot_threshold is not None]
    same = [opinion for opinion in deciding if opinion.on == on]
    return Outcome(
        tuple(fired),
        tuple(opinions),
        _rule_of(same),
        on=on,
        hot_threshold=min(thresholds, default=None),
    )


def value_of(plan: n.Plan, expr: n.Expr, values: Values, state: State) -> n.ConstValue | None:
    """The value of one expression for a request, None if it is absent."""
    return _value(_Environment(plan, values, state, {}), expr)


def _rule_of(opinions: list[Opinion]) -> n.Rule | None:
    """The innermost of some opinions is the one that a decision is attributed to."""
    return opinions[-1].rule if opinions else None


def _deciding(combine: n.Combine, opinions: list[Opinion]) -> list[Opinion]:
    """The opinions that count, outermost first."""
    match combine:
        case n.Combine.MEET:
            return opinions
        case n.Combine.NEAREST:
            return opinions[-1:]
        case n.Combine.OUTERMOST:
            return opinions[:1]


@dataclass(frozen=True, slots=True)
class _Environment:
    plan: n.Plan
    values: Values
    state: State
    locals: dict[str, n.ConstValue | None]


_ValueOf = Callable[[n.Expr], n.ConstValue | None]


def _first_rule(block: n.Block, plan: n.Plan, values: Values, value_of: _ValueOf) -> n.Rule | None:
    cgroup = values.get("cgroup")
    if block.scope is not None and (
        cgroup is None or plan.paths[block.scope] not in ancestors(str(cgroup))
    ):
        return None
    if block.rollout is not None:
        cgroup_id, share = values.get("cgroup.id"), value_of(block.rollout)
        if cgroup_id is None or cgroup_mix(int(cgroup_id)) % 10_000 >= int(share or 0):
            return None
    return next(r for r in block.rules if r.condition is None or value_of(r.condition) is True)


def _opinion(block: n.Block, rule: n.Rule, values: Values, value_of: _ValueOf) -> list[Opinion]:
    match rule.action:
        case n.Pass():
            return []
        case n.Allow(orders):
            allowed, requested = value_of(orders), values["orders"]
            assert isinstance(allowed, int)
            assert isinstance(requested, int)
            return [Opinion(block, rule, orders=allowed & requested)]
        case n.Balance(on):
            threshold = value_of(block.hot_threshold) if block.hot_threshold else None
            return [
                Opinion(
                    block, rule, on=on, hot_threshold=None if threshold is None else int(threshold)
                )
            ]


def _value(env: _Environment, expr: n.Expr) -> n.ConstValue | None:  # noqa: C901 - one case for each node
    """The value of an expression, None if it is absent."""
    value_of = partial(_value, env)
    match expr:
        case n.Const(_, value):
            return value
        case n.Attribute(_, name):
            return env.values.get(name)
        case n.Param(type, name):
            value = env.state.params[name]
            return bool(value) if type.kind is Kind.BOOL else value
        case n.Local(_, name):
            if name not in env.locals:
                definition = next(d for d in env.plan.locals if d.name == name)
                env.locals[name] = value_of(definition.expr)
            return env.locals[name]
        case n.Arithmetic(_, operator, left, right):
            return _lift(
                lambda a, b: saturating(operator, int(a), int(b)), value_of(left), value_of(right)
            )
        case n.Compare(operator, left, right):
            return _lift(partial(_compare, operator), value_of(left), value_of(right)) is True
        case n.InSet(value, name):
            return value_of(value) in env.state.sets[name]
        case n.InList(value, members):
            return value_of(value) in [member.value for member in members]
        case n.UnderSet(value, name):
            cgroup = value_of(value)
            members = env.state.sets[name]
            return cgroup is not None and any(a in members for a in ancestors(str(cgroup)))
        case n.UnderPath(value, path):
            cgroup = value_of(value)
            return cgroup is not None and env.plan.paths[path] in ancestors(str(cgroup))
        case n.IsPath(value, path):
            return value_of(value) == env.plan.paths[path]
        case n.Union(left, right):
            return _lift(lambda a, b: int(a) | int(b), value_of(left), value_of(right))
        case n.Difference(left, right):
            return _lift(lambda a, b: int(a) & ~int(b), value_of(left), value_of(right))
        case n.Contains(inner, outer):
            return (
                _lift(lambda a, b: int(a) & ~int(b) == 0, value_of(inner), value_of(outer)) is True
            )
        case n.Overlaps(left, right):
            return _lift(lambda a, b: int(a) & int(b) != 0, value_of(left), value_of(right)) is True
        case n.Highest(orders):
            mask = value_of(orders)
            if not mask:
                return None
            return min(U64_MAX, env.plan.target.page_size << (int(mask).bit_length() - 1))
        case n.Has(value):
            return value_of(value) is not None
        case n.And(items):
            return all(value_of(item) is True for item in items)
        case n.Or(items):
            return any(value_of(item) is True for item in items)
        case n.Not(item):
            return value_of(item) is not True


def _lift(
    operation: Callable[[n.ConstValue, n.ConstValue], n.ConstValue],
    left: n.ConstValue | None,
    right: n.ConstValue | None,
) -> n.ConstValue | None:
    """An operation on two values that is absent when either of them is."""
    return None if left is None or right is None else operation(left, right)


def _compare(operator: n.CompareOperator, left: n.ConstValue, right: n.ConstValue) -> bool:
    match operator:
        case n.CompareOperator.EQUAL:
            return left == right
        case n.CompareOperator.NOT_EQUAL:
            return left != right
        case n.CompareOperator.LESS:
            return int(left) < int(right)
        case n.CompareOperator.LESS_EQUAL:
            return int(left) <= int(right)
        case n.CompareOperator.GREATER:
            return int(left) > int(right)
        case n.CompareOperator.GREATER_EQUAL:
            return int(left) >= int(right)
