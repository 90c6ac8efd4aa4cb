"""Runs the LALR tables over a text. Lark does the same, and explains errors; this is quicker."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from policyc.syntax.build import Lexeme, TreeBuilder
from policyc.syntax.tables import ParserRule, Tables
from policyc.syntax.tree import PolicyFile

__all__ = ["Driver"]

_SKIPPED = r"[ \t\r\n\f]*(?:#[^\n]*[ \t\r\n\f]*)*"
_SIGN = r"\.\.|[=!<>]=|[-=<>;:,{}()\[\]|+*/%]"

#: What a rule keeps of its symbols' values, as the children that its callback gets.
_Keep = Callable[[list[Any]], Sequence[Any]]

#: How many symbols a rule takes, what it makes of them by its name, what it keeps (None for a
#: part of a chain) and what makes one value of that (None if it is one).
_Reduction = tuple[int, str, _Keep | None, Callable[[Sequence[Any]], Any] | None]


class Driver:
    """A parser for texts without syntax errors."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        patterns = tables.patterns
        groups = [f"(?P<{name}>{patterns[name]})" for name in patterns]
        self._match = re.compile(f"{_SKIPPED}(?:{'|'.join(groups)}|({_SIGN})|\\Z)").match
        self._keeps = [_keep(rule) for rule in tables.rules]
        self._chains: dict[tuple[int, int, str], tuple[int, int | None]] = {}

    def parse(self, text: str, builder: TreeBuilder) -> PolicyFile | None:
        """The tree of the text, None if the text has a syntax error."""
        rows, words, match = self._tables.states, self._tables.words, self._match
        chains, reductions, end = self._chains, self._reductions(builder), self._tables.end
        state = self._tables.start
        states, values = [state], list[Any]()
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
            row = rows[state]
            for terminal in candidates:
                if terminal in row:
                    break
            else:
                return None
            target: int | None = row[terminal]
            while target < 0:
                length, origin, keep, callback = reductions[target]
                if keep is None:
                    chain = states[-2], state, terminal
                    known = chains.get(chain)
                    if known is None:
                        known = chains[chain] = self._end_of_chain(*chain)
                    state, target = known
                    states[-1] = state
                else:
                    children = keep(values[-length:])
                    del values[-length:], states[-length:]
                    values.append(callback(children) if callback else children)
                    state = rows[states[-1]][origin]
                    states.append(state)
                    if not lexeme and state == end:
                        return values[-1]
                    target = rows[state].get(terminal)
                if target is None:
                    return None
            state = target
            states.append(state)
            values.append(Lexeme.at(lexeme, position - len(lexeme), position))

    def _reductions(self, builder: TreeBuilder) -> list[_Reduction]:
        """What each rule does, rule 0 at the end: a target of -1 - N stands for rule N."""
        rules, keeps = self._tables.rules, self._keeps
        reductions = [
            (
                rule.length,
                rule.origin,
                None if _is_link(rule) else keep,
                getattr(builder, rule.callback) if rule.callback and not _is_link(rule) else None,
            )
            for rule, keep in zip(rules, keeps, strict=True)
        ]
        return reductions[::-1]

    def _end_of_chain(self, below: int, state: int, terminal: str) -> tuple[int, int | None]:
        """Where rules that let one value stand for itself lead, and what to do there.

        An operand passes a rule for each level of precedence; where they end depends on
        the state below it and on what follows, and on nothing else.
        """
        rows, rules = self._tables.states, self._tables.rules
        target: int | None = rows[state][terminal]
        while target is not None and target < 0:
            rule = rules[-1 - target]
            if not _is_link(rule):
                break
            state = rows[below][rule.origin]
            target = rows[state].get(terminal)
        return state, target


def _is_link(rule: ParserRule) -> bool:
    """Whether a rule lets one value stand for itself, and is part of a chain."""
    return rule.single and rule.length == 1


def _keep(rule: ParserRule) -> _Keep:
    """How a rule makes children of the values of its symbols."""
    kept = rule.kept
    if not rule.callback and kept and kept[0][1]:
        return _grow(rule)
    if rule.trailing or any(splice or nones for _, splice, nones in kept):
        return _gather(rule)
    places = [place for place, _, _ in kept]
    if places == list(range(rule.length)):
        return lambda taken: taken
    if len(places) == 1:
        return lambda taken: [taken[places[0]]]
    return itemgetter(*places)


def _grow(rule: ParserRule) -> _Keep:
    """A growing list of repetitions: nothing else refers to it, so it need not be copied."""
    (first, _, _), *others = rule.kept
    places = [place for place, _, _ in others]

    def keep(taken: list[Any]) -> list[Any]:
        children: list[Any] = taken[first]
        children.extend(taken[place] for place in places)
        return children

    return keep


def _gather(rule: ParserRule) -> _Keep:
    """With lists that become a part of it, and None for what is not there."""

    def keep(taken: list[Any]) -> list[Any]:
        children: list[Any] = []
        for place, splice, nones in rule.kept:
            children.extend([None] * nones)
            if splice:
                children.extend(taken[place])
            else:
                children.append(taken[place])
        children.extend([None] * rule.trailing)
        return children

    return keep
