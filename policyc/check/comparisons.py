"""Comparisons: equality and order, membership, the cgroup tree, and tests of order sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policyc.check.literals import cgroup_path
from policyc.check.model import Typed
from policyc.check.words import EXAMPLES, with_article
from policyc.diagnostics.model import Label
from policyc.plan import nodes as n
from policyc.plan.types import BOOL, CGROUP, NUMERIC, ORDERS, Kind
from policyc.source import Span
from policyc.syntax import tree as t

if TYPE_CHECKING:
    from policyc.check.expressions import Expressions

__all__ = ["check_comparison"]


def check_comparison(checker: Expressions, node: t.ComparisonExpr) -> Typed | None:
    """A comparison of any kind; checks its operands with `checker`."""
    match node.operator:
        case "in":
            return _in(checker, node)
        case "under":
            return _under(checker, node)
        case "overlaps":
            left = checker.orders(node.left)
            right = left and checker.orders(node.right)
            return left and right and Typed(n.Overlaps(left.expr, right.expr), BOOL, node.span)
        case _:
            return _compare(checker, node)


def _compare(checker: Expressions, node: t.ComparisonExpr) -> Typed | None:
    pair = checker.pair(node.left, node.right)
    if pair is None:
        return None
    left, right = pair
    if left.type != right.type:
        checker.mismatch(node, left, right)
        return None
    operator = n.CompareOperator("==" if node.operator == "is" else node.operator)
    equality = operator in (n.CompareOperator.EQUAL, n.CompareOperator.NOT_EQUAL)
    if not equality and left.type.kind not in NUMERIC:
        checker.diagnostics.add(
            "PC0303",
            f"`{node.operator}` does not work on {with_article(left.type)}",
            node.operator_span,
            related=(Label(left.span, f"this is of type {left.type}"),),
            help="compare order sets with `in`, `overlaps`, `==` or `highest(...)`"
            if left.type == ORDERS
            else "only `==` and `!=` do",
        )
        return None
    if left.type == CGROUP:
        return _compare_cgroup(checker, node, operator, left, right)
    return Typed(n.Compare(operator, left.expr, right.expr), BOOL, node.span)


def _compare_cgroup(
    checker: Expressions,
    node: t.ComparisonExpr,
    operator: n.CompareOperator,
    left: Typed,
    right: Typed,
) -> Typed | None:
    if isinstance(left.expr, n.Const):
        left, right = right, left
    if not isinstance(right.expr, n.Const) or isinstance(left.expr, n.Const):
        checker.diagnostics.add(
            "PC0305",
            "a cgroup is compared with a path",
            node.span,
            help=EXAMPLES[Kind.CGROUP],
        )
        return None
    same = n.IsPath(left.expr, checker.declarations.path(str(right.expr.value)))
    if operator is n.CompareOperator.EQUAL:
        return Typed(same, BOOL, node.span)
    return Typed(n.And((n.Has(left.expr), n.Not(same))), BOOL, node.span)


def _in(checker: Expressions, node: t.ComparisonExpr) -> Typed | None:
    match node.right:
        case t.NameExpr(name, _) if name in checker.declarations.sets:
            return _in_set(checker, node, name)
        case t.ListExpr(items):
            return _in_list(checker, node, items)
        case t.NameExpr(name, _) if name in checker.declarations.broken:
            return None
        case t.NameExpr(name, _) if not checker.is_known(name):
            checker.unknown(node.right)
            return None
        case t.StringLiteral():
            _in_string(checker, node, node.right)
            return None
        case _:
            return _in_orders(checker, node)


def _in_string(checker: Expressions, node: t.ComparisonExpr, right: t.StringLiteral) -> None:
    left, text = node.left.span.text, right.span.text
    is_path = right.value.startswith(b"/")
    checker.diagnostics.add(
        "PC0305" if is_path else "PC0306",
        "`in` looks into a set, a list or an order set, and this is a string",
        right.span,
        help=f"write `{left} == {text}` or `{left} under {text}`"
        if is_path
        else f"write `{left} == {text}` or `{left} in {{ {text} }}`",
    )


def _in_orders(checker: Expressions, node: t.ComparisonExpr) -> Typed | None:
    left = checker.check(node.left, ORDERS)
    if left is None:
        return None
    if left.type != ORDERS:
        text = left.span.text
        checker.diagnostics.add(
            "PC0304",
            f"`in` looks for orders in an order set here, and this is of type {left.type}",
            left.span,
            f"of type {left.type}",
            help=f"for a range write `{text} >= LOW and {text} <= HIGH`"
            if isinstance(node.right, t.RangeExpr)
            else f"for several values write `{text} in {{ A, B }}`",
        )
        return None
    right = checker.orders(node.right)
    return right and Typed(n.Contains(left.expr, right.expr), BOOL, node.span)


def _in_set(checker: Expressions, node: t.ComparisonExpr, name: str) -> Typed | None:
    checker.declarations.used.add(name)
    member_type = checker.declarations.set_types.get(name)
    left = checker.check(node.left, member_type)
    if left is None or member_type is None:
        return None
    if left.type != member_type or isinstance(left.expr, n.Const):
        checker.diagnostics.add(
            "PC0306",
            f"`{name}` is a set of {member_type}, and this is of type {left.type}",
            left.span,
            f"of type {left.type}",
            related=(Label(checker.declarations.sets[name].type.span, "declared here"),),
            help="look for `cgroup` in a set of cgroup, for `task.comm` in a set of string",
        )
        return None
    return Typed(n.InSet(left.expr, name), BOOL, node.span)


def _in_list(
    checker: Expressions, node: t.ComparisonExpr, items: tuple[t.Expr, ...]
) -> Typed | None:
    left = checker.check(node.left)
    if left is None:
        return None
    members = [checker.check(item, left.type) for item in items]
    found = [member for member in members if member is not None]
    if len(found) != len(members):
        return None
    for member in found:
        if member.type != left.type or not isinstance(member.expr, n.Const):
            checker.diagnostics.add(
                "PC0306",
                f"the list is looked through for {with_article(left.type)}, "
                f"and this is not a constant of that type",
                member.span,
                f"of type {member.type}" if member.type != left.type else "not a constant",
                related=(Label(left.span, f"this is of type {left.type}"),),
            )
            return None
    constants = tuple(member.expr for member in found if isinstance(member.expr, n.Const))
    _report_repeated(checker, found)
    return Typed(_membership(checker, left, constants), BOOL, node.span)


def _report_repeated(checker: Expressions, members: list[Typed]) -> None:
    first: dict[n.Expr, Span] = {}
    for member in members:
        if member.expr in first:
            checker.diagnostics.add(
                "PC0412",
                f"{member.span.text} is listed twice",
                member.span,
                related=(Label(first[member.expr], "listed here first"),),
                help="leave one of them out",
            )
        first.setdefault(member.expr, member.span)


def _membership(checker: Expressions, left: Typed, constants: tuple[n.Const, ...]) -> n.Expr:
    if left.type != CGROUP:
        return n.InList(left.expr, constants)
    return _any([n.IsPath(left.expr, checker.declarations.path(str(c.value))) for c in constants])


def _under(checker: Expressions, node: t.ComparisonExpr) -> Typed | None:
    left = checker.check(node.left, CGROUP)
    if left is None:
        return None
    if left.type != CGROUP or isinstance(left.expr, n.Const):
        checker.diagnostics.add(
            "PC0305",
            "`under` asks where a cgroup is in the tree",
            left.span,
            f"of type {left.type}",
            help='write `cgroup under "/kubepods"`',
        )
        return None
    match node.right:
        case t.StringLiteral() | t.ListExpr():
            right = node.right
            items = right.items if isinstance(right, t.ListExpr) else (right,)
            return _under_paths(checker, node, left, items)
        case t.NameExpr(name, _) if name in checker.declarations.sets:
            return _under_set(checker, node, left, name)
        case t.NameExpr(name, _) if name in checker.declarations.broken:
            return None
        case t.NameExpr(name, _) if not checker.is_known(name):
            checker.unknown(node.right)
            return None
        case _:
            checker.diagnostics.add(
                "PC0305",
                "`under` wants a path or a set of cgroup on its right",
                node.right.span,
                help='write `cgroup under "/kubepods"`',
            )
            return None


def _under_set(
    checker: Expressions, node: t.ComparisonExpr, left: Typed, name: str
) -> Typed | None:
    checker.declarations.used.add(name)
    if checker.declarations.set_types.get(name) != CGROUP:
        checker.diagnostics.add(
            "PC0306",
            f"`under` wants a set of cgroup, and `{name}` is none",
            node.right.span,
            related=(Label(checker.declarations.sets[name].type.span, "declared here"),),
            help="use `in` for a set of string",
        )
        return None
    return Typed(n.UnderSet(left.expr, name), BOOL, node.span)


def _under_paths(
    checker: Expressions, node: t.ComparisonExpr, left: Typed, items: tuple[t.Expr, ...]
) -> Typed | None:
    exprs: list[n.Expr] = []
    for item in items:
        if not isinstance(item, t.StringLiteral):
            checker.diagnostics.add(
                "PC0306",
                "`under` wants paths",
                item.span,
                "not a path",
                help=EXAMPLES[Kind.CGROUP],
            )
            return None
        path = cgroup_path(item, checker.diagnostics)
        if path is None:
            return None
        exprs.append(n.UnderPath(left.expr, checker.declarations.path(path)))
    return Typed(_any(exprs), BOOL, node.span)


def _any(exprs: list[n.Expr]) -> n.Expr:
    return exprs[0] if len(exprs) == 1 else n.Or(tuple(exprs))
