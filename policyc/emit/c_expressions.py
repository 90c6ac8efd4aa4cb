"""Prints the expressions of a plan as C.

A value that may be absent is printed as two texts: conditions under which it is there,
and the value itself. A comparison or test joins both with `&&`, so that an absent
operand makes it false, as the plan demands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.types import Kind, Type

__all__ = ["COMM_BYTES", "Level", "Need", "Printed", "Printer", "Text", "all_of"]

#: Bytes of a task's name, with the NUL at its end.
COMM_BYTES = 16


class Level(IntEnum):
    """How tightly the outermost operator of a text binds; what -Wparentheses cares about."""

    BITS = 0
    OR = 1
    AND = 2
    COMPARISON = 3
    ATOM = 4


@dataclass(frozen=True, slots=True)
class Text:
    """C text with the binding strength of its outermost operator."""

    text: str
    level: Level = Level.ATOM

    @property
    def atom(self) -> str:
        """The text as an operand of anything."""
        return self.text if self.level is Level.ATOM else f"({self.text})"


@dataclass(frozen=True, slots=True)
class Need:
    """Something that must be declared before the text: a variable, a function, a literal.

    `kind` is `attribute`, `param`, `let`, `paths`, `function`, `set` (its walk) or `text`.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Printed:
    """An expression as C: when it is there, what it is, and what both need."""

    value: Text
    present: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    looks_up: bool = False

    @property
    def condition(self) -> Text:
        """That the value is there and true."""
        return all_of([*(Text(text) for text in self.present), self.value])


TRUE, FALSE = Text("true"), Text("false")


def all_of(parts: list[Text]) -> Text:
    """The conjunction of some conditions, without repetitions and without `true`."""
    kept = [part for part in dict.fromkeys(parts) if part != TRUE]
    if not kept:
        return TRUE
    if FALSE in kept:
        return FALSE
    if len(kept) == 1:
        return kept[0]
    operands = [p.text if p.level >= Level.AND else p.atom for p in kept]
    return Text(" && ".join(operands), Level.AND)


def _any_of(parts: list[Text]) -> Text:
    kept = [part for part in dict.fromkeys(parts) if part != FALSE]
    if not kept:
        return FALSE
    if TRUE in kept:
        return TRUE
    if len(kept) == 1:
        return kept[0]
    operands = [
        p.text if p.level in (Level.OR, Level.ATOM, Level.COMPARISON) else p.atom for p in kept
    ]
    return Text(" || ".join(operands), Level.OR)


def _not(item: Text) -> Text:
    if item in (TRUE, FALSE):
        return FALSE if item == TRUE else TRUE
    return Text(f"!{item.atom}")


_ARITHMETIC = {
    n.ArithmeticOperator.ADD: "add_saturating",
    n.ArithmeticOperator.SUBTRACT: "subtract_saturating",
    n.ArithmeticOperator.MULTIPLY: "multiply_saturating",
    n.ArithmeticOperator.DIVIDE: "divide_or_zero",
    n.ArithmeticOperator.MODULO: "modulo_or_zero",
}


