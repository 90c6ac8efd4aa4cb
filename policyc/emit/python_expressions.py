"""Prints the expressions of a plan as Python.

A printed expression has the value that the reference evaluator gives it: None where it is
absent, and a bool, never None, where it is a condition. Expressions are pure and total, so a
part of one may be evaluated before it is needed; that keeps very deep ones within what
Python's parser takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from policyc.emit.python_names import LINEAGE, Names, expanded, operands
from policyc.plan import nodes as n
from policyc.plan.types import U64_MAX, Kind

__all__ = ["ExpressionPrinter", "Precedence", "Printed", "constant"]

#: Expressions are cut into assignments at this height.
_MAX_HEIGHT = 16


class Precedence(IntEnum):
    """How tightly the outermost operator of a text binds, in the order of Python's grammar."""

    CONDITIONAL = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    UNION = 5
    INTERSECT = 6
    ADD = 7
    MULTIPLY = 8
    ATOM = 9


@dataclass(frozen=True, slots=True)
class Printed:
    """The text of an expression; `absent` if its value may be None. `height` is its depth."""

    text: str
    precedence: Precedence = Precedence.ATOM
    absent: bool = False
    height: int = 0

    def within(self, precedence: Precedence) -> str:
        """The text as an operand of an operator that binds as tightly as `precedence`."""
        return self.text if self.precedence >= precedence else f"({self.text})"


@dataclass(frozen=True, slots=True)
class _Operands:
    """Operands that are present if none of the tests is None."""

    tests: list[str]
    values: list[Printed]
    height: int

    def result(self, value: Printed) -> Printed:
        """A value that is absent when an operand is."""
        if not self.tests:
            return Printed(value.text, value.precedence, height=self.height)
        guard = " or ".join(f"{test} is None" for test in self.tests)
        text = f"None if {guard} else {value.text}"
        return Printed(text, Precedence.CONDITIONAL, absent=True, height=self.height)

    def test(self, comparison: str) -> Printed:
        """A comparison that is False when an operand is absent."""
        guards = [f"{test} is not None" for test in self.tests]
        precedence = Precedence.AND if guards else Precedence.COMPARE
        return Printed(" and ".join([*guards, comparison]), precedence, height=self.height)


_Membership: TypeAlias = n.InSet | n.InList | n.UnderSet | n.UnderPath | n.IsPath
_Condition: TypeAlias = (
    n.Compare | n.Contains | n.Overlaps | n.Has | n.And | n.Or | n.Not | _Membership
)

_DIVISIONS = {n.ArithmeticOperator.DIVIDE: "//", n.ArithmeticOperator.MODULO: "%"}


def constant(value: n.ConstValue, kind: Kind) -> str:
    """A literal in ASCII."""
    if kind is Kind.ORDERS and isinstance(value, int) and value > 9:
        return hex(value)
    return ascii(value)


