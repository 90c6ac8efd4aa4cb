"""Items with other names in their expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["Rename", "renamed"]

#: The name to write in the place of one that stands somewhere.
Rename: TypeAlias = Callable[[str, Span], str]


def renamed(item: t.Item, rename: Rename) -> t.Item:
    """The item with each name that its expressions refer to replaced."""
    match item:
        case t.LetItem():
            return replace(item, expr=_expr(item.expr, rename))
        case t.BlockItem():
            return replace(item, entries=tuple(_entry(entry, rename) for entry in item.entries))
        case t.TestItem():
            return replace(item, steps=tuple(_step(step, rename) for step in item.steps))
        case t.PropertyItem():
            return replace(item, condition=_expr(item.condition, rename))
        case t.ImportItem() | t.SetItem() | t.ParamItem() | t.CombineItem() | t.HostItem():
            return item


def _entry(entry: t.Entry, rename: Rename) -> t.Entry:
    match entry:
        case t.RuleEntry(_, action, condition):
            return replace(
                entry,
                action=_action(action, rename),
                condition=_expr(condition, rename) if condition is not None else None,
            )
        case t.RolloutEntry(share):
            if not isinstance(share, t.NameExpr):
                return entry
            return replace(entry, share=_name(share, rename))
        case t.HotThresholdEntry(value):
            if not isinstance(value, t.NameExpr):
                return entry
            return replace(entry, value=_name(value, rename))


def _action(action: t.Action, rename: Rename) -> t.Action:
    return replace(action, orders=_expr(action.orders, rename)) if action.orders else action


def _step(step: t.Step, rename: Rename) -> t.Step:
    match step:
        case t.GivenStep(assignments):
            changed = [replace(a, value=_expr(a.value, rename)) for a in assignments]
            return replace(step, assignments=tuple(changed))
        case t.ExpectStep(action, hot_threshold):
            return replace(
                step,
                action=_action(action, rename),
                hot_threshold=_expr(hot_threshold, rename) if hot_threshold else None,
            )
        case t.SetStep(name) | t.ParamStep(name):
            return replace(step, name=t.Name(rename(name.text, name.span), name.span))


def _name(node: t.NameExpr, rename: Rename) -> t.NameExpr:
    text = rename(node.text, node.span)
    return node if text == node.text else t.NameExpr(text, node.span)


def _expr(node: t.Expr, rename: Rename) -> t.Expr:
    match node:
        case t.NameExpr():
            return _name(node, rename)
        case t.BinaryExpr(_, left, right) | t.ComparisonExpr(_, left, right):
            return replace(node, left=_expr(left, rename), right=_expr(right, rename))
        case t.LogicalExpr(_, items) | t.ListExpr(items):
            return replace(node, items=tuple(_expr(item, rename) for item in items))
        case t.NotExpr(item) | t.HighestExpr(item):
            return replace(node, item=_expr(item, rename))
        case t.HasExpr(item):
            return replace(node, item=_name(item, rename))
        case t.RangeExpr(low, high):
            return replace(
                node,
                low=_expr(low, rename) if low is not None else None,
                high=_expr(high, rename) if high is not None else None,
            )
        case _:
            return node
