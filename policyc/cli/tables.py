"""Tables of text: aligned columns, the last of which is wrapped to the width at hand."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from policyc.cli.common import Terminal
from policyc.diagnostics.visible import cell_width, visible

__all__ = ["Column", "bar", "count", "mark", "share", "table"]

_GAP = "  "

#: However narrow the place, the last column has at least this many cells.
_LEAST = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its heading; numbers are set to the right."""

    heading: str
    right: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], place: Terminal, indent: str = ""
) -> str:
    """The rows under their headings, as lines without trailing blanks.

    The last column is wrapped if it is set to the left; its cells may have several lines.
    Nothing in a cell acts on the terminal.
    """
    cells = [[*map(visible, row[:-1]), *map(_visible_lines, row[-1:])] for row in rows]
    widths = [
        max([cell_width(column.heading), *(cell_width(row[index]) for row in cells)])
        for index, column in enumerate(columns[:-1])
    ]
    left = len(indent) + sum(widths) + len(_GAP) * len(widths)
    room = max(place.width - left, _LEAST)
    headings = [column.heading for column in columns]
    lines: list[str] = []
    for number, row in enumerate([headings, *cells]):
        if number == 0 and not any(headings):
            continue
        last = _wrapped(row[-1], room) if not columns[-1].right else [row[-1]]
        if columns[-1].right:
            full = max(cell_width(other[-1]) for other in [headings, *cells])
            last = [_aligned(row[-1], full, right=True)]
        fixed = [
            _aligned(cell, width, right=column.right)
            for cell, width, column in zip(row, widths, columns, strict=False)
        ]
        first = (indent + _GAP.join([*fixed, last[0]])).rstrip()
        lines.append(place.paint("1", first) if number == 0 else first)
        lines += [" " * left + text for text in last[1:]]
    return "\n".join(lines)


def _visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _aligned(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - cell_width(text))
    return blanks + text if right else text + blanks


def _wrapped(text: str, width: int) -> list[str]:
    return [
        line
        for paragraph in text.split("\n")
        for line in textwrap.wrap(paragraph, width, break_on_hyphens=False) or [""]
    ]


def mark(yes: bool, place: Terminal) -> str:
    """A mark for yes, nothing much for no."""
    if place.unicode:
        return "✓" if yes else "·"
    return "x" if yes else "-"


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent."""
    return f"{100 * part / whole:.1f}%" if whole else ""


def bar(part: int, whole: int, width: int, place: Terminal) -> str:
    """A bar as long as the part of the whole; anything above nothing can be seen."""
    length = max(round(width * part / whole), 1) if part and whole else 0
    return ("█" if place.unicode else "#") * length
