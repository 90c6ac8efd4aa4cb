"""Tree to text: a policy in its canonical form, the one that the formatter writes.

Parsing the text gives the same tree again, spans aside. Comments are not part of the
tree, so they are not in the text either; nor is how a number was written (`0x10`,
`1_000`, `1024K`): sizes and durations come out in the largest unit that is exact.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TypeAlias

from policyc.plan.types import format_size
from policyc.syntax import tree as t

__all__ = ["format_expr", "format_policy", "format_string"]

_INDENT = "    "
_WIDTH = 100

_DURATION_UNITS = (
    (3_600_000_000_000, "h"),
    (60_000_000_000, "min"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
)

# How tightly an expression binds, as in grammar/policy.lark.
_OR, _AND, _NOT, _COMPARISON, _UNION, _SUM, _PRODUCT, _ATOM = range(8)
_BINARY_LEVELS = {"|": _UNION, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "%": _PRODUCT}

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN = re.compile(rb"[ !#-\[\]-~]*\Z")

#: Characters that cannot be seen, that change how others are shown, or that mean nothing in public.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})


def format_policy(file: t.PolicyFile) -> str:
    """The canonical text of a policy."""
    lines = [f"policy {file.name.text};"]
    previous: t.Item | None = None
    for item in file.items:
        if not _belong_together(previous, item):
            lines.append("")
        lines.extend(_item(item))
        previous = item
    return "\n".join(lines) + "\n"


def _belong_together(previous: t.Item | None, item: t.Item) -> bool:
    """Declarations of one kind stand without an empty line between them."""
    return type(previous) is type(item) and not isinstance(item, t.BlockItem | t.HostItem)


def _item(item: t.Item) -> Iterator[str]:
    match item:
        case t.SetItem():
            yield from _set(item)
        case t.ParamItem(name, type_name, default, bounds):
            limits = f" in {format_expr(bounds[0])}..{format_expr(bounds[1])}" if bounds else ""
            yield f"param {name.text} : {type_name.text} = {format_expr(default)}{limits};"
        case t.LetItem(name, expr):
            yield from _wrapped(f"let {name.text} =", expr, "")
        case t.CombineItem(hook, mode):
            yield f"combine {hook.text} by {mode.text};"
        case t.HostItem(settings):
            yield "host {"
            yield from (_setting(setting) for setting in settings)
            yield "}"
        case t.BlockItem(hook, scope, entries):
            where = f" for cgroup {format_string(scope.value)}" if scope is not None else ""
            yield f"{hook.text}{where} {{"
            for entry in entries:
                yield from _entry(entry)
            yield "}"


def _set(item: t.SetItem) -> Iterator[str]:
    head = f"set {item.name.text} : {item.type.text} ="
    members = [format_string(member.value) for member in item.members]
    line = f"{head} {{ {', '.join(members)} }};" if members else f"{head} {{ }};"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{head} {{"
    yield from (f"{_INDENT}{member}," for member in members)
    yield "};"


def _setting(setting: t.Setting) -> str:
    argument = f"[{format_expr(setting.argument)}]" if setting.argument is not None else ""
    value = setting.value
    text = value.text if isinstance(value, t.Word) else format_expr(value)
    return f"{_INDENT}{setting.name.text}{argument} = {text};"


def _entry(entry: t.Entry) -> Iterator[str]:
    match entry:
        case t.RolloutEntry(share):
            yield f"{_INDENT}rollout {format_expr(share)} by cgroup;"
        case t.HotThresholdEntry(value):
            yield f"{_INDENT}hot_threshold = {format_expr(value)};"
        case t.RuleEntry(label, action, condition, otherwise):
            head = f"{label.text}: " if label is not None else ""
            head += "otherwise " if otherwise else ""
            head += action.word
            if action.orders is not None:
                head += f" {format_expr(action.orders)}"
            if condition is None:
                yield f"{_INDENT}{head};"
            else:
                yield from _wrapped(f"{head} when", condition, _INDENT)


def _wrapped(head: str, expr: t.Expr, indent: str) -> Iterator[str]:
    """One line, or with one operand on each line where that is too long."""
    line = f"{indent}{head} {format_expr(expr)};"
    if len(line) <= _WIDTH or not isinstance(expr, t.LogicalExpr):
        yield line
        return
    level = _OR if expr.operator == "or" else _AND
    first, *others = [_operand(item, level + 1) for item in expr.items]
    yield f"{indent}{head}"
    rest = [f"{expr.operator} {other}" for other in others]
    for text in [first, *rest[:-1]]:
        yield f"{indent}{_INDENT}{text}"
    yield f"{indent}{_INDENT}{rest[-1]};"


# -- expressions


def format_expr(expr: t.Expr) -> str:
    """The canonical text of an expression, on one line."""
    match expr:
        case t.BinaryExpr(operator, left, right):
            # All of these associate to the left.
            level = _BINARY_LEVELS[operator]
            return f"{_operand(left, level)} {operator} {_operand(right, level + 1)}"
        case t.ComparisonExpr(operator, left, right):
            return f"{_operand(left, _UNION)} {operator} {_operand(right, _UNION)}"
        case t.NotExpr(item):
            return f"not {_operand(item, _NOT)}"
        case t.LogicalExpr(operator, items):
            level = _OR if operator == "or" else _AND
            return f" {operator} ".join(_operand(item, level + 1) for item in items)
        case _:
            return _atom(expr)


_Atom: TypeAlias = (
    t.Literal | t.NameExpr | t.OrderLiteral | t.RangeExpr | t.ListExpr | t.HasExpr | t.HighestExpr
)


def _atom(expr: _Atom) -> str:
    match expr:
        case t.NameExpr(text):
            return text
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
    text = format_expr(expr)
    return text if _level(expr) >= level else f"({text})"


def _level(expr: t.Expr) -> int:
    match expr:
        case t.LogicalExpr(operator):
            return _OR if operator == "or" else _AND
        case t.NotExpr():
            return _NOT
        case t.ComparisonExpr():
            return _COMPARISON
        case t.BinaryExpr(operator):
            return _BINARY_LEVELS[operator]
        case _:
            return _ATOM


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
