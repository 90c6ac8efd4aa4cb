"""Where the generators get their choices from: a seed for volume, hypothesis for properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

__all__ = ["Choices", "DrawnChoices", "SeededChoices"]

_Item = TypeVar("_Item")


class Choices:
    """A source of small decisions; the first of several is the simplest."""

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        raise NotImplementedError

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of some things."""
        return items[self.below(len(items))]

    def chance(self, percent: int) -> bool:
        """True in about that many of a hundred cases."""
        return self.below(100) >= 100 - percent

    def some(self, items: Sequence[_Item], low: int, high: int) -> list[_Item]:
        """From `low` to `high` different items, in any order."""
        rest = list(items)
        count = min(low + self.below(high - low + 1), len(rest))
        return [rest.pop(self.below(len(rest))) for _ in range(count)]


class SeededChoices(Choices):
    """Choices that follow from a seed, with nothing in between: for volume."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def below(self, count: int) -> int:
        return int(self._random.random() * count)


@cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


class DrawnChoices(Choices):
    """Choices that hypothesis makes, and makes simpler when a test has failed."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return self._draw(_below(count)) if count > 1 else 0
