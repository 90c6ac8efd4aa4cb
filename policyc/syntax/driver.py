"""Runs the LALR tables over a text. Lark does the same, and explains errors; this is quicker."""

from __future__ import annotations

import re
from typing import Any

from policyc.syntax.build import Lexeme, TreeBuilder
from policyc.syntax.tables import ParserRule, Tables
from policyc.syntax.tree import PolicyFile

__all__ = ["Driver"]

_SKIPPED = r"[ \t\r\n\f]*(?:#[^\n]*[ \t\r\n\f]*)*"
_SIGN = r"\.\.|[=!<>]=|[-=<>;:,{}()\[\]|+*/%]"


class Driver:
    """A parser for texts without syntax errors."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        patterns = tables.patterns
        groups = [f"(?P<{name}>{patterns[name]})" for name in patterns]
        self._match = re.compile(f"{_SKIPPED}(?:{'|'.join(groups)}|({_SIGN})|\\Z)").match

    def parse(self, text: str, builder: TreeBuilder) -> PolicyFile | None:
        """The tree of the text, None if the text has a syntax error."""
        tables = self._tables
        rows, rules, words, match = tables.states, tables.rules, tables.words, self._match
        states, values = [tables.start], list[Any]()
        position, name_only = 0, ("NAME",)
        while True:
            found = match(text, position)
            if found is None:
                return None
            kind, position = found.lastgroup, found.end()
            if kind is None:
                lexeme = found[found.lastindex] if found.lastindex else ""
                candidates = words[lexeme] if lexeme else ("$END",)
            else:
                lexeme = found[kind]
                candidates = words.get(lexeme, name_only) if kind == "NAME" else (kind,)
            row = rows[states[-1]]
            terminal = next((name for name in candidates if name in row), None)
            if terminal is None:
                return None
            target = row[terminal]
            while target < 0:
                rule = rules[-1 - target]
                _reduce(rule, values, builder)
                del states[len(states) - rule.length :]
                state = rows[states[-1]][rule.origin]
                states.append(state)
                if not lexeme and state == tables.end:
                    return values[-1]
                following = rows[state].get(terminal)
                if following is None:
                    return None
                target = following
            states.append(target)
            values.append(Lexeme.at(lexeme, position - len(lexeme), position))


def _reduce(rule: ParserRule, values: list[Any], builder: TreeBuilder) -> None:
    """Replace the values of a rule's symbols by the value of the rule."""
    length = rule.length
    if rule.single and length == 1:
        return
    taken = values[len(values) - length :]
    del values[len(values) - length :]
    kept = rule.kept
    children: list[Any] = []
    if not rule.callback and kept and kept[0][1]:
        # A growing list of repetitions: nothing else refers to it, so it need not be copied.
        children, kept = taken[kept[0][0]], kept[1:]
    for place, splice, nones in kept:
        if nones:
            children.extend([None] * nones)
        if splice:
            children.extend(taken[place])
        else:
            children.append(taken[place])
    if rule.trailing:
        children.extend([None] * rule.trailing)
    if not rule.callback:
        values.append(children)
    elif rule.single and len(children) == 1:
        values.append(children[0])
    else:
        values.append(getattr(builder, rule.callback)(children))
