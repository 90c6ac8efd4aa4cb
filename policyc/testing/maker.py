"""Makes requests for a policy: at the boundaries of its conditions, and so that they hold or not.

A request at random seldom gets through several conditions. Half of those that are made
here are led: a rule, or a property, is taken apart, and each comparison in it gets a value
that makes it come out as it must, at its boundary as often as not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Protocol, TypeVar, cast

from policyc.emit.uses import expressions, uses_of
from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.cases import RESULT, RESULT_HOT_THRESHOLD
from policyc.plan.evaluate import State, Values, value_of
from policyc.plan.operands import reachable
from policyc.plan.promises import first_state, hook_of
from policyc.plan.types import CGROUP, NUMERIC, U64_MAX, Kind
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.testing import boundaries as b

__all__ = ["Choices", "Maker", "hook_name"]

_Item = TypeVar("_Item")

_RESULTS = frozenset({RESULT, RESULT_HOT_THRESHOLD})
_LIMITS = ("memory.free", "memory.max", "memory.usage")

#: So many values are tried where a condition asks for several attributes.
_CANDIDATES = 40

_REQUESTS: dict[n.HookName, type[ThpRequest | NumaRequest]] = {
    n.HookName.THP: ThpRequest,
    n.HookName.NUMA: NumaRequest,
}


class Choices(Protocol):
    """A source of small decisions; 0 is the simplest."""

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        ...


def hook_name(hook: n.HookName | n.HookPlan | str) -> n.HookName:
    """The hook that is meant, by its name or its blocks."""
    return hook.hook if isinstance(hook, n.HookPlan) else n.HookName(hook)


def _pick(choices: Choices, items: Sequence[_Item]) -> _Item:
    return items[choices.below(len(items)) if len(items) > 1 else 0]


class Maker:
    """Makes requests and states for a hook of a plan, and for a condition beside its rules.

    `pools` has the values of each attribute that decides something, the simplest first.
    """

    def __init__(
        self, plan: n.Plan, hook: n.HookName | n.HookPlan | str, about: n.Expr | None = None
    ) -> None:
        self.plan = plan
        self.hook = hook_of(plan, hook_name(hook))
        self.about = about
        self.request = _REQUESTS[self.hook.hook]
        self._lets = {definition.name: definition.expr for definition in plan.locals}
        self._exprs = [*expressions(plan), *b.parts([] if about is None else [about])]
        self._comms = b.comms(b.known_comms(plan, self._exprs))
        self._paths = b.paths(b.known_paths(plan))
        self.uses = uses_of(plan, self._with_condition())
        self.pools = self._pools()
        self._goals = [*self._rule_goals()]
        self.fitting: dict[tuple[object, ...], Sequence[n.ConstValue | None]] = {}
        self._asked: dict[int, tuple[list[str], list[str]]] = {}
        self._param_values: dict[str, list[int]] = {}

    def _with_condition(self) -> n.HookPlan:
        """The hook with one more block for the condition, so that its names count as used."""
        if self.about is None:
            return self.hook
        rule = n.Rule(0, self.about, n.Pass(), "", 0, "")
        extra = n.Block(len(self.hook.blocks), None, 0, None, (rule,), None, 0)
        return n.HookPlan(self.hook.hook, self.hook.combine, (*self.hook.blocks, extra))

    # -- values of each attribute

    def _pools(self) -> dict[str, list[n.ConstValue | None]]:
        used = set(self.uses.attributes) - _RESULTS
        if "cgroup.depth" in used:
            used.add("cgroup")
        defaults = self._defaults()
        more = self._from_arithmetic()
        pools: dict[str, list[n.ConstValue | None]] = {}
        for name, row in attributes().items():
            if name in used and name != "cgroup.depth":
                values = [*self._values(name), *more.get(name, ())]
                absent = [None] if row.absent or row.derived else []
                first = [defaults[name]] if name in defaults else []
                pools[name] = list(dict.fromkeys([*absent, *first, *values]))
        shares = [block.rollout for block in self.hook.blocks if block.rollout is not None]
        if shares:
            pools["cgroup.id"] = [*b.places(self._shares(shares))]
        return pools

    def _defaults(self) -> dict[str, n.ConstValue]:
        """What a request has that says nothing else."""
        given = {item.name: item.default for item in fields(self.request)}
        found = {item.name: given[item.field] for item in self.request.attributes}
        if "orders" in found:
            found["orders"] = self.plan.target.large_orders
        return {
            name: cast("n.ConstValue", value)
            for name, value in found.items()
            if value is not None and value is not MISSING
        }

    def _values(self, name: str) -> Sequence[n.ConstValue]:
        row = attributes()[name]
        match row.type.kind:
            case Kind.BOOL:
                return (False, True)
            case Kind.ORDERS:
                return b.masks(self.plan.target, self._exprs)
            case Kind.ENUM:
                return [member.name for member in enumerations()[row.type.enum].members]
            case Kind.STRING:
                return self._comms
            case Kind.CGROUP:
                return self._paths
            case _:
                return b.numbers(self.plan, self._exprs, row.type)

    def _from_arithmetic(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for expr in self._exprs:
            if not isinstance(expr, n.Compare):
                continue
            made = b.combined(self.plan, expr)
            for name in b.attributes_in(self.plan, expr) if made else ():
                row = attributes().get(name)
                if row is not None and row.type.kind in NUMERIC:
                    top = b.top_of(row.type)
                    found.setdefault(name, []).extend(v for v in made if v <= top)
        return found

    def _shares(self, rollouts: Sequence[n.Expr]) -> list[int]:
        params = {param.name: param for param in self.plan.params}
        shares: list[int] = []
        for rollout in rollouts:
            match rollout:
                case n.Param(_, name):
                    item = params[name]
                    shares += [item.default, item.low, item.high]
                case n.Const(_, value):
                    shares.append(int(value))
                case _:
                    pass
        return shares

    # -- states

    def state(self, choices: Choices, *, every: bool = False) -> State:
        """Members of the sets and values of the parameters; of those that matter, or of all."""
        first = first_state(self.plan)
        sets = {
            item.name: self._members(item, choices)
            for item in self.plan.sets
            if every or item.name in self.uses.sets
        }
        params = {
            item.name: _pick(choices, self.param_values(item))
            for item in self.plan.params
            if every or item.name in self.uses.params
        }
        return State({**first.sets, **sets}, {**first.params, **params})

    def param_values(self, item: n.ParamDefinition) -> list[int]:
        """Values of a parameter, within its range, the first being the one that it starts with."""
        if item.name not in self._param_values:
            self._param_values[item.name] = self._values_of_param(item)
        return self._param_values[item.name]

    def _values_of_param(self, item: n.ParamDefinition) -> list[int]:
        if item.type.kind is Kind.BOOL:
            return list(dict.fromkeys((item.default, item.low, item.high)))
        around = [item.default, item.low, item.high, *b.numbers(self.plan, self._exprs, item.type)]
        kept = b.near(around[:1], U64_MAX) + around[1:] + b.near(around[1:3], U64_MAX)
        return list(dict.fromkeys(value for value in kept if item.low <= value <= item.high))

    def _members(self, item: n.SetDefinition, choices: Choices) -> frozenset[bytes | str]:
        pool: Sequence[bytes | str] = self._paths if item.type == CGROUP else self._comms
        match choices.below(4):
            case 0 | 1:
                return frozenset(item.members)
            case 2:
                return frozenset()
            case _:
                return frozenset({_pick(choices, pool), _pick(choices, pool)})

    # -- requests

    def _rule_goals(self) -> list[tuple[n.Expr, ...]]:
        """For each rule what has to hold for it to be asked and to apply."""
        goals: list[tuple[n.Expr, ...]] = []
        cgroup = n.Attribute(CGROUP, "cgroup")
        for block in self.hook.blocks:
            inside = () if block.scope is None else (n.UnderPath(cgroup, block.scope),)
            earlier: list[n.Expr] = []
            for rule in block.rules:
                own = () if rule.condition is None else (rule.condition,)
                goals.append((*inside, *own, *earlier))
                earlier += [n.Not(condition) for condition in own]
        return goals

    def values(self, choices: Choices, state: State) -> Values:
        """The values of a request, with the sets and parameters as they are."""
        return self.complete(self._led(choices, state, fixed=True).filled())

    def situation(self, choices: Choices) -> tuple[Values, State]:
        """The values of a request, with sets and parameters that go with them."""
        made = self._led(choices, self.state(choices), fixed=False)
        return self.complete(made.filled()), made.state

    def _led(self, choices: Choices, state: State, *, fixed: bool) -> _Request:
        made = _Request(self, choices, state, fixed=fixed)
        if self.about is not None and (wanted := choices.below(4)):
            made.lead(self.about, wanted=wanted == 1)
        goal = choices.below(2 * len(self._goals) + 1)
        if 0 < goal <= len(self._goals):
            for condition in self._goals[goal - 1]:
                made.lead(condition, wanted=True)
        return made

    def complete(self, known: Mapping[str, n.ConstValue | None]) -> Values:
        """All values of a request, of which `known` are those that somebody decided."""
        values = {**known}
        _add_limits(values)
        if values.get("cgroup") is None:
            values["cgroup.id"] = None
        cgroup = values.get("cgroup")
        depth = 0 if cgroup == "/" else str(cgroup).count("/")
        values["cgroup.depth"] = None if cgroup is None else depth
        names = {item.name: None for item in self.request.attributes if item.optional}
        return {**names, **self._defaults(), **values}

    def moment(self, atom: n.Expr, state: State) -> tuple[object, ...]:
        """What is in the sets and parameters that a condition asks for."""
        params, sets = self.moment_names(atom)
        return (*(state.params[name] for name in params), *(state.sets[name] for name in sets))

    def moment_names(self, atom: n.Expr) -> tuple[list[str], list[str]]:
        """The parameters and sets that a condition asks for."""
        if id(atom) not in self._asked:
            self._asked[id(atom)] = _names_in(self.plan, atom)
        return self._asked[id(atom)]

    def let(self, name: str) -> n.Expr:
        """What a let stands for."""
        return self._lets[name]


def _add_limits(values: dict[str, n.ConstValue | None]) -> None:
    """Make limit, usage and what is free agree; the limit gives way."""
    if not any(name in values for name in _LIMITS):
        values.update(dict.fromkeys(_LIMITS))
        return
    free, limit, usage = (values.get(name) for name in _LIMITS)
    if "memory.free" in values and "memory.max" not in values:
        usage = 0 if usage is None and "memory.usage" not in values else usage
        limit = None if free is None or usage is None else min(int(usage) + int(free), U64_MAX)
    elif "memory.free" in values and "memory.usage" not in values:
        usage = None if free is None or limit is None else max(int(limit) - int(free), 0)
    free = None if limit is None or usage is None else max(int(limit) - int(usage), 0)
    values.update(zip(_LIMITS, (free, limit, usage), strict=True))


class _Request:
    """A request in the making: what has been decided so far, sets and parameters unless `fixed`."""

    def __init__(self, maker: Maker, choices: Choices, state: State, *, fixed: bool) -> None:
        self.fixed = fixed
        self.maker = maker
        self.choices = choices
        self.state = state
        self.known: dict[str, n.ConstValue | None] = {}

    def filled(self) -> dict[str, n.ConstValue | None]:
        """The request, with something for whatever has not been decided."""
        for name, pool in self.maker.pools.items():
            if name not in self.known:
                self.known[name] = self._any(pool)
        return self.known

    def _any(self, pool: Sequence[n.ConstValue | None]) -> n.ConstValue | None:
        """Every other time the simplest value."""
        place = self.choices.below(2 * len(pool))
        return pool[place] if place < len(pool) else pool[0]

    def lead(self, expr: n.Expr, *, wanted: bool) -> None:
        """Decide as much as it takes for a condition to come out as wanted."""
        match expr:
            case n.And(items) | n.Or(items):
                if isinstance(expr, n.And) is wanted:
                    for item in items:
                        self.lead(item, wanted=wanted)
                else:
                    self.lead(_pick(self.choices, items), wanted=wanted)
            case n.Not(item):
                self.lead(item, wanted=not wanted)
            case n.Local(_, name):
                self.lead(self.maker.let(name), wanted=wanted)
            case _:
                self._settle(expr, wanted=wanted)

    def _settle(self, atom: n.Expr, *, wanted: bool) -> None:
        plan, pools = self.maker.plan, self.maker.pools
        asked = [_source(name) for name in b.attributes_in(plan, atom)]
        if any(name in _RESULTS for name in asked):
            return
        free = [name for name in dict.fromkeys(asked) if name in pools and name not in self.known]
        if not free:
            if not self.fixed:
                self._settle_state(atom, wanted=wanted)
            return
        name = _pick(self.choices, free)
        for other in free:
            if other != name:
                self.known[other] = self._any(pools[other])
        fitting = self._fitting(atom, name, alone=len(set(asked)) == 1, wanted=wanted)
        if fitting:
            self.known[name] = _pick(self.choices, fitting)

    def _settle_state(self, atom: n.Expr, *, wanted: bool) -> None:
        """Change a set or a parameter where the request is decided and does not do it."""
        plan, state = self.maker.plan, self.state
        values = self._with("", None)
        if (value_of(plan, atom, values, state) is True) is wanted:
            return
        changed: list[State] = []
        for name in self.maker.moment_names(atom)[0]:
            item = next(param for param in plan.params if param.name == name)
            options = self.maker.param_values(item)
            changed += [State(state.sets, {**state.params, name: value}) for value in options]
        match atom:
            case n.InSet(value, name) | n.UnderSet(value, name):
                member = value_of(plan, value, values, state)
                kept = state.sets[name] - {member}
                if isinstance(member, (bytes, str)):
                    kept = kept | {member} if wanted else kept
                changed += [State({**state.sets, name: frozenset(kept)}, state.params)]
                changed += [State({**state.sets, name: frozenset()}, state.params)]
            case _:
                pass
        fitting = [s for s in changed if (value_of(plan, atom, values, s) is True) is wanted]
        if fitting:
            self.state = _pick(self.choices, fitting)

    def _fitting(
        self, atom: n.Expr, name: str, *, alone: bool, wanted: bool
    ) -> Sequence[n.ConstValue | None]:
        """The values of an attribute with which a condition comes out as wanted.

        Those of a condition that asks for nothing else are remembered, as they are the same
        for every request.
        """
        maker = self.maker
        key = (id(atom), wanted, *maker.moment(atom, self.state)) if alone else None
        if key is not None and key in maker.fitting:
            return maker.fitting[key]
        candidates = dict.fromkeys([*self._at_the_edge(atom, name), *maker.pools[name]])
        found = [
            value
            for value in [*candidates][: None if alone else _CANDIDATES]
            if (value_of(maker.plan, atom, self._with(name, value), self.state) is True) is wanted
        ]
        if key is not None:
            maker.fitting[key] = found
        return found

    def _with(self, name: str, value: n.ConstValue | None) -> Values:
        values = {**self.known, name: value}
        cgroup = values.get("cgroup")
        if cgroup is not None:
            values["cgroup.depth"] = 0 if cgroup == "/" else str(cgroup).count("/")
        return values

    def _at_the_edge(self, atom: n.Expr, name: str) -> list[int]:
        """For a comparison of an attribute with what is known by now: that value, and around it."""
        if not isinstance(atom, n.Compare):
            return []
        found: list[int] = []
        for one, other in ((atom.left, atom.right), (atom.right, atom.left)):
            if isinstance(one, n.Attribute) and one.name == name and one.type.kind in NUMERIC:
                value = value_of(self.maker.plan, other, self.known, self.state)
                if value is not None:
                    found += b.near([int(value)], b.top_of(one.type))
        return found


def _names_in(plan: n.Plan, atom: n.Expr) -> tuple[list[str], list[str]]:
    """The parameters and sets that a condition asks for."""
    params: list[str] = []
    sets: list[str] = []
    for part in reachable(plan, [atom]):
        match part:
            case n.Param(_, name):
                params.append(name)
            case n.InSet(_, name) | n.UnderSet(_, name):
                sets.append(name)
            case _:
                pass
    return params, sets


def _source(name: str) -> str:
    """The attribute that another one follows from, or itself."""
    return "cgroup" if name == "cgroup.depth" else name
