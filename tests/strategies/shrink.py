"""Makes a policy smaller: less of it at a time, as long as something still holds for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from policyc.syntax import tree as t

__all__ = ["shrink", "smaller"]

_Item = TypeVar("_Item")


def shrink(
    file: t.PolicyFile, fails: Callable[[t.PolicyFile], bool], *, deadline: float
) -> t.PolicyFile:
    """A policy with less in it for which `fails` still holds; it may refuse what is no policy."""
    going = True
    while going:
        going = False
        for candidate in smaller(file):
            if time.monotonic() > deadline:
                return file
            if fails(candidate):
                file, going = candidate, True
                break
    return file


def smaller(file: t.PolicyFile) -> Iterator[t.PolicyFile]:
    """The policy with one thing less, large things first; not each of them checks."""
    blocks = [item for item in file.items if isinstance(item, t.BlockItem)]
    if len(blocks) > 1:
        rest = tuple(item for item in file.items if not isinstance(item, t.BlockItem))
        yield from (replace(file, items=(*rest, block)) for block in blocks)
    for items in _without_one(file.items):
        yield replace(file, items=items)
    for place, item in enumerate(file.items):
        for less in _smaller_item(item):
            yield replace(file, items=(*file.items[:place], less, *file.items[place + 1 :]))


def _without_one(items: tuple[_Item, ...]) -> Iterator[tuple[_Item, ...]]:
    for place in range(len(items)):
        yield items[:place] + items[place + 1 :]


def _smaller_item(item: t.Item) -> Iterator[t.Item]:
    match item:
        case t.SetItem(members=members):
            for kept in _without_one(members):
                yield replace(item, members=kept)
        case t.LetItem(expr=expr):
            for less in _smaller_expr(expr):
                yield replace(item, expr=less)
        case t.BlockItem():
            yield from _smaller_block(item)
        case _:
            pass


def _smaller_block(block: t.BlockItem) -> Iterator[t.BlockItem]:
    if block.scope is not None:
        yield replace(block, scope=None)
    for entries in _without_one(block.entries):
        yield replace(block, entries=entries)
    for place, entry in enumerate(block.entries):
        for less in _smaller_entry(entry):
            entries = (*block.entries[:place], less, *block.entries[place + 1 :])
            yield replace(block, entries=entries)


def _smaller_entry(entry: t.Entry) -> Iterator[t.Entry]:
    if not isinstance(entry, t.RuleEntry):
        return
    if entry.label is not None:
        yield replace(entry, label=None)
    action = entry.action
    if action.word != "pass":
        yield replace(entry, action=replace(action, word="pass", orders=None))
    if action.orders is not None:
        yield replace(entry, action=replace(action, word="deny", orders=None))
        for less in _smaller_expr(action.orders):
            yield replace(entry, action=replace(action, orders=less))
    if entry.condition is not None:
        for less in _smaller_expr(entry.condition):
            yield replace(entry, condition=less)


def _smaller_expr(expr: t.Expr) -> Iterator[t.Expr]:
    """A part in the place of the whole, then the whole with a smaller part."""
    match expr:
        case t.LogicalExpr(items=items):
            yield from items
            if len(items) > 2:
                yield from (replace(expr, items=kept) for kept in _without_one(items))
            for place, item in enumerate(items):
                for less in _smaller_expr(item):
                    yield replace(expr, items=(*items[:place], less, *items[place + 1 :]))
        case t.NotExpr(item=item):
            yield item
            yield from (replace(expr, item=less) for less in _smaller_expr(item))
        case t.HighestExpr(item=item):
            yield from (replace(expr, item=less) for less in _smaller_expr(item))
        case t.BinaryExpr(left=left, right=right) | t.ComparisonExpr(left=left, right=right):
            if isinstance(expr, t.BinaryExpr):
                yield from (left, right)
            yield from (replace(expr, left=less) for less in _smaller_expr(left))
            yield from (replace(expr, right=less) for less in _smaller_expr(right))
        case t.ListExpr(items=items) if len(items) > 1:
            yield from (replace(expr, items=kept) for kept in _without_one(items))
        case _:
            pass
