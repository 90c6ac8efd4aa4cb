"""What could be changed about a request or a policy, and to what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from policyc.emit.uses import Uses, uses_of
from policyc.explain.boundaries import Conditions, Situation, conditions_of, interesting_numbers
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values, ancestors, cgroup_mix
from policyc.plan.types import INT, PERCENT, U64_MAX, Kind, Type
from policyc.runtime.checks import COMM_BYTES, PERCENT_MAX
from policyc.runtime.request import AttributeField
from policyc.simulate.values import REQUESTS, Value, every_order

__all__ = ["Candidate", "ChangeKind", "Changeable", "changeables"]

#: What is changed; at the same distance the first of them comes first.
ChangeKind = Literal["attribute", "parameter", "set"]

_MILLISECOND = 1_000_000

#: How many ids of cgroups are tried to find one on the other side of a rollout.
_IDS = 20_000

#: The deepest path that is made up for a condition on the depth of the cgroup.
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value instead of another.

    For a set `after` is the member that is added, or `before` the one that is taken out.
    """

    before: Value
    after: Value
    values: Values
    state: State


@dataclass(frozen=True, slots=True)
class Changeable:
    """An attribute, a parameter or a set, and the changes of it that may matter."""

    kind: ChangeKind
    name: str
    type: Type
    candidates: tuple[Candidate, ...]


def changeables(
    plan: n.Plan, hook: n.HookPlan, values: Values, state: State
) -> Iterator[Changeable]:
    """What the rules of a hook look at: attributes as in their table, parameters, sets."""
    search = _Search(plan, hook, values, state)
    for attribute in REQUESTS[hook.hook.value].attributes:
        if attribute.name in search.varied:
            yield search.attribute(attribute)
    for param in plan.params:
        if param.name in search.uses.params:
            yield search.param(param)
    for definition in plan.sets:
        if definition.name in search.uses.sets:
            yield search.set(definition)


