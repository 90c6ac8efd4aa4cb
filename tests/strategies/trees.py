"""Trees without a text: constructors with dummy spans, and comparison without spans."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from policyc.source import Source, Span
from policyc.syntax import tree as t

__all__ = [
    "SPAN",
    "binary",
    "comparison",
    "has",
    "highest",
    "integer",
    "logical",
    "name",
    "name_expr",
    "negation",
    "policy_file",
    "skeleton",
    "string",
]

_SOURCE = Source("generated.thp", "")
SPAN = Span(_SOURCE, 0, 0)


def skeleton(node: Any) -> Any:
    """A tree as nested tuples without its spans, to compare two of them."""
    if isinstance(node, tuple):
        return tuple(skeleton(item) for item in node)
    if is_dataclass(node):
        return (
            type(node).__name__,
            *(
                skeleton(getattr(node, field.name))
                for field in fields(node)
                if field.type not in ("Span", "Source")
            ),
        )
    return node


def _depth(*items: t.Expr | None) -> int:
    return 1 + max(getattr(item, "depth", 0) for item in items)


def name(text: str) -> t.Name:
    return t.Name(text, SPAN)


def name_expr(text: str) -> t.NameExpr:
    return t.NameExpr(text, SPAN)


def integer(value: int) -> t.IntegerLiteral:
    return t.IntegerLiteral(value, SPAN)


def string(value: bytes) -> t.StringLiteral:
    return t.StringLiteral(value, SPAN)


def binary(operator: str, left: t.Expr, right: t.Expr) -> t.BinaryExpr:
    return t.BinaryExpr(operator, left, right, SPAN, SPAN, _depth(left, right))


def comparison(operator: str, left: t.Expr, right: t.Expr) -> t.ComparisonExpr:
    return t.ComparisonExpr(operator, left, right, SPAN, SPAN, _depth(left, right))


def logical(operator: str, items: tuple[t.Expr, ...]) -> t.LogicalExpr:
    return t.LogicalExpr(operator, items, SPAN, _depth(*items))


def negation(item: t.Expr) -> t.NotExpr:
    return t.NotExpr(item, SPAN, _depth(item))


def has(text: str) -> t.HasExpr:
    return t.HasExpr(name_expr(text), SPAN, 1)


def highest(item: t.Expr) -> t.HighestExpr:
    return t.HighestExpr(item, SPAN, _depth(item))


def policy_file(policy: str, items: list[t.Item]) -> t.PolicyFile:
    return t.PolicyFile(name(policy), tuple(items), _SOURCE)
