"""How generated Python spells what a policy names, and which of it a function reads only once.

An attribute, a parameter or a set that a function uses more than once, and every `let`,
become local variables, which are assigned where they are first needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.operands import operands as parts_of
from policyc.plan.types import INT, SIZE

__all__ = [
    "CGROUP",
    "CGROUP_ID",
    "LINEAGE",
    "Names",
    "Operand",
    "expanded",
    "operands",
    "param_slot",
    "set_slot",
]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Operand:
    """Something that expressions refer to by name; `lineage` has none."""

    kind: Literal["attribute", "param", "set", "lineage", "local"]
    name: str = ""


LINEAGE = Operand("lineage")
CGROUP = Operand("attribute", "cgroup")

#: The id of the cgroup, which rollouts use.
CGROUP_ID = n.Attribute(INT, "cgroup.id")


def _slot(prefix: str, name: str, place: int) -> str:
    return f"{prefix}_{name}" if _IDENTIFIER.fullmatch(name) else f"{prefix}_{place}"


def set_slot(plan: n.Plan, name: str) -> str:
    """The attribute of the current values that holds the members of a set."""
    return _slot("set", name, [s.name for s in plan.sets].index(name))


def param_slot(plan: n.Plan, name: str) -> str:
    """The attribute of the current values that holds a parameter."""
    return _slot("param", name, [p.name for p in plan.params].index(name))


def expanded(expr: n.Expr) -> n.Expr:
    """The difference that a derived attribute stands for; any other expression as it is."""
    if isinstance(expr, n.Attribute) and expr.name in attributes():
        derived = attributes()[expr.name].derived
        if derived:
            left, right = (n.Attribute(SIZE, name) for name in derived)
            return n.Arithmetic(SIZE, n.ArithmeticOperator.SUBTRACT, left, right)
    return expr


def operands(expr: n.Expr) -> Iterator[Operand]:
    """Every use of something that has a name, in no particular order."""
    pending = [expr]
    while pending:
        part = expanded(pending.pop())
        match part:
            case n.Attribute(_, name):
                yield Operand("attribute", name)
            case n.Param(_, name):
                yield Operand("param", name)
            case n.Local(_, name):
                yield Operand("local", name)
            case n.InSet(_, name):
                yield Operand("set", name)
                pending += parts_of(part)
            case n.UnderSet(value, name):
                yield Operand("set", name)
                pending += _lineage_parts(value)
                yield LINEAGE
            case n.UnderPath(value, _):
                pending += _lineage_parts(value)
                yield LINEAGE
            case _:
                pending += parts_of(part)


def _lineage_parts(value: n.Expr) -> list[n.Expr]:
    """The cgroup of the request is read for its lineage, not at each use of that."""
    return [] if isinstance(value, n.Attribute) and value.name == CGROUP.name else [value]


#: How many uses of an operand stand on their own; with more it is a local variable. Most
#: requests get to one test of the lineage at most, and looking it up twice is soon made good.
_MOST = {"attribute": 1, "param": 1, "set": 1, "lineage": 2, "local": 0}


class Names:
    """The spellings in one function, which answers one hook."""

    def __init__(self, plan: n.Plan, hook: n.HookName, uses: Iterable[Operand]) -> None:
        """`uses` are all uses of operands in the function, repetitions included."""
        self.plan = plan
        self._hook = hook
        counts = Counter(uses)
        self._held = {operand for operand, count in counts.items() if count > _MOST[operand.kind]}
        self._locals = {definition.name: i for i, definition in enumerate(plan.locals)}

    def is_held(self, operand: Operand) -> bool:
        """Whether the operand is a local variable."""
        return operand in self._held

    def is_absent(self, attribute: str) -> bool:
        """Whether the attribute may be absent from a request of the hook."""
        if attribute == "cgroup.id":
            return True
        row = attributes()[attribute]
        return bool(row.absent) or self._hook.value not in row.hooks

    def attribute(self, name: str) -> str:
        """The text that reads an attribute of the request."""
        return self._read(Operand("attribute", name))

    def param(self, name: str) -> str:
        """The text that reads a parameter."""
        return self._read(Operand("param", name))

    def set(self, name: str) -> str:
        """The text that reads the members of a set."""
        return self._read(Operand("set", name))

    def lineage(self) -> str:
        """The text of the cgroup of the request and its ancestors."""
        return self._read(LINEAGE)

    def local(self, name: str) -> str:
        """The variable of a `let`."""
        return _slot("let", name, self._locals[name])

    def variable(self, operand: Operand) -> str:
        """The local variable of an operand."""
        match operand.kind:
            case "attribute":
                return operand.name.replace(".", "_")
            case "param":
                return param_slot(self.plan, operand.name)
            case "set":
                return set_slot(self.plan, operand.name)
            case "lineage":
                return "lineage"
            case "local":
                return self.local(operand.name)

    def source(self, operand: Operand) -> str:
        """The text that gets an operand from where it comes; not for a `let`."""
        match operand.kind:
            case "attribute" if operand.name == "cgroup.id":
                return "request.cgroup_id"
            case "attribute" if self._hook.value not in attributes()[operand.name].hooks:
                return "None"
            case "attribute":
                return f"request.{self.variable(operand)}"
            case "lineage":
                return f"lineage_of({self.attribute(CGROUP.name)})"
            case _:
                return f"_current.{self.variable(operand)}"

    def rank(self, operand: Operand) -> tuple[int, int, str]:
        """The order of assignments: what a later one uses comes first."""
        kinds = ("attribute", "param", "set", "lineage", "local")
        place = self._locals[operand.name] if operand.kind == "local" else 0
        return kinds.index(operand.kind), place, operand.name

    def _read(self, operand: Operand) -> str:
        return self.variable(operand) if operand in self._held else self.source(operand)
