"""Choosing tests by their names: words, `and`, `or`, `not` and parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["name_filter"]

_TOKEN = re.compile(r'\s*(?:([()])|"([^"]*)"|([^\s()"]+))')
_KEYWORDS = frozenset({"and", "or", "not"})

Wanted = Callable[[str], bool]

#: Nobody writes parentheses that are nested deeper.
_DEEPEST = 50


def name_filter(text: str) -> Wanted:
    """What says whether a name is wanted; ValueError if the expression is none.

    A word, or a text in quotes, wants the names that it is in; case does not matter.
    """
    parser = _Parser(text)
    wanted = parser.disjunction(0)
    if parser.tokens:
        raise ValueError(f"expected `and`, `or` or the end, got {parser.tokens[0][1]!r}")
    return wanted


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError("a quote is not closed")
            bracket, quoted, word = match.groups()
            if bracket or word in _KEYWORDS:
                self.tokens.append((bracket or word, bracket or word))
            else:
                self.tokens.append(("word", word if quoted is None else quoted))
            place = match.end()

    def _take(self, kind: str) -> bool:
        found = bool(self.tokens) and self.tokens[0][0] == kind
        if found:
            del self.tokens[0]
        return found

    def disjunction(self, depth: int) -> Wanted:
        """One or more joined by `or`."""
        items = [self._conjunction(depth)]
        while self._take("or"):
            items.append(self._conjunction(depth))
        return lambda name: any(item(name) for item in items)

    def _conjunction(self, depth: int) -> Wanted:
        items = [self._negation(depth)]
        while self._take("and"):
            items.append(self._negation(depth))
        return lambda name: all(item(name) for item in items)

    def _negation(self, depth: int) -> Wanted:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if self._take("not"):
            item = self._negation(depth + 1)
            return lambda name: not item(name)
        if self._take("("):
            item = self.disjunction(depth + 1)
            if not self._take(")"):
                raise ValueError("expected `)`")
            return item
        if not self.tokens or self.tokens[0][0] != "word":
            got = repr(self.tokens[0][1]) if self.tokens else "nothing"
            raise ValueError(f"expected a word of a name, got {got}")
        word = self.tokens.pop(0)[1].casefold()
        return lambda name: word in name.casefold()
