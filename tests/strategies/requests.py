"""Requests and states for a plan: the constants that it compares with, and their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

from policyc.emit.layout import average_of_percent, is_pressure
from policyc.emit.uses import expressions, uses_of
from policyc.hooks.loader import attributes, enumerations
from policyc.hooks.model import AttributeRow
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, cgroup_mix, percent_of_average
from policyc.plan.promises import first_state
from policyc.plan.types import CGROUP, PERCENT, U64_MAX, Kind, Type
from policyc.testing.boundaries import (
    comms,
    constants,
    known_comms,
    known_paths,
    near,
    numbers,
    paths,
)

__all__ = ["Request", "Requests", "World", "first_state", "states"]

_MAX_AVERAGE = 204_800
_GARBAGE = b"garbage-\xff\x80and more"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its values, and what the kernel would have in memory behind them.

    `averages` are the pressure averages with 11 fractional bits, `tail` is what stands
    behind the NUL that ends the name of the task.
    """

    values: dict[str, n.ConstValue | None]
    averages: dict[str, int]
    tail: bytes = b""


@cache
def _ids_by_share() -> dict[int, list[int]]:
    """Cgroup ids by where their mix falls, small ones and ones that a double cannot hold."""
    found: dict[int, list[int]] = {}
    for start in (2, (1 << 53) + 1, U64_MAX - 20_000):
        for cgroup_id in range(start, start + 20_000):
            found.setdefault(cgroup_mix(cgroup_id) % 10_000, []).append(cgroup_id)
    return found


class World:
    """A tree of cgroups with an id for each path."""

    def __init__(self, plan: n.Plan, random: Random) -> None:
        shares = _shares(plan)
        children = [("" if path == "/" else path) + "/child" for path in known_paths(plan)]
        tree = [*paths(known_paths(plan)), *children]
        every = dict.fromkeys(a for path in tree for a in [path, *_all_ancestors(path)])
        self._ids: dict[str, int] = {"/": 1}
        taken = {1}
        for path in every:
            if path == "/":
                continue
            cgroup_id = _cgroup_id(shares, random)
            while cgroup_id in taken:
                cgroup_id = random.getrandbits(64) or 2
            taken.add(cgroup_id)
            self._ids[path] = cgroup_id

    def id(self, path: str) -> int:
        """The id of a cgroup; the same for the same path."""
        return self._ids[path]


def _all_ancestors(path: str) -> Iterator[str]:
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def _cgroup_id(shares: list[int], random: Random) -> int:
    """An id, often one at the edge of a rollout."""
    kind = random.random()
    if shares and kind < 0.6:
        share = random.choice(shares) + random.choice((-1, 0, 1))
        near = _ids_by_share().get(share)
        if near:
            return random.choice(near)
    if kind < 0.7:
        return random.randrange(2, 100_000)
    if kind < 0.8:
        return U64_MAX - random.randrange(1000)
    return random.getrandbits(64) or 2


# -- what a plan compares with


def _shares(plan: n.Plan) -> list[int]:
    return [int(value) for value in constants(expressions(plan), PERCENT)] + [
        edge
        for param in plan.params
        if param.type == PERCENT
        for edge in (param.default, param.low, param.high)
    ]


def _masks(plan: n.Plan) -> list[int]:
    pmd, target = 1 << plan.target.pmd_order, plan.target
    usual = (1 << (target.pmd_order + 1)) - 4
    consts = [int(value) for value in constants(expressions(plan), Type(Kind.ORDERS))]
    masks = [0, pmd, usual, U64_MAX, 1, 2, 4, 1 << 63, pmd << 1, usual & ~pmd, usual | 1]
    masks += [value ^ flip for value in consts for flip in (0, pmd, 4, 2)]
    return list(dict.fromkeys(masks))


# -- states


def states(plan: n.Plan, random: Random) -> list[State]:
    """The first state, one with empty sets, and two with other members and values."""
    some_paths = paths(known_paths(plan))
    some_comms = comms(known_comms(plan, expressions(plan)))

    def members(item: n.SetDefinition) -> frozenset[bytes | str]:
        pool: list[bytes | str] = [*(some_paths if item.type == CGROUP else some_comms)]
        kept = [member for member in item.members if random.random() < 0.5]
        return frozenset([*kept, *random.sample(pool, min(len(pool), random.randrange(5)))])

    def value(param: n.ParamDefinition) -> int:
        edges = [
            v
            for v in numbers(plan, [*expressions(plan)], param.type)
            if param.low <= v <= param.high
        ]
        return random.choice([param.low, param.high, *edges])

    first = first_state(plan)
    empty = State({item.name: frozenset() for item in plan.sets}, first.params)
    others = [
        State({i.name: members(i) for i in plan.sets}, {p.name: value(p) for p in plan.params})
        for _ in range(2)
    ]
    return [first, empty, *others] if plan.sets else [first, *others]


