"""What expressions are made of, and which of them a plan evaluates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policyc.plan import nodes as n

__all__ = ["block_roots", "operands", "reachable", "rule_roots"]


def operands(expr: n.Expr) -> tuple[n.Expr, ...]:
    """The expressions that one is made of; a `let` is not looked into."""
    match expr:
        case n.Const() | n.Attribute() | n.Param() | n.Local():
            return ()
        case n.Arithmetic(_, _, left, right) | n.Compare(_, left, right):
            return (left, right)
        case n.Union(left, right) | n.Difference(left, right) | n.Overlaps(left, right):
            return (left, right)
        case n.Contains(inner, outer):
            return (inner, outer)
        case n.InSet(value, _) | n.UnderSet(value, _):
            return (value,)
        case n.InList(value, members):
            return (value, *members)
        case n.UnderPath(value, _) | n.IsPath(value, _) | n.Has(value):
            return (value,)
        case n.Highest(orders):
            return (orders,)
        case n.And(items) | n.Or(items):
            return items
        case n.Not(item):
            return (item,)


def block_roots(block: n.Block) -> Iterator[n.Expr]:
    """The expressions of a block besides those of its rules."""
    yield from (expr for expr in (block.rollout, block.hot_threshold) if expr is not None)


def rule_roots(rule: n.Rule) -> Iterator[n.Expr]:
    """The condition of a rule, and its answer where that is an expression."""
    if rule.condition is not None:
        yield rule.condition
    if isinstance(rule.action, n.Allow):
        yield rule.action.orders


def reachable(plan: n.Plan, roots: Iterable[n.Expr]) -> Iterator[n.Expr]:
    """Some expressions and every part of one, with the definitions of lets, each of these once."""
    definitions = {definition.name: definition.expr for definition in plan.locals}
    seen: set[str] = set()
    pending = list(roots)
    while pending:
        expr = pending.pop()
        yield expr
        pending.extend(operands(expr))
        if isinstance(expr, n.Local) and expr.name not in seen:
            seen.add(expr.name)
            pending.append(definitions[expr.name])