class _Search:
    def __init__(self, plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> None:
        self.plan = plan
        self.hook = hook
        self.values = values
        self.state = state
        self.uses: Uses = uses_of(plan, hook)
        self.conditions: Conditions = conditions_of(plan, hook)
        self.varied = set(self.uses.attributes)
        if "memory.free" in self.varied:
            self.varied |= {"memory.max", "memory.usage"}
        if "cgroup.depth" in self.varied and (
            values.get("cgroup") is not None or values.get("cgroup.depth") is None
        ):
            self.varied.remove("cgroup.depth")
            self.varied.add("cgroup")
        if any(block.rollout is not None for block in hook.blocks):
            self.varied.add("cgroup.id")
        if values.get("cgroup") is None:
            # Without a cgroup there is nothing to read from one, whatever it might be.
            self.varied -= {name for name in _read_from_cgroup(values) if values[name] is None}

    # -- attributes

    def attribute(self, attribute: AttributeField) -> Changeable:
        """What an attribute could be instead."""
        before = self.values.get(attribute.name)
        found: list[Value] = [*self._others(attribute, before)]
        if attribute.optional and before is not None:
            found.append(None)
        different = [value for value in dict.fromkeys(found) if not _same(value, before)]
        candidates = [
            Candidate(before, value, self._with(attribute.name, value), self.state)
            for value in different
        ]
        return Changeable("attribute", attribute.name, _type(attribute), tuple(candidates))

    def _others(self, attribute: AttributeField, before: Value) -> Iterable[Value]:
        match attribute.kind:
            case "bool":
                return (False, True)
            case "enum":
                return attribute.members
            case "orders":
                return self._masks(int(before or 0))
            case "string":
                return self._names()
            case "cgroup":
                return self._paths(before)
            case _ if attribute.name == "cgroup.id":
                return self._ids(before)
            case _:
                high = PERCENT_MAX if attribute.kind == "percent" else U64_MAX
                return self._numbers(attribute.name, high)

    def _with(self, name: str, value: Value) -> Values:
        """The request with another value, and what follows from it."""
        changed = {**self.values, name: value}
        if name == "cgroup":
            path = None if value is None else str(value)
            changed["cgroup.depth"] = None if path is None else _depth(path)
            if path is None:
                changed.update(dict.fromkeys(_read_from_cgroup(changed)))
        limit, usage = changed.get("memory.max"), changed.get("memory.usage")
        changed["memory.free"] = None
        if limit is not None and usage is not None:
            changed["memory.free"] = max(int(limit) - int(usage), 0)
        return changed

    def _numbers(self, name: str, high: int) -> list[int]:
        depends = {name, "memory.free"} if name.startswith("memory.") else {name}
        questions = self.conditions.about(depends)
        now: Situation = (self.values, self.state)

        def put(number: int) -> Situation:
            return self._with(name, number), self.state

        return interesting_numbers(self.plan, questions, now, put, (0, high))

    def _masks(self, before: int) -> Iterator[int]:
        """One order more or less, none from an order on, and as the policy's order sets cut it."""
        target = self.plan.target
        usual = every_order(target)
        for order in range(max(target.pmd_order + 1, before.bit_length())):
            yield before ^ 1 << order
            yield before & (1 << order) - 1
        for const in self.conditions.constants:
            if const.type.kind is Kind.ORDERS:
                mask = int(const.value)
                yield from (before & mask, before & ~mask, usual & mask, usual & ~mask)
                yield before | usual & mask
        yield from (usual, 0)

    def _names(self) -> Iterator[bytes]:
        """The names that the policy knows, and one that it does not know."""
        known = [const.value for const in self.conditions.constants]
        for name in sorted(self.uses.sets):
            known += sorted(m for m in self.state.sets[name] if isinstance(m, bytes))
        names = [name for name in known if isinstance(name, bytes)]
        yield from (name for name in names if len(name) <= COMM_BYTES and b"\0" not in name)
        made_up = (b"other%d" % number for number in range(len(names) + 1))
        yield next(name for name in (b"other", *made_up) if name not in names)

    def _paths(self, before: Value) -> Iterator[str]:
        """The paths that the policy knows, what is above and below them, and other depths."""
        known = [self.plan.paths[path] for path in self.conditions.paths]
        for name in sorted(self.uses.sets):
            known += sorted(m for m in self.state.sets[name] if isinstance(m, str))
        for path in known:
            yield from (path, _below(path, 1), path.rpartition("/")[0] or "/")
        here = "/" if before is None else str(before)
        steps = here.split("/")
        yield from ("/".join(steps[:count]) or "/" for count in range(len(steps), 0, -1))
        yield _below(here, 1)
        for depth in self._numbers("cgroup.depth", U64_MAX):
            if _depth(here) < depth <= _DEEPEST:
                yield _below(here, depth - _depth(here))

    def _ids(self, before: Value) -> Iterator[int]:
        """For each rollout the nearest id that is on the other side of it."""
        if self.values.get("cgroup") is None:
            return
        middle = 1 if before is None else int(before)
        for block in self.hook.blocks:
            if block.rollout is None:
                continue
            share = self._share(block.rollout)
            wanted = before is None or cgroup_mix(middle) % 10_000 >= share
            for step in range(_IDS):
                near = {max(middle - step, 1), min(middle + step, U64_MAX)}
                found = [i for i in sorted(near) if (cgroup_mix(i) % 10_000 < share) is wanted]
                if found:
                    yield from found
                    break

    def _share(self, rollout: n.Expr) -> int:
        match rollout:
            case n.Param(_, name):
                return self.state.params[name]
            case n.Const(_, value):
                return int(value)
            case _:
                raise TypeError(f"not the share of a rollout: {rollout!r}")

    # -- parameters

    def param(self, param: n.ParamDefinition) -> Changeable:
        """What a parameter could be instead."""
        before = self.state.params[param.name]
        found = [0, 1] if param.type.kind is Kind.BOOL else self._values_of(param)
        candidates = [
            Candidate(before, value, self.values, self._with_param(param.name, value))
            for value in dict.fromkeys(found)
            if value != before
        ]
        return Changeable("parameter", param.name, param.type, tuple(candidates))

    def _with_param(self, name: str, value: int) -> State:
        return replace(self.state, params={**self.state.params, name: value})

    def _values_of(self, param: n.ParamDefinition) -> list[int]:
        questions = self.conditions.about([f"param {param.name}"])
        now: Situation = (self.values, self.state)

        def put(number: int) -> Situation:
            return self.values, self._with_param(param.name, number)

        found = interesting_numbers(self.plan, questions, now, put, (param.low, param.high))
        cgroup_id = self.values.get("cgroup.id")
        if param.type == PERCENT and cgroup_id is not None:
            place = cgroup_mix(int(cgroup_id)) % 10_000
            found += [edge for edge in (place, place + 1) if param.low <= edge <= param.high]
        if param.name in self.thresholds:
            return [value for value in found if value % _MILLISECOND == 0]
        return found

    @property
    def thresholds(self) -> frozenset[str]:
        """The parameters that are hot thresholds, which are in whole milliseconds."""
        stated = [block.hot_threshold for block in self.hook.blocks]
        return frozenset(expr.name for expr in stated if isinstance(expr, n.Param))

    # -- sets

    def set(self, definition: n.SetDefinition) -> Changeable:
        """Members that match the request taken out, or those that would match put in."""
        members = self.state.sets[definition.name]
        candidates = [
            Candidate(
                member if member in members else None,
                None if member in members else member,
                self.values,
                replace(
                    self.state,
                    sets={**self.state.sets, definition.name: members ^ frozenset([member])},
                ),
            )
            for member in self._matching(definition)
        ]
        return Changeable("set", definition.name, definition.type, tuple(candidates))

    def _matching(self, definition: n.SetDefinition) -> list[bytes | str]:
        if definition.type.kind is Kind.CGROUP:
            cgroup = self.values.get("cgroup")
            return [] if cgroup is None else [*ancestors(str(cgroup))]
        names = (self.values.get("task.comm"), *(c.value for c in self.conditions.constants))
        return [name for name in dict.fromkeys(names) if isinstance(name, bytes)]


def _same(value: Value, other: Value) -> bool:
    return type(value) is type(other) and value == other


def _type(attribute: AttributeField) -> Type:
    from policyc.hooks.loader import attributes

    row = attributes().get(attribute.name)
    return INT if row is None else row.type


def _read_from_cgroup(values: Values) -> list[str]:
    return [name for name in values if name.startswith("cgroup.")]


def _depth(path: str) -> int:
    return 0 if path == "/" else path.count("/")


def _below(path: str, levels: int) -> str:
    return path.rstrip("/") + "/x" * levels
