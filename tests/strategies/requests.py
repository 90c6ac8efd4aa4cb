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
from policyc.plan.types import CGROUP, PERCENT, STRING, U64_MAX, Kind, Type

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
        children = [("" if path == "/" else path) + "/child" for path in _known_paths(plan)]
        paths = [*_paths(plan), *children]
        every = dict.fromkeys(a for path in paths for a in [path, *_all_ancestors(path)])
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


def _constants(plan: n.Plan, type: Type) -> list[n.ConstValue]:
    found: dict[n.ConstValue, None] = {}
    for expr in expressions(plan):
        match expr:
            case n.Const(of, value) if of == type:
                found[value] = None
            case n.InList(_, members):
                found.update((m.value, None) for m in members if m.type == type)
            case _:
                pass
    return list(found)


def _near(values: list[int], top: int) -> list[int]:
    around = (value + step for value in values for step in (0, -1, 1))
    return list(dict.fromkeys(value for value in around if 0 <= value <= top))


def _numbers(plan: n.Plan, type: Type) -> list[int]:
    top = 10_000 if type == PERCENT else U64_MAX
    values = [int(value) for value in _constants(plan, type)]
    for param in plan.params:
        if param.type == type:
            values += [param.default, param.low, param.high]
    if type.kind is Kind.SIZE:
        values += [plan.target.page_size, plan.target.pmd_size]
    return _near([*values, 0, top, *([top // 2 + 1] if top == U64_MAX else [])], top)


def _shares(plan: n.Plan) -> list[int]:
    return [int(value) for value in _constants(plan, PERCENT)] + [
        edge
        for param in plan.params
        if param.type == PERCENT
        for edge in (param.default, param.low, param.high)
    ]


def _masks(plan: n.Plan) -> list[int]:
    pmd, target = 1 << plan.target.pmd_order, plan.target
    usual = (1 << (target.pmd_order + 1)) - 4
    consts = [int(value) for value in _constants(plan, Type(Kind.ORDERS))]
    masks = [0, pmd, usual, U64_MAX, 1, 2, 4, 1 << 63, pmd << 1, usual & ~pmd, usual | 1]
    masks += [value ^ flip for value in consts for flip in (0, pmd, 4, 2)]
    return list(dict.fromkeys(masks))


def _known_comms(plan: n.Plan) -> list[bytes]:
    names = [value for value in _constants(plan, STRING) if isinstance(value, bytes)]
    for item in plan.sets:
        names += [member for member in item.members if isinstance(member, bytes)]
    return list(dict.fromkeys(names))


def _known_paths(plan: n.Plan) -> list[str]:
    paths = list(plan.paths)
    for item in plan.sets:
        paths += [member for member in item.members if isinstance(member, str)]
    return list(dict.fromkeys(paths))


def _comms(plan: n.Plan) -> list[bytes]:
    found = {b"": None, b"fifteen-bytes!!": None, b"\xff\x80": None}
    for text in _known_comms(plan):
        near = (text, text[:-1], text + b"x", text[:-1] + b"\xff", text.swapcase())
        found.update((item[:15].partition(b"\0")[0], None) for item in near)
    return list(found)


def _paths(plan: n.Plan) -> list[str]:
    found = {"/": None, "/elsewhere": None}
    for path in _known_paths(plan):
        under = "" if path == "/" else path
        near = (path, f"{under}/child", f"{path}c" if under else "/c", path.rpartition("/")[0])
        found.update((item, None) for item in near if item)
        # The ancestor that is just seen, and the one that just is not any more.
        depth = path.count("/") if under else 0
        for levels in (n.MAX_CGROUP_LEVELS - 1, n.MAX_CGROUP_LEVELS):
            found[under + "/d" * levels] = None
            if depth < levels:
                found[under + "/e" * (levels - depth)] = None
        if under and path[1:-1] and path[-2] != "/":
            found[path[:-1]] = None
    return [path for path in found if path == "/" or not path.endswith("/")]


# -- states


def first_state(plan: n.Plan) -> State:
    """The state that a policy starts with."""
    return State(
        sets={item.name: frozenset(item.members) for item in plan.sets},
        params={param.name: param.default for param in plan.params},
    )


def states(plan: n.Plan, random: Random) -> list[State]:
    """The first state, one with empty sets, and two with other members and values."""
    paths, comms = _paths(plan), _comms(plan)

    def members(item: n.SetDefinition) -> frozenset[bytes | str]:
        pool: list[bytes | str] = [*(paths if item.type == CGROUP else comms)]
        kept = [member for member in item.members if random.random() < 0.5]
        return frozenset([*kept, *random.sample(pool, min(len(pool), random.randrange(5)))])

    def value(param: n.ParamDefinition) -> int:
        near = [v for v in _numbers(plan, param.type) if param.low <= v <= param.high]
        return random.choice([param.low, param.high, *near])

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
        self._sizes = _numbers(plan, Type(Kind.SIZE)) if self._free else []

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
                return [*_comms(plan)]
            case Kind.CGROUP:
                return [*_paths(plan)]
            case _:
                return [*_numbers(plan, row.type)]

    def _likely(self, row: AttributeRow) -> list[n.ConstValue]:
        """What half of the requests have: values that scopes and sets were made for."""
        match row.name:
            case "task.comm":
                return [*_known_comms(self.plan)[:6]]
            case "cgroup":
                scopes = [self.plan.paths[b.scope] for b in self.hook.blocks if b.scope is not None]
                deepest = sorted(scopes, key=lambda path: path.count("/"))[-3:]
                members = [*_known_paths(self.plan)][:3]
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
    edges = [average_of_percent(percent) for percent in _numbers(plan, PERCENT)]
    return _near([min(edge, _MAX_AVERAGE) for edge in edges], _MAX_AVERAGE)