class Printer:
    """Prints expressions of one hook; `prefix` is put before the names of its functions."""

    def __init__(
        self,
        plan: n.Plan,
        prefix: str,
        texts: Mapping[bytes, str],
        bits: Mapping[int, int],
    ) -> None:
        """`texts` names the arrays of strings; `bits` has the bit of each path in the mask."""
        self._prefix = prefix
        self._texts = texts
        self._bits = bits
        self._definitions = {definition.name: definition.expr for definition in plan.locals}
        self._let_presence: dict[str, bool] = {}

    def resolve(self, expr: n.Expr) -> n.Expr:
        """The expression behind lets that only give another name to something."""
        while isinstance(expr, n.Local):
            definition = self._definitions[expr.name]
            if not isinstance(definition, (n.Local, n.Const, n.Attribute, n.Param)):
                break
            expr = definition
        return expr

    def definition(self, name: str) -> n.Expr:
        """What a let stands for."""
        return self._definitions[name]

    def may_be_absent(self, name: str) -> bool:
        """Whether the value of a let can be missing."""
        if name not in self._let_presence:
            self._let_presence[name] = bool(self.print(self._definitions[name]).present)
        return self._let_presence[name]

    def print(self, expr: n.Expr) -> Printed:  # noqa: C901 - one case for each node
        """The expression as C."""
        match expr:
            case n.Const(type, value):
                return Printed(Text(self.constant(type, value)))
            case n.Attribute(_, name):
                return self._attribute(name)
            case n.Param(type, name):
                text = f"param_{name}"
                value = (
                    Text(f"{text} != 0", Level.COMPARISON) if type.kind is Kind.BOOL else Text(text)
                )
                return Printed(value, (), (Need("param", name),))
            case n.Local():
                return self._local(expr)
            case n.Arithmetic(_, operator, left, right):
                return self._call(_ARITHMETIC[operator], left, right)
            case n.Compare(operator, left, right):
                return self._compare(operator, left, right)
            case n.InSet(value, name):
                return self._in_set(value, name)
            case n.InList(value, members):
                return self._in_list(value, members)
            case n.UnderSet(value, name):
                walk = Text(f"{self._prefix}_under_set(request, &set_{name})")
                return self._test(
                    self.print(value), walk, Need("function", "under_set"), looks_up=True
                )
            case n.UnderPath(value, path):
                test = Text(f"under_path(paths, {self._bits[path]})")
                return self._test(
                    self.print(value), test, Need("paths", ""), Need("function", "under_path")
                )
            case n.IsPath(value, path):
                test = Text(f"is_path(paths, {self._bits[path]})")
                return self._test(
                    self.print(value), test, Need("paths", ""), Need("function", "is_path")
                )
            case n.Union(left, right):
                return self._binary("|", left, right)
            case n.Difference(left, right):
                return self._binary("& ~", left, right)
            case n.Contains(inner, outer):
                return self._orders_test("& ~", inner, outer, "== 0")
            case n.Overlaps(left, right):
                return self._orders_test("&", left, right, "!= 0")
            case n.Highest(orders):
                return self._highest(orders)
            case n.Has(value):
                printed = self.print(value)
                needs = printed.needs if printed.present else ()
                return Printed(all_of([Text(text) for text in printed.present]), (), needs)
            case n.And(items):
                return self._and(items)
            case n.Or(items):
                printed = [self.print(item) for item in items]
                return self._joined(_any_of([p.condition for p in printed]), printed)
            case n.Not(item):
                printed = self.print(item)
                return self._joined(_not(printed.condition), [printed])

    def constant(self, type: Type, value: n.ConstValue) -> str:
        """A constant as C."""
        if isinstance(value, bool):
            return "true" if value else "false"
        match type.kind:
            case Kind.ENUM:
                enumeration = enumerations()[type.enum]
                return f"{type.enum}_{enumeration.member(str(value)).name}".upper()
            case Kind.BOOL:
                return "true" if value else "false"
            case Kind.ORDERS:
                return f"0x{int(value):x}ULL"
            case Kind.STRING | Kind.CGROUP:
                raise AssertionError("strings and cgroups are printed by what uses them")
            case Kind.INT | Kind.SIZE | Kind.DURATION | Kind.PERCENT:
                return f"{int(value)}ULL"

    def _attribute(self, name: str) -> Printed:
        row = attributes()[name]
        present = (f"has_{row.field}",) if row.absent else ()
        return Printed(Text(row.field), present, (Need("attribute", name),))

    def _local(self, expr: n.Local) -> Printed:
        resolved = self.resolve(expr)
        if not isinstance(resolved, n.Local):
            return self.print(resolved)
        present = (f"has_let_{resolved.name}",) if self.may_be_absent(resolved.name) else ()
        return Printed(Text(f"let_{resolved.name}"), present, (Need("let", resolved.name),))

    def _joined(self, value: Text, parts: list[Printed], *more: Need) -> Printed:
        needs = [need for part in parts for need in part.needs]
        return Printed(
            value, (), tuple(dict.fromkeys([*needs, *more])), any(part.looks_up for part in parts)
        )

    def _lifted(self, value: Text, left: Printed, right: Printed, *more: Need) -> Printed:
        joined = self._joined(value, [left, right], *more)
        present = tuple(dict.fromkeys([*left.present, *right.present]))
        return Printed(value, present, joined.needs, joined.looks_up)

    def _call(self, function: str, left: n.Expr, right: n.Expr) -> Printed:
        a, b = self.print(left), self.print(right)
        value = Text(f"{function}({a.value.text}, {b.value.text})")
        return self._lifted(value, a, b, Need("function", function))

    def _binary(self, operator: str, left: n.Expr, right: n.Expr) -> Printed:
        a, b = self.print(left), self.print(right)
        space = "" if operator.endswith("~") else " "
        value = Text(f"{a.value.atom} {operator}{space}{b.value.atom}", Level.BITS)
        return self._lifted(value, a, b)

    def _orders_test(self, operator: str, left: n.Expr, right: n.Expr, test: str) -> Printed:
        bits = self._binary(operator, left, right)
        value = Text(f"({bits.value.text}) {test}", Level.COMPARISON)
        return self._test(bits, value)

    def _test(self, operand: Printed, value: Text, *more: Need, looks_up: bool = False) -> Printed:
        """A condition on an operand that is false where the operand is absent."""
        condition = all_of([*(Text(text) for text in operand.present), value])
        needs = tuple(dict.fromkeys([*operand.needs, *more]))
        return Printed(condition, (), needs, looks_up or operand.looks_up)

    def _compare(self, operator: n.CompareOperator, left: n.Expr, right: n.Expr) -> Printed:
        a, b = self.resolve(left), self.resolve(right)
        if _is_string(a) and _is_string(b):
            return self._compare_strings(operator, a, b)
        x, y = self.print(a), self.print(b)
        value = Text(f"{x.value.atom} {operator.value} {y.value.atom}", Level.COMPARISON)
        return self._test(self._lifted(value, x, y), value)

    def _compare_strings(self, operator: n.CompareOperator, left: n.Expr, right: n.Expr) -> Printed:
        if isinstance(left, n.Const):
            left, right = right, left
        if isinstance(left, n.Const) and isinstance(right, n.Const):
            same = Printed(TRUE if left.value == right.value else FALSE)
        elif isinstance(right, n.Const):
            same = self._is_text(left, right)
        else:
            # The one string that a request has is the name of the task.
            same = self._test(self.print(left), TRUE)
        if operator is n.CompareOperator.EQUAL:
            return same
        known = self._present(left, right)
        return Printed(all_of([*known, _not(same.value)]), (), same.needs)

    def _present(self, *exprs: n.Expr) -> list[Text]:
        return [Text(text) for expr in exprs for text in self.print_presence(expr)]

    def print_presence(self, expr: n.Expr) -> tuple[str, ...]:
        """The conditions under which a value is there; works for strings too."""
        return () if isinstance(expr, n.Const) else self.print(expr).present

    def _is_text(self, value: n.Expr, text: n.Const) -> Printed:
        printed = self.print(value)
        data = _bytes(text.value)
        if len(data) >= COMM_BYTES or 0 in data:
            return Printed(FALSE, (), printed.needs)
        same = Text(f"same_text(&{printed.value.text}, &{self._texts[data]}, {len(data) + 1})")
        return self._test(
            printed, same, Need("function", "same_text"), Need("text", self._texts[data])
        )

    def _in_set(self, value: n.Expr, name: str) -> Printed:
        value = self.resolve(value)
        if isinstance(value, n.Const):
            data = _bytes(value.value)
            if len(data) >= COMM_BYTES or 0 in data:
                return Printed(FALSE)
            text = self._texts[data]
            test = Text(f"in_set(&set_{name}, &{text})")
            needs = (Need("function", "in_set"), Need("text", text))
            return Printed(test, (), needs, looks_up=True)
        printed = self.print(value)
        test = Text(f"in_set(&set_{name}, &{printed.value.text})")
        return self._test(printed, test, Need("function", "in_set"), looks_up=True)

    def _in_list(self, value: n.Expr, members: tuple[n.Const, ...]) -> Printed:
        resolved = self.resolve(value)
        tests = [self._compare(n.CompareOperator.EQUAL, resolved, member) for member in members]
        if _is_string(resolved):
            return self._joined(_any_of([test.condition for test in tests]), tests)
        printed = self.print(resolved)
        equal = [
            Text(f"{printed.value.atom} == {self.print(member).value.atom}", Level.COMPARISON)
            for member in members
        ]
        return self._test(printed, _any_of(equal))

    def _highest(self, orders: n.Expr) -> Printed:
        printed = self.print(orders)
        present = (*printed.present, f"({printed.value.text}) != 0")
        return Printed(
            Text(f"size_of_highest({printed.value.text})"),
            tuple(f"({text})" if " " in text else text for text in present),
            (
                *printed.needs,
                Need("function", "size_of_highest"),
                Need("function", "highest_order"),
            ),
            printed.looks_up,
        )

    def _and(self, items: tuple[n.Expr, ...]) -> Printed:
        """Cheap conditions first: those that look nothing up in a map."""
        printed = sorted((self.print(item) for item in items), key=lambda p: p.looks_up)
        return self._joined(all_of([p.condition for p in printed]), printed)


def _is_string(expr: n.Expr) -> bool:
    match expr:
        case n.Const(type, _) | n.Attribute(type, _) | n.Param(type, _) | n.Local(type, _):
            return type.kind is Kind.STRING
        case _:
            return False


def _bytes(value: n.ConstValue) -> bytes:
    assert isinstance(value, bytes)
    return value
