"""The values at which the conditions of a policy change, and their neighbours.

The first value of each list is the simplest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policyc.plan import nodes as n
from policyc.plan.arithmetic import saturating
from policyc.plan.evaluate import cgroup_mix
from policyc.plan.operands import operands
from policyc.plan.types import NUMERIC, PERCENT, STRING, U64_MAX, Kind, Type

__all__ = [
    "attributes_in",
    "combined",
    "comms",
    "constants",
    "known_comms",
    "known_paths",
    "masks",
    "near",
    "numbers",
    "parts",
    "paths",
    "places",
    "top_of",
]

#: Sums, products and the like are made of so many numbers at most.
_MOST_OPERANDS = 5

_COMBINING = (
    n.ArithmeticOperator.ADD,
    n.ArithmeticOperator.SUBTRACT,
    n.ArithmeticOperator.MULTIPLY,
    n.ArithmeticOperator.DIVIDE,
)

#: How many ids are tried to find those at the edges of a rollout.
_IDS = 4000


def parts(roots: Iterable[n.Expr]) -> list[n.Expr]:
    """Some expressions and every part of one, lets not looked into."""
    pending = [*roots][::-1]
    found: list[n.Expr] = []
    while pending:
        expr = pending.pop()
        found.append(expr)
        pending.extend(reversed(operands(expr)))
    return found


def attributes_in(plan: n.Plan, expr: n.Expr) -> list[str]:
    """The names of the attributes that an expression asks for, through lets too."""
    lets = {definition.name: definition.expr for definition in plan.locals}
    found: dict[str, None] = {}
    pending = [expr]
    while pending:
        part = pending.pop()
        pending.extend(reversed(operands(part)))
        match part:
            case n.Attribute(_, name):
                found[name] = None
            case n.Local(_, name):
                pending.append(lets[name])
            case _:
                pass
    return list(found)


def constants(exprs: Iterable[n.Expr], type: Type) -> list[n.ConstValue]:
    """The constants of a type, in the order in which they are met."""
    found: dict[n.ConstValue, None] = {}
    for expr in exprs:
        match expr:
            case n.Const(of, value) if of == type:
                found[value] = None
            case n.InList(_, members):
                found.update((m.value, None) for m in members if m.type == type)
            case _:
                pass
    return list(found)


def near(values: Iterable[int], top: int) -> list[int]:
    """Some numbers, and those just below and above them."""
    around = (value + step for value in values for step in (0, -1, 1))
    return list(dict.fromkeys(value for value in around if 0 <= value <= top))


def top_of(type: Type) -> int:
    """The largest number of a type."""
    return 10_000 if type == PERCENT else U64_MAX


def numbers(plan: n.Plan, exprs: Sequence[n.Expr], type: Type) -> list[int]:
    """Numbers of a type that conditions compare with, ends of ranges, and their neighbours."""
    top = top_of(type)
    values = [int(value) for value in constants(exprs, type)]
    for param in plan.params:
        if param.type == type:
            values += [param.default, param.low, param.high]
    if type.kind is Kind.SIZE:
        values += [plan.target.page_size, plan.target.pmd_size]
    return near([*values, 0, top, *([top // 2 + 1] if top == U64_MAX else [])], top)


def combined(plan: n.Plan, comparison: n.Expr) -> list[int]:
    """Where arithmetic makes a comparison change: sums, products and the like of its numbers."""
    below = parts([comparison])
    if not any(isinstance(part, n.Arithmetic) for part in below):
        return []
    found: dict[int, None] = {}
    params = {param.name: param for param in plan.params}
    for part in below:
        match part:
            case n.Const(type, value) if type.kind in NUMERIC:
                found[int(value)] = None
            case n.Param(type, name) if type.kind in NUMERIC:
                item = params[name]
                found.update(dict.fromkeys((item.default, item.low, item.high)))
            case _:
                pass
    some = [*found][:_MOST_OPERANDS]
    made = [saturating(op, a, b) for op in _COMBINING for a in some for b in some]
    ends = [end for a in some for end in (U64_MAX - a, U64_MAX // a if a else 0)]
    return near(dict.fromkeys([*made, *ends]), U64_MAX)


def known_comms(plan: n.Plan, exprs: Iterable[n.Expr]) -> list[bytes]:
    """The names of tasks that a policy has."""
    names = [value for value in constants(exprs, STRING) if isinstance(value, bytes)]
    for item in plan.sets:
        names += [member for member in item.members if isinstance(member, bytes)]
    return list(dict.fromkeys(names))


def known_paths(plan: n.Plan) -> list[str]:
    """The cgroups that a policy has."""
    named = list(plan.paths)
    for item in plan.sets:
        named += [member for member in item.members if isinstance(member, str)]
    return list(dict.fromkeys(named))


def comms(known: Sequence[bytes]) -> list[bytes]:
    """Names of tasks, and names that look like them."""
    found = {b"": None, b"fifteen-bytes!!": None, b"\xff\x80": None}
    for text in known:
        similar = (text, text[:-1], text + b"x", text[:-1] + b"\xff", text.swapcase())
        found.update((item[:15].partition(b"\0")[0], None) for item in similar)
    return list(found)


def paths(known: Sequence[str]) -> list[str]:
    """Cgroups, their parents and children, and some that only look as if they were below them."""
    found = {"/": None, "/elsewhere": None}
    for path in known:
        under = "" if path == "/" else path
        similar = (path, f"{under}/child", f"{path}c" if under else "/c", path.rpartition("/")[0])
        found.update((item, None) for item in similar if item)
        # The ancestor that is just seen, and the one that just is not any more.
        depth = path.count("/") if under else 0
        for levels in (n.MAX_CGROUP_LEVELS - 1, n.MAX_CGROUP_LEVELS):
            found[under + "/d" * levels] = None
            if depth < levels:
                found[under + "/e" * (levels - depth)] = None
        if under and path[1:-1] and path[-2] != "/":
            found[path[:-1]] = None
    return [path for path in found if path == "/" or not path.endswith("/")]


def masks(target: n.Target, exprs: Iterable[n.Expr]) -> list[int]:
    """Requests: all orders, those that a policy names, all but those, and each order alone."""
    every, pmd = target.large_orders, 1 << target.pmd_order
    named = [int(value) & every for value in constants(exprs, Type(Kind.ORDERS))]
    around = [flipped for mask in named for flipped in (mask, every & ~mask, mask ^ pmd)]
    single = [1 << order for order in range(every.bit_length()) if every >> order & 1]
    kept = [mask for mask in (pmd, *around, *single, every & ~pmd) if mask]
    return list(dict.fromkeys([every, *kept, 0]))


def places(shares: Iterable[int]) -> list[int]:
    """Ids of cgroups that are just inside and just outside of rollouts."""
    where = {cgroup_mix(number) % 10_000: number for number in range(_IDS, 1, -1)}
    ordered = sorted(where)
    found: dict[int, None] = {}
    for share in dict.fromkeys(shares):
        inside = [place for place in ordered if place < share]
        outside = ordered[len(inside) :]
        found.update((where[place], None) for place in (*inside[-1:], *outside[:1]))
    return [*found, 2, U64_MAX]