# -- requests


class Requests:
    """Makes requests of one hook of a plan."""

    def __init__(self, plan: n.Plan, hook: n.HookPlan, world: World, random: Random) -> None:
        self.random = random
        self.plan = plan
        self.hook = hook
        used = uses_of(plan, hook).attributes
        self.world = world
        pressures = _averages(plan)
        self._pools = [
            (row.name, self._pool(row, pressures), self._likely(row), bool(row.absent))
            for row in attributes().values()
            if row.name in used and not row.derived
        ]
        self._free = {"memory.usage", "memory.max"} <= used
        self._sizes = numbers(plan, [*expressions(plan)], Type(Kind.SIZE)) if self._free else []

    def _pool(self, row: AttributeRow, pressures: list[int]) -> list[n.ConstValue]:
        plan = self.plan
        if is_pressure(row.name):
            return [*pressures]
        match row.type.kind:
            case Kind.BOOL:
                return [False, True]
            case Kind.ORDERS:
                return [*_masks(plan)]
            case Kind.ENUM:
                return [member.name for member in enumerations()[row.type.enum].members]
            case Kind.STRING:
                return [*comms(known_comms(plan, expressions(plan)))]
            case Kind.CGROUP:
                return [*paths(known_paths(plan))]
            case _:
                return [*numbers(plan, [*expressions(plan)], row.type)]

    def _likely(self, row: AttributeRow) -> list[n.ConstValue]:
        """What half of the requests have: values that scopes and sets were made for."""
        match row.name:
            case "task.comm":
                return [*known_comms(self.plan, expressions(self.plan))[:6]]
            case "cgroup":
                scopes = [self.plan.paths[b.scope] for b in self.hook.blocks if b.scope is not None]
                deepest = sorted(scopes, key=lambda path: path.count("/"))[-3:]
                members = [*known_paths(self.plan)][:3]
                inside = [("" if path == "/" else path) + "/child" for path in deepest]
                return [*deepest, *inside, *members]
            case _:
                return []

    def make(self, count: int) -> list[Request]:
        """Some requests."""
        return [self._one() for _ in range(count)]

    def _one(self) -> Request:
        number = self.random.random
        absent = 0.0 if number() < 0.5 else 0.25
        values: dict[str, n.ConstValue | None] = {}
        averages: dict[str, int] = {}
        tail = b""
        for name, every, likely, optional in self._pools:
            if optional and number() < absent:
                values[name] = None
                continue
            pool = likely if likely and number() < 0.5 else every
            value = pool[int(number() * len(pool))]
            if is_pressure(name):
                averages[name] = int(value)
                value = percent_of_average(int(value))
            elif name == "orders" and number() < 0.4:
                value = self.random.getrandbits(self.plan.target.pmd_order + 2)
            elif name == "task.comm" and number() < 0.3:
                tail = _GARBAGE
            values[name] = value
        cgroup = values.get("cgroup")
        values["cgroup.id"] = None if cgroup is None else self.world.id(str(cgroup))
        if self._free and number() < 0.5:
            self._place_free(values)
        return Request(values, averages, tail)

    def _place_free(self, values: dict[str, n.ConstValue | None]) -> None:
        """Make the difference of limit and usage one of the sizes that the plan compares with."""
        limit = values["memory.max"]
        if limit is not None and values["memory.usage"] is not None:
            free = self._sizes[int(self.random.random() * len(self._sizes))]
            values["memory.usage"] = max(int(limit) - free, 0)


def _averages(plan: n.Plan) -> list[int]:
    """Averages on both sides of where the percents change that the plan compares with."""
    edges = [
        average_of_percent(percent) for percent in numbers(plan, [*expressions(plan)], PERCENT)
    ]
    return near([min(edge, _MAX_AVERAGE) for edge in edges], _MAX_AVERAGE)
