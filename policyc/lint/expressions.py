"""The parts of expressions, as written and as meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policyc.plan import nodes as n
from policyc.syntax import tree as t

__all__ = ["changed_by_tests", "expressions", "expressions_of", "parts", "written_parts"]


def expressions(file: t.PolicyFile) -> Iterator[t.Expr]:
    """Every expression of a policy: lets, conditions, and the orders of answers."""
    for item in file.items:
        yield from expressions_of(item)


def expressions_of(item: t.Item) -> Iterator[t.Expr]:
    """The expressions of one item."""
    match item:
        case t.LetItem(_, expr):
            yield expr
        case t.BlockItem(_, _, entries):
            for entry in entries:
                if isinstance(entry, t.RuleEntry):
                    yield from (e for e in (entry.action.orders, entry.condition) if e)
        case _:
            pass


def changed_by_tests(file: t.PolicyFile) -> frozenset[str]:
    """The names of the sets and parameters that the tests of a file change."""
    return frozenset(
        step.name.text
        for item in file.items
        if isinstance(item, t.TestItem)
        for step in item.steps
        if isinstance(step, t.SetStep | t.ParamStep)
    )


def written_parts(expr: t.Expr) -> Iterator[t.Expr]:
    """An expression as written and all that it is made of."""
    stack: list[t.Expr | None] = [expr]
    while stack:
        part = stack.pop()
        if part is None:
            continue
        yield part
        match part:
            case t.BinaryExpr(_, left, right) | t.ComparisonExpr(_, left, right):
                stack += (right, left)
            case t.LogicalExpr(_, items) | t.ListExpr(items):
                stack += reversed(items)
            case t.NotExpr(item) | t.HasExpr(item) | t.HighestExpr(item):
                stack.append(item)
            case t.RangeExpr(low, high):
                stack += (high, low)
            case _:
                pass


def parts(  # noqa: C901 - one case for each node
    expr: n.Expr, lets: Mapping[str, n.Expr]
) -> Iterator[n.Expr]:
    """An expression of the plan and all that it is made of, that of lets included."""
    seen: set[str] = set()
    stack: list[n.Expr] = [expr]
    while stack:
        part = stack.pop()
        yield part
        match part:
            case n.Local(_, name):
                if name not in seen:
                    stack.append(lets[name])
                seen.add(name)
            case n.And(items) | n.Or(items):
                stack.extend(items)
            case n.Not(item) | n.Has(item) | n.Highest(item):
                stack.append(item)
            case n.Compare(_, left, right) | n.Arithmetic(_, _, left, right):
                stack += (left, right)
            case n.Union(left, right) | n.Difference(left, right):
                stack += (left, right)
            case n.Contains(left, right) | n.Overlaps(left, right):
                stack += (left, right)
            case n.InList(value, members):
                stack += (value, *members)
            case n.InSet(value, _) | n.UnderSet(value, _):
                stack.append(value)
            case n.UnderPath(value, _) | n.IsPath(value, _):
                stack.append(value)
            case n.Const() | n.Attribute() | n.Param():
                pass
