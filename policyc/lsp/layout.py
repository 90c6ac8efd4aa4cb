"""The layout of a whole document."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from lsprotocol import types

from policyc.lsp.analysis import Analysis

__all__ = ["LayoutRefusedError", "laid_out"]


class LayoutRefusedError(Exception):
    """A text that cannot be laid out; the message says why."""


def laid_out(document: Analysis) -> list[types.TextEdit]:
    """The edit that gives a document its canonical form; none if it has it.

    It leaves the lines alone that are the same before and after what changes, so that the
    cursor and the folds of an editor stay where they are.
    """
    text = document.layout
    if text is None:
        raise LayoutRefusedError("a policy with syntax errors is not laid out")
    old, new = (each.splitlines(keepends=True) for each in (document.text, text))
    if new == old:
        return []
    before = _same(zip(old, new, strict=False))
    rest = reversed(old[before:]), reversed(new[before:])
    after = _same(zip(*rest, strict=False))
    start = sum(map(len, old[:before]))
    end = len(document.text) - sum(map(len, old[len(old) - after :]))
    changed = "".join(new[before : len(new) - after])
    return [types.TextEdit(document.lines.range(start, end), changed)]


def _same(pairs: Iterable[tuple[str, str]]) -> int:
    """How many pairs at the beginning are of equal lines."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
