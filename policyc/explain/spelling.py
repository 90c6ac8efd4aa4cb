"""Expressions and values of a plan as a policy would write them."""

from __future__ import annotations

from policyc.plan import nodes as n
from policyc.plan.types import BOOL, ORDERS, SIZE, Kind, Type
from policyc.runtime.units import spell_value
from policyc.simulate.explain import spell_mask
from policyc.syntax.printer import format_string

__all__ = ["spell_constant", "spell_expression", "spell_operator", "spell_orders", "type_of"]

#: How tightly an expression binds.
_OR, _AND, _NOT, _COMPARISON, _UNION, _SUM, _PRODUCT, _ATOM = range(8)

_PRODUCTS = (
    n.ArithmeticOperator.MULTIPLY,
    n.ArithmeticOperator.DIVIDE,
    n.ArithmeticOperator.MODULO,
)


def type_of(expr: n.Expr) -> Type:
    """The type of an expression."""
    match expr:
        case n.Const(type, _) | n.Attribute(type, _) | n.Param(type, _) | n.Local(type, _):
            return type
        case n.Arithmetic(type, _, _, _):
            return type
        case n.Union() | n.Difference():
            return ORDERS
        case n.Highest():
            return SIZE
        case _:
            return BOOL


def spell_orders(mask: int, target: n.Target) -> str:
    """A set of orders; one that has all above the PMD order is spelled by what it leaves out."""
    if mask == n.ALL_ORDERS:
        return "all"
    above = n.ALL_ORDERS & -(2 << target.pmd_order)
    if mask & above == above:
        missing = spell_mask(n.ALL_ORDERS & ~mask, target)
        return f"all - ({missing})" if " | " in missing else f"all - {missing}"
    return spell_mask(mask, target)


def spell_constant(value: n.ConstValue | None, type: Type, target: n.Target) -> str:
    """A value as a policy would write it, but for cgroups, which stand without quotes."""
    if value is None:
        return "absent"
    match type.kind:
        case Kind.ORDERS:
            return spell_orders(int(value), target)
        case Kind.BOOL:
            return "true" if value else "false"
        case Kind.STRING:
            assert isinstance(value, bytes)
            return format_string(value)
        case Kind.CGROUP | Kind.ENUM:
            return str(value)
        case _:
            return spell_value(type.kind.value, int(value))


def spell_expression(expr: n.Expr, plan: n.Plan) -> str:
    """An expression on one line, with the names of its lets and parameters."""
    match expr:
        case n.Const(type, value):
            return spell_constant(value, type, plan.target)
        case n.Attribute(_, name) | n.Param(_, name) | n.Local(_, name):
            return name
        case n.Arithmetic(_, operator, left, right):
            if _is_free(expr):
                return "memory.free"
            return _binary(plan, operator.value, _level(expr, plan), left, right)
        case n.Compare(operator, left, right):
            word = spell_operator(operator, left)
            return f"{_within(left, plan, _UNION)} {word} {_within(right, plan, _UNION)}"
        case n.Union(left, right):
            return _binary(plan, "|", _UNION, left, right)
        case n.Difference(left, right):
            return _binary(plan, "-", _SUM, left, right)
        case n.Highest(orders):
            return f"highest({spell_expression(orders, plan)})"
        case n.And(items):
            return " and ".join(_within(item, plan, _NOT) for item in items)
        case n.Or(items):
            return " or ".join(_within(item, plan, _AND) for item in items)
        case n.Not(item):
            return f"not {_within(item, plan, _NOT)}"
        case _:
            return _test(expr, plan)


_Test = n.InSet | n.InList | n.UnderSet | n.UnderPath | n.IsPath | n.Contains | n.Overlaps | n.Has


def _test(expr: _Test, plan: n.Plan) -> str:
    match expr:
        case n.InSet(value, name):
            return f"{_within(value, plan, _UNION)} in {name}"
        case n.UnderSet(value, name):
            return f"{_within(value, plan, _UNION)} under {name}"
        case n.InList(value, members):
            listed = ", ".join(spell_expression(member, plan) for member in members)
            return f"{_within(value, plan, _UNION)} in {{ {listed} }}"
        case n.UnderPath(value, path):
            return f"{_within(value, plan, _UNION)} under {_path(plan, path)}"
        case n.IsPath(value, path):
            return f"{_within(value, plan, _UNION)} == {_path(plan, path)}"
        case n.Contains(inner, outer):
            return f"{_within(inner, plan, _UNION)} in {_within(outer, plan, _UNION)}"
        case n.Overlaps(left, right):
            return f"{_within(left, plan, _UNION)} overlaps {_within(right, plan, _UNION)}"
        case n.Has(value):
            return f"has {_within(value, plan, _ATOM)}"


def _path(plan: n.Plan, path: int) -> str:
    return format_string(plan.paths[path].encode("utf-8", "surrogateescape"))


def spell_operator(operator: n.CompareOperator, left: n.Expr) -> str:
    """A comparison; the equality of names is `is`."""
    of_names = operator is n.CompareOperator.EQUAL and type_of(left).kind is Kind.ENUM
    return "is" if of_names else operator.value


def _binary(plan: n.Plan, operator: str, level: int, left: n.Expr, right: n.Expr) -> str:
    """All of them associate to the left."""
    return f"{_within(left, plan, level)} {operator} {_within(right, plan, level + 1)}"


def _within(expr: n.Expr, plan: n.Plan, level: int) -> str:
    """An operand, in parentheses where it binds less tightly than `level`."""
    text = spell_expression(expr, plan)
    return text if _level(expr, plan) >= level else f"({text})"


def _level(expr: n.Expr, plan: n.Plan) -> int:
    match expr:
        case n.Or():
            return _OR
        case n.And():
            return _AND
        case n.Not():
            return _NOT
        case n.Union():
            return _UNION
        case n.Difference():
            return _SUM
        case n.Arithmetic() if _is_free(expr):
            return _ATOM
        case n.Arithmetic(_, operator, _, _):
            return _PRODUCT if operator in _PRODUCTS else _SUM
        case n.Const(type, value) if type.kind is Kind.ORDERS:
            text = spell_orders(int(value), plan.target)
            return _SUM if " - " in text else _UNION if " | " in text else _ATOM
        case n.Const() | n.Attribute() | n.Param() | n.Local() | n.Highest():
            return _ATOM
        case _:
            return _COMPARISON


def _is_free(expr: n.Expr) -> bool:
    """Whether it is what `memory.free` stands for."""
    match expr:
        case n.Arithmetic(_, operator, n.Attribute(_, limit), n.Attribute(_, usage)):
            minus = operator is n.ArithmeticOperator.SUBTRACT
            return minus and (limit, usage) == ("memory.max", "memory.usage")
        case _:
            return False
