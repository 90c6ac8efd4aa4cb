"""Tree to text: a policy in its canonical form.

Parsing the text gives the same tree again, spans aside. Comments are not part of the tree;
`policyc.syntax.formatter` puts them back between the rows that are made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from policyc.source import Span
from policyc.syntax import tree as t
from policyc.syntax.spelling import format_expr, format_operands, format_string

__all__ = ["Breaks", "Row", "RowKind", "format_expr", "format_policy", "format_string", "rows"]

_INDENT = "    "
_WIDTH = 100


class RowKind(Enum):
    """What a row is to its neighbours."""

    #: It begins a statement.
    BEGINS = auto()
    #: It is a part of the statement.
    PART = auto()
    #: It begins with an operand.
    OPERAND = auto()
    #: It begins with `and`, `or` or `implies`.
    JOINS = auto()
    #: It closes what an earlier row has opened.
    CLOSES = auto()


class Row(NamedTuple):
    """A line of the text, and the place of the tree that it begins with.

    A row that closes has the place of what is in front of it.
    """

    indent: str
    text: str
    span: Span
    kind: RowKind
    item: t.Item | None = None


class Breaks:
    """Whether there must be a row for each part of something, however short it is."""

    def in_list(self, before: Span) -> bool:
        """Of the list behind a place."""
        return False

    def in_expression(self, expr: Span) -> bool:
        """Of an expression at the end of a statement."""
        return False

    def in_statement(self, statement: Span) -> bool:
        """Of a statement."""
        return False


_NEVER = Breaks()


def format_policy(file: t.PolicyFile) -> str:
    """The canonical text of a policy."""
    lines: list[str] = []
    previous: t.Item | None = None
    for row in rows(file):
        if row.kind is RowKind.BEGINS and row.indent == "":
            if lines and not (previous and row.item and _belong_together(previous, row.item)):
                lines.append("")
            previous = row.item
        lines.append(row.indent + row.text)
    return "\n".join(lines) + "\n"


def _belong_together(previous: t.Item, item: t.Item) -> bool:
    """Declarations of one kind stand without an empty line between them."""
    alone = t.BlockItem | t.HostItem | t.TestItem | t.PropertyItem
    return type(previous) is type(item) and not isinstance(item, alone)


def rows(file: t.PolicyFile, breaks: Breaks = _NEVER) -> Iterator[Row]:
    """The lines of a policy without the empty ones."""
    if file.name is not None:
        yield Row("", f"policy {file.name.text};", file.name.span, RowKind.BEGINS)
    for item in file.items:
        first, *rest = _item(item, breaks)
        yield first._replace(item=item)
        yield from rest


def _item(item: t.Item, breaks: Breaks) -> Iterator[Row]:  # noqa: C901 - one case for each item
    match item:
        case t.ImportItem():
            yield from _import(item, breaks)
        case t.SetItem(name, type_name, members, span):
            head = f"set {name.text} : {type_name.text} ="
            yield from _members(head, members, span, type_name.span, ("", breaks))
        case t.ParamItem(name, type_name, default, bounds, span):
            limits = f" in {format_expr(bounds[0])}..{format_expr(bounds[1])}" if bounds else ""
            text = f"param {name.text} : {type_name.text} = {format_expr(default)}{limits};"
            yield Row("", text, span, RowKind.BEGINS)
        case t.LetItem(name, expr, span):
            yield from _wrapped(f"let {name.text} =", expr, span, ("", breaks))
        case t.CombineItem(hook, mode, span):
            yield Row("", f"combine {hook.text} by {mode.text};", span, RowKind.BEGINS)
        case t.HostItem(settings, span):
            yield Row("", "host {", span, RowKind.BEGINS)
            for setting in settings:
                yield Row(_INDENT, _setting(setting), setting.span, RowKind.BEGINS)
            yield Row("", "}", settings[-1].span if settings else span, RowKind.CLOSES)
        case t.BlockItem(hook, scope, entries, _, close, span):
            where = f" for cgroup {format_string(scope.value)}" if scope is not None else ""
            yield Row("", f"{hook.text}{where} {{", span, RowKind.BEGINS)
            for entry in entries:
                yield from _entry(entry, breaks)
            yield Row("", "}", close, RowKind.CLOSES)
        case t.TestItem(name, hook, steps, _, close, span):
            yield Row(
                "", f"test {format_string(name.value)} for {hook.text} {{", span, RowKind.BEGINS
            )
            for step in steps:
                yield from _step(step, breaks)
            yield Row("", "}", close, RowKind.CLOSES)
        case t.PropertyItem(name, hook, condition, span):
            yield Row(
                "", f"property {format_string(name.value)} for {hook.text}:", span, RowKind.BEGINS
            )
            line = f"{_INDENT}{format_expr(condition)};"
            if isinstance(condition, t.LogicalExpr) and (
                len(line) > _WIDTH or breaks.in_expression(condition.span)
            ):
                yield from _operands(condition, "")
            else:
                yield Row(_INDENT, line.lstrip(), condition.span, RowKind.OPERAND)


def _import(item: t.ImportItem, breaks: Breaks) -> Iterator[Row]:
    head = f"import {format_string(item.path.value)}"
    if item.names is None:
        suffix = f" as {item.alias.text}" if item.alias is not None else ""
        yield Row("", f"{head}{suffix};", item.span, RowKind.BEGINS)
        return
    line = f"{head} ({', '.join(name.text for name in item.names)});"
    if len(line) <= _WIDTH and not breaks.in_list(item.path.span):
        yield Row("", line, item.span, RowKind.BEGINS)
        return
    yield Row("", f"{head} (", item.span, RowKind.BEGINS)
    for name in item.names:
        yield Row(_INDENT, f"{name.text},", name.span, RowKind.PART)
    yield Row("", ");", item.names[-1].span, RowKind.CLOSES)


def _members(
    head: str,
    members: Sequence[t.StringLiteral],
    span: Span,
    before: Span,
    layout: tuple[str, Breaks],
) -> Iterator[Row]:
    """Members in braces; `before` is the last thing in front of them."""
    indent, breaks = layout
    texts = [format_string(member.value) for member in members]
    line = f"{head} {{ {', '.join(texts)} }};" if texts else f"{head} {{ }};"
    if len(indent + line) <= _WIDTH and not breaks.in_list(before):
        yield Row(indent, line, span, RowKind.BEGINS)
        return
    yield Row(indent, f"{head} {{", span, RowKind.BEGINS)
    for member, text in zip(members, texts, strict=True):
        yield Row(indent + _INDENT, f"{text},", member.span, RowKind.PART)
    yield Row(indent, "};", members[-1].span if members else before, RowKind.CLOSES)


def _setting(setting: t.Setting) -> str:
    argument = f"[{format_expr(setting.argument)}]" if setting.argument is not None else ""
    value = setting.value
    text = value.text if isinstance(value, t.Word) else format_expr(value)
    return f"{setting.name.text}{argument} = {text};"


def _entry(entry: t.Entry, breaks: Breaks) -> Iterator[Row]:
    match entry:
        case t.RolloutEntry(share, span):
            yield Row(_INDENT, f"rollout {format_expr(share)} by cgroup;", span, RowKind.BEGINS)
        case t.HotThresholdEntry(value, span):
            yield Row(_INDENT, f"hot_threshold = {format_expr(value)};", span, RowKind.BEGINS)
        case t.RuleEntry(label, action, condition, otherwise, span):
            head = f"{label.text}: " if label is not None else ""
            head += "otherwise " if otherwise else ""
            head += _action(action)
            if condition is None:
                yield Row(_INDENT, f"{head};", span, RowKind.BEGINS)
            else:
                yield from _wrapped(f"{head} when", condition, span, (_INDENT, breaks))


def _action(action: t.Action) -> str:
    orders = f" {format_expr(action.orders)}" if action.orders is not None else ""
    return action.word + orders


def _step(step: t.Step, breaks: Breaks) -> Iterator[Row]:
    match step:
        case t.GivenStep(assignments, span):
            texts = [f"{item.name.text} = {format_expr(item.value)}" for item in assignments]
            line = f"{_INDENT}given {', '.join(texts)};"
            if len(line) <= _WIDTH and not breaks.in_statement(span):
                yield Row(_INDENT, line.lstrip(), span, RowKind.BEGINS)
                return
            yield Row(_INDENT, "given", span, RowKind.BEGINS)
            ends = [","] * (len(texts) - 1) + [";"]
            for item, text, end in zip(assignments, texts, ends, strict=True):
                yield Row(_INDENT * 2, text + end, item.span, RowKind.PART)
        case t.ExpectStep(action, hot_threshold, span):
            more = f", hot_threshold = {format_expr(hot_threshold)}" if hot_threshold else ""
            yield Row(_INDENT, f"expect {_action(action)}{more};", span, RowKind.BEGINS)
        case t.SetStep(name, members, span):
            yield from _members(f"set {name.text} =", members, span, name.span, (_INDENT, breaks))
        case t.ParamStep(name, value, span):
            yield Row(_INDENT, f"param {name.text} = {format_expr(value)};", span, RowKind.BEGINS)


def _wrapped(head: str, expr: t.Expr, span: Span, layout: tuple[str, Breaks]) -> Iterator[Row]:
    """One line, or with one operand on each line where that is too long."""
    indent, breaks = layout
    line = f"{indent}{head} {format_expr(expr)};"
    if not isinstance(expr, t.LogicalExpr) or (
        len(line) <= _WIDTH and not breaks.in_expression(expr.span)
    ):
        yield Row(indent, line[len(indent) :], span, RowKind.BEGINS)
        return
    yield Row(indent, head, span, RowKind.BEGINS)
    yield from _operands(expr, indent)


def _operands(expr: t.LogicalExpr, indent: str) -> Iterator[Row]:
    """One operand on each line, and the end of the statement behind the last."""
    texts = format_operands(expr)
    for place, (item, text) in enumerate(zip(expr.items, texts, strict=True)):
        line = f"{expr.operator} {text}" if place else text
        end = ";" if place == len(texts) - 1 else ""
        yield Row(
            indent + _INDENT, line + end, item.span, RowKind.JOINS if place else RowKind.OPERAND
        )