@dataclass(slots=True)
class ExpressionPrinter:
    """Prints expressions for one function.

    `spill` takes the text of an assignment that has to stand before the statement in hand.
    """

    plan: n.Plan
    names: Names
    spill: Callable[[str], None]
    local_absent: dict[str, bool] = field(default_factory=dict[str, bool])
    _temporaries: int = 0

    def condition(self, expr: n.Expr) -> Printed:
        """A text that is True where the value is True, else False."""
        printed = self.value(expr)
        if not printed.absent:
            return printed
        text = f"{printed.within(Precedence.UNION)} is True"
        return self._shortened(Printed(text, Precedence.COMPARE, height=printed.height))

    def value(self, expr: n.Expr) -> Printed:
        """A text with the value of the expression."""
        return self._shortened(self._value(expr))

    def _shortened(self, printed: Printed) -> Printed:
        if printed.height < _MAX_HEIGHT:
            return printed
        name = self._temporary()
        self.spill(f"{name} = {printed.text}")
        return Printed(name, absent=printed.absent)

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def _value(self, expr: n.Expr) -> Printed:
        match expanded(expr):
            case n.Const(type, value):
                return Printed(constant(value, type.kind))
            case n.Attribute() | n.Param() | n.Local() as named:
                return self._name(named)
            case n.Arithmetic(_, operator, left, right):
                return self._arithmetic(operator, left, right)
            case n.Union(left, right):
                return self._lifted("| ", Precedence.UNION, left, right)
            case n.Difference(left, right):
                return self._lifted("& ~", Precedence.INTERSECT, left, right)
            case n.Highest(orders):
                return self._highest(self.value(orders))
            case condition:
                return self._condition(condition)

    def _condition(self, expr: _Condition) -> Printed:
        match expr:
            case n.Compare(operator, left, right):
                return self._compare(operator, left, right)
            case n.Contains(inner, outer):
                return self._contains(inner, outer)
            case n.Overlaps(left, right):
                return self._overlaps(left, right)
            case n.Has(value):
                return self._has(self.value(value))
            case n.And(items):
                return self._joined(" and ", Precedence.AND, items)
            case n.Or(items):
                return self._joined(" or ", Precedence.OR, items)
            case n.Not(item):
                printed = self.condition(item)
                text = f"not {printed.within(Precedence.NOT)}"
                return Printed(text, Precedence.NOT, height=printed.height + 1)
            case membership:
                return self._membership(membership)

    def _membership(self, expr: _Membership) -> Printed:
        # None equals nothing, and no set and no list has it as a member.
        match expr:
            case n.InSet(value, name):
                return _suffixed(self.value(value), f"in {self.names.set(name)}")
            case n.InList(value, members):
                texts = dict.fromkeys(constant(m.value, m.type.kind) for m in members)
                literal = "{" + ", ".join(texts) + "}"
                return _suffixed(self.value(value), f"in {literal if texts else '()'}")
            case n.IsPath(value, path):
                return _suffixed(self.value(value), f"== {self.plan.paths[path]!a}")
            case n.UnderPath(value, path):
                lineage = self._lineage(value)
                text = f"{self.plan.paths[path]!a} in {lineage.text}"
                return Printed(text, Precedence.COMPARE, height=lineage.height + 1)
            case n.UnderSet(value, name):
                lineage, members = self._lineage(value), self.names.set(name)
                text = f"not {lineage.text}.isdisjoint({members})"
                return Printed(text, Precedence.NOT, height=lineage.height + 1)

    def _has(self, value: Printed) -> Printed:
        return _suffixed(value, "is not None") if value.absent else Printed("True")

    def _name(self, expr: n.Attribute | n.Param | n.Local) -> Printed:
        match expr:
            case n.Attribute(_, name):
                return Printed(self.names.attribute(name), absent=self.names.is_absent(name))
            case n.Param(_, name):
                return Printed(self.names.param(name))
            case n.Local(_, name):
                return Printed(self.names.local(name), absent=self.local_absent[name])

    def _joined(self, word: str, precedence: Precedence, items: tuple[n.Expr, ...]) -> Printed:
        # The order makes no difference to the value, so what is quick to test comes first.
        in_order = sorted(items, key=lambda item: LINEAGE in operands(item))
        printed = [self.condition(item) for item in in_order]
        tighter = Precedence(precedence + 1)
        text = word.join(item.within(tighter) for item in printed)
        height = max(item.height for item in printed)
        return Printed(text, precedence, height=height + 1)

    def _bound(self, operand: Printed) -> tuple[str, str]:
        """The text that evaluates an operand, and one that gives its value again."""
        if operand.text.isidentifier():
            return operand.text, operand.text
        name = self._temporary()
        return f"({name} := {operand.text})", name

    def _present(self, *exprs: n.Expr) -> _Operands:
        """Some operands, of which those that may be absent have to be tested."""
        printed = [self.value(expr) for expr in exprs]
        tests: list[str] = []
        values: list[Printed] = []
        for operand in printed:
            if operand.absent:
                first, name = self._bound(operand)
                tests.append(first)
                values.append(Printed(name))
            else:
                values.append(operand)
        return _Operands(tests, values, max(operand.height for operand in printed) + 1)

    def _lifted(
        self, operator: str, precedence: Precedence, left: n.Expr, right: n.Expr
    ) -> Printed:
        present = self._present(left, right)
        a, b = present.values
        text = f"{a.within(precedence)} {operator}{b.within(Precedence.ADD)}"
        return present.result(Printed(text, precedence))

    def _arithmetic(self, operator: n.ArithmeticOperator, left: n.Expr, right: n.Expr) -> Printed:
        present = self._present(left, right)
        a, b = present.values
        if operator in _DIVISIONS:
            sure = isinstance(right, n.Const) and right.value != 0
            return present.result(self._division(_DIVISIONS[operator], a, b, sure))
        return present.result(self._saturated(operator, a, b))

    def _division(self, sign: str, left: Printed, right: Printed, sure: bool) -> Printed:
        dividend = left.within(Precedence.MULTIPLY)
        if sure:
            return Printed(f"{dividend} {sign} {right.text}", Precedence.MULTIPLY)
        first, name = self._bound(right)
        return Printed(f"{dividend} {sign} {name} if {first} else 0", Precedence.CONDITIONAL)

    def _saturated(self, operator: n.ArithmeticOperator, left: Printed, right: Printed) -> Printed:
        multiply = operator is n.ArithmeticOperator.MULTIPLY
        precedence = Precedence.MULTIPLY if multiply else Precedence.ADD
        a, b = left.within(precedence), right.within(Precedence(precedence + 1))
        result = self._temporary()
        assignment = f"({result} := {a} {operator} {b})"
        if operator is n.ArithmeticOperator.SUBTRACT:
            return Printed(f"{result} if {assignment} > 0 else 0", Precedence.CONDITIONAL)
        text = f"{result} if {assignment} <= {U64_MAX} else {U64_MAX}"
        return Printed(text, Precedence.CONDITIONAL)

    def _highest(self, orders: Printed) -> Printed:
        first, name = self._bound(orders)
        page = self.plan.target.page_size
        size = f"min({U64_MAX}, {page} << {name}.bit_length() - 1)"
        text = f"{size} if {first} else None"
        return Printed(text, Precedence.CONDITIONAL, absent=True, height=orders.height + 1)

    def _compare(self, operator: n.CompareOperator, left: n.Expr, right: n.Expr) -> Printed:
        if isinstance(left, n.Highest) and isinstance(right, n.Const):
            least = self._least_order(operator, right)
            if least is not None:
                return self._highest_bounded(operator, left, least)
        if operator is n.CompareOperator.EQUAL:
            a, b = self.value(left), self.value(right)
            if not (a.absent and b.absent):
                # None equals no value that is there, so it needs no test.
                height = max(a.height, b.height) + 1
                return Printed(_comparison("==", a, b), Precedence.COMPARE, height=height)
        present = self._present(left, right)
        return present.test(_comparison(operator.value, *present.values))

    def _least_order(self, operator: n.CompareOperator, bound: n.Const) -> int | None:
        """The lowest order above a bound on the highest one; 64 if none is."""
        match operator:
            case n.CompareOperator.GREATER_EQUAL | n.CompareOperator.LESS:
                least = int(bound.value)
            case n.CompareOperator.GREATER | n.CompareOperator.LESS_EQUAL:
                least = int(bound.value) + 1
            case n.CompareOperator.EQUAL | n.CompareOperator.NOT_EQUAL:
                return None
        page = self.plan.target.page_size
        return next((o for o in range(64) if min(U64_MAX, page << o) >= least), 64)

    def _highest_bounded(
        self, operator: n.CompareOperator, highest: n.Highest, order: int
    ) -> Printed:
        """A bound on the highest order as a bound on the mask, which is quicker to test."""
        present = self._present(highest.orders)
        mask = present.values[0].within(Precedence.UNION)
        limit = constant(1 << order, Kind.ORDERS)
        if operator in (n.CompareOperator.GREATER_EQUAL, n.CompareOperator.GREATER):
            return present.test(f"{mask} >= {limit}")
        return present.test(f"0 < {mask} < {limit}")

    def _lineage(self, value: n.Expr) -> Printed:
        if isinstance(value, n.Attribute) and value.name == "cgroup":
            return Printed(self.names.lineage())
        printed = self.value(value)
        return Printed(f"lineage_of({printed.text})", height=printed.height + 1)

    def _contains(self, inner: n.Expr, outer: n.Expr) -> Printed:
        present = self._present(inner, outer)
        a, b = present.values
        if isinstance(inner, n.Const):
            return present.test(f"{b.within(Precedence.INTERSECT)} & {a.text} == {a.text}")
        missing = f"{a.within(Precedence.INTERSECT)} & ~{b.within(Precedence.ATOM)}"
        return present.test(f"{missing} == 0")

    def _overlaps(self, left: n.Expr, right: n.Expr) -> Printed:
        present = self._present(left, right)
        a, b = present.values
        common = f"{a.within(Precedence.INTERSECT)} & {b.within(Precedence.ATOM)}"
        return present.test(f"{common} != 0")


def _comparison(operator: str, left: Printed, right: Printed) -> str:
    return f"{left.within(Precedence.UNION)} {operator} {right.within(Precedence.UNION)}"


def _suffixed(value: Printed, comparison: str) -> Printed:
    """A comparison whose right side is the same text for every value."""
    text = f"{value.within(Precedence.UNION)} {comparison}"
    return Printed(text, Precedence.COMPARE, height=value.height + 1)
