"""Expressions and literals to text, in their canonical form.

How a number was written (`0x10`, `1_000`, `1024K`) is not part of the tree: sizes and
durations come out in the largest unit that is exact.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TypeAlias

from policyc.plan.types import format_size
from policyc.syntax import tree as t

__all__ = ["format_expr", "format_operands", "format_string"]

_DURATION_UNITS = (
    (3_600_000_000_000, "h"),
    (60_000_000_000, "min"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
)

# How tightly an expression binds, as in grammar/policy.lark.
_IMPLIES, _OR, _AND, _NOT, _COMPARISON, _UNION, _SUM, _PRODUCT, _ATOM = range(9)
_BINARY_LEVELS = {"|": _UNION, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "%": _PRODUCT}
_LOGICAL_LEVELS = {"implies": _IMPLIES, "or": _OR, "and": _AND}

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN = re.compile(rb"[ !#-\[\]-~]*\Z")

#: Characters that cannot be seen, that change how others are shown, or that mean nothing in public.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})


def format_expr(expr: t.Expr) -> str:
    """The canonical text of an expression, on one line."""
    return _spelled(expr)[0]


def _spelled(expr: t.Expr) -> tuple[str, int]:
    """The text of an expression, and how tightly it binds."""
    match expr:
        case t.NameExpr():  # the most frequent first
            return expr.text, _ATOM
        case t.ComparisonExpr():
            left, right = _operand(expr.left, _UNION), _operand(expr.right, _UNION)
            return f"{left} {expr.operator} {right}", _COMPARISON
        case t.BinaryExpr(operator, left, right):
            # All of these associate to the left.
            level = _BINARY_LEVELS[operator]
            return f"{_operand(left, level)} {operator} {_operand(right, level + 1)}", level
        case t.LogicalExpr(operator):
            return f" {operator} ".join(format_operands(expr)), _LOGICAL_LEVELS[operator]
        case t.NotExpr(item):
            return f"not {_operand(item, _NOT)}", _NOT
        case _:
            return _atom(expr), _ATOM


def format_operands(expr: t.LogicalExpr) -> list[str]:
    """The operands of `and`, `or` or `implies`, each with the parentheses that it needs."""
    level = _LOGICAL_LEVELS[expr.operator]
    texts = [_operand(item, level + 1) for item in expr.items]
    if expr.operator == "implies":  # it associates to the right
        texts[-1] = _operand(expr.items[-1], level)
    return texts


_Atom: TypeAlias = t.Literal | t.OrderLiteral | t.RangeExpr | t.ListExpr | t.HasExpr | t.HighestExpr


def _atom(expr: _Atom) -> str:
    match expr:
        case t.OrderLiteral(value):
            return f"order {value}"
        case t.RangeExpr(low, high):
            return f"{_end(low)}..{_end(high)}"
        case t.ListExpr(items):
            return f"{{ {', '.join(format_expr(item) for item in items)} }}"
        case t.HasExpr(item):
            return f"has {item.text}"
        case t.HighestExpr(item):
            return f"highest({format_expr(item)})"
        case _:
            return _literal(expr)


def _literal(literal: t.Literal) -> str:
    match literal:
        case t.IntegerLiteral(value):
            return str(value)
        case t.SizeLiteral(value):
            return format_size(value)
        case t.DurationLiteral(value):
            return _duration(value)
        case t.PercentLiteral(value):
            return _percent(value)
        case t.StringLiteral(value):
            return format_string(value)


def _end(end: t.Expr | None) -> str:
    return "" if end is None else format_expr(end)


def _operand(expr: t.Expr, level: int) -> str:
    """An operand where only what binds at least that tightly stands without parentheses."""
    text, own = _spelled(expr)
    return text if own >= level else f"({text})"


# -- literals


def _duration(value: int) -> str:
    for scale, unit in _DURATION_UNITS:
        if value and value % scale == 0:
            return f"{value // scale}{unit}"
    return f"{value}ns"


def _percent(value: int) -> str:
    whole, hundredths = divmod(value, 100)
    decimals = f".{hundredths:02}".rstrip("0") if hundredths else ""
    return f"{whole}{decimals}%"


def format_string(value: bytes) -> str:
    """Bytes as a string literal.

    What is not UTF-8, what cannot be seen, and what changes the direction of the text
    around it is written as escapes of its bytes.
    """
    if _PLAIN.match(value):
        return f'"{value.decode("ascii")}"'
    return f'"{"".join(map(_character, value.decode("utf-8", "surrogateescape")))}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character != " " and unicodedata.category(character) in _INVISIBLE:
        data = character.encode("utf-8", "surrogateescape")
        return "".join(f"\\x{byte:02x}" for byte in data)
    return character
