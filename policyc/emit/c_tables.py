"""Prints the tables of a plan as C: maps by cgroup id, and what each of their rules answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policyc.emit.c_text import comment
from policyc.plan import nodes as n
from policyc.plan.passes.tables import Table

__all__ = ["TableArray", "TableText", "answer_texts", "table_name", "table_text"]

_VALUES_IN_LINE = 8


@dataclass(frozen=True, slots=True)
class TableArray:
    """A constant array with an element for each rule of a table."""

    type: str
    name: str
    size: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableText:
    """The map of a table, a line for each of its rules, and the arrays of their answers."""

    name: str
    entries: int
    rules: tuple[str, ...]
    arrays: tuple[TableArray, ...]


def table_name(table: Table) -> str:
    """The name of the map of a table."""
    return f"table_{table.index}"


def table_text(plan: n.Plan, table: Table) -> TableText:
    """Everything that a table needs besides the code that asks it."""
    run, name = table.run, table_name(table)
    return TableText(
        name,
        len(run.entries),
        tuple(
            f"{rule.index} {comment(plan.file)}:{rule.line}: {comment(rule.text)}"
            for rule in run.rules
        ),
        tuple(
            TableArray(kind, f"{name}_{array}", len(values), _lines(values))
            for kind, array, values in _arrays(run.rules)
            if len(set(values)) > 1
        ),
    )


def answer_texts(table: Table) -> dict[str, str]:
    """How the answer of the rule at `place` is spelled: `orders` or `on`, and `passes`."""
    name = table_name(table)
    return {
        array: f"{name}_{array}[place]" if len(set(values)) > 1 else values[0]
        for _, array, values in _arrays(table.run.rules)
    }


def _arrays(rules: Sequence[n.Rule]) -> list[tuple[str, str, list[str]]]:
    """Type, name and elements; a rule that passes has any answer."""
    answers = [rule.action for rule in rules if not isinstance(rule.action, n.Pass)]
    filler = answers[0] if answers else n.Pass()
    given = [filler if isinstance(rule.action, n.Pass) else rule.action for rule in rules]
    arrays: list[tuple[str, str, list[str]]] = []
    if isinstance(filler, n.Allow):
        arrays.append(("u64", "orders", [_orders(action) for action in given]))
    if isinstance(filler, n.Balance):
        arrays.append(("bool", "on", [_on(action) for action in given]))
    passes = ["true" if isinstance(rule.action, n.Pass) else "false" for rule in rules]
    return [*arrays, ("bool", "passes", passes)]


def _orders(action: n.Action) -> str:
    assert isinstance(action, n.Allow)
    assert isinstance(action.orders, n.Const)
    return f"0x{int(action.orders.value):x}ULL"


def _on(action: n.Action) -> str:
    assert isinstance(action, n.Balance)
    return "true" if action.on else "false"


def _lines(values: Sequence[str]) -> tuple[str, ...]:
    steps = range(0, len(values), _VALUES_IN_LINE)
    return tuple(", ".join(values[i : i + _VALUES_IN_LINE]) + "," for i in steps)
