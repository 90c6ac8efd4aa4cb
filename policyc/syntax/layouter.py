"""Formats the versions of a text that somebody edits, and parses only statements that are new.

A policy is a row of statements: each ends with its `;`, a block begins with `{` and ends with
`}`. What a statement looks like when it is formatted depends on its own text alone. So one that
was there before, wherever that was, keeps the rows that it had; comments and empty lines between
statements are placed anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policyc.source import Source, Span
from policyc.syntax import tree as t
from policyc.syntax.formatter import Placed, Words, row_starts
from policyc.syntax.parser import parse_valid
from policyc.syntax.printer import Row, RowKind, rows

__all__ = ["Layouter"]

_BLOCKS = ("host", "numa", "test", "thp")
_DEFINITIONS = t.ImportItem | t.SetItem | t.ParamItem | t.LetItem

#: What is around a statement when it is parsed by itself, by what it is in. A statement at the
#: beginning of the file, `policy NAME;`, stands alone.
_AROUND = {
    "": ("", ""),
    "file": ("policy p;\n", ""),
    "head": ("policy p;\n", "}"),
    "host": ("policy p;\nhost {\n", "}"),
    "numa": ("policy p;\nnuma {\n", "}"),
    "test": ('policy p;\ntest "t" for thp {\n', "}"),
    "thp": ("policy p;\nthp {\n", "}"),
}


@dataclass(frozen=True, slots=True)
class _Formatted:
    """The rows of a statement, where each begins from its start on, and its item in the file."""

    rows: tuple[Row, ...]
    starts: tuple[int, ...]
    item: t.Item | None


_CLOSE = _Formatted((Row("", "}", Span(Source("", "}"), 0, 1), RowKind.CLOSES),), (0,), None)


class Layouter:
    """What is known of the statements of the last text."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Formatted] = {}

    def format(self, source: Source) -> str | None:
        """The formatted text of a policy, as `format_source` has it; None if it has errors."""
        words = Words(source)
        used: dict[tuple[str, str], _Formatted] = {}
        found: list[Row] = []
        starts: list[int] = []
        for around, start, end in _statements(words):
            key = around, source.text[start:end]
            formatted = self._known.get(key) or _formatted(*key)
            if formatted is None:
                return None
            used[key] = formatted
            found += formatted.rows
            starts += [start + offset for offset in formatted.starts]
        if not _is_file(used):
            return None
        self._known = used
        return "".join(f"{line}\n" for line in Placed(words, found, starts).lines())


def _statements(words: Words) -> Iterator[tuple[str, int, int]]:
    """What each statement is in, where it begins and where it ends.

    What is no statement is one that cannot be parsed: the rest of the text without an end, or
    nothing in a block that is still open.
    """
    around, place = "file", 0
    while place < len(words.words):
        start, word = words.starts[place], words.words[place]
        if around != "file" and word == "}":
            yield "close", start, start + 1
            around, place = "file", place + 1
            continue
        is_head = around == "file" and word in _BLOCKS
        try:
            last = words.words.index("{" if is_head else ";", place)
        except ValueError:
            yield around, start, len(words.text)
            return
        kind = "head" if is_head else "" if place == 0 and word == "policy" else around
        yield kind, start, words.starts[last] + 1
        around, place = word if is_head else around, last + 1
    if around != "file":
        yield around, len(words.text), len(words.text)


def _formatted(around: str, text: str) -> _Formatted | None:
    """A statement by itself; None if it is not one where it is."""
    if around == "close":
        return _CLOSE
    before, after = _AROUND[around]
    source = Source("", f"{before}{text}{after}")
    file = parse_valid(source)
    if file is None or not _is_one(around, file):
        return None
    words = Words(source)
    found = list(rows(file, words))
    starts = row_starts(words, found)
    first = 0 if around == "" else 1 if around in ("file", "head") else 2
    last = len(found) - 1 if after else len(found)
    item = file.items[0] if around in ("file", "head") else None
    offsets = tuple(start - len(before) for start in starts[first:last])
    return _Formatted(tuple(found[first:last]), offsets, item)


def _is_one(around: str, file: t.PolicyFile) -> bool:
    """Whether a file has one statement besides what was put around it."""
    match file.items:
        case ():
            return around == ""
        case (t.HostItem(settings),):
            return len(settings) == (around != "head")
        case (t.BlockItem(_, _, entries),):
            return len(entries) == (around != "head")
        case (t.TestItem(_, _, steps),):
            return len(steps) == (around != "head")
        case (_,):
            return around == "file"
        case _:
            return False


def _is_file(used: dict[tuple[str, str], _Formatted]) -> bool:
    """Whether statements make a policy, or a file of definitions."""
    if any(around == "" for around, _ in used):
        return True
    items = [each.item for (around, _), each in used.items() if around in ("file", "head")]
    return bool(items) and all(isinstance(item, _DEFINITIONS) for item in items)
