"""Columns of text, in as many blocks as the width asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from policyc.diagnostics.visible import cell_width, shorten, visible

__all__ = ["Place", "grid", "headed"]

_GAP = "  "

#: Headings are broken into lines of about this many cells, and cut after so many lines.
_HEADING, _LINES = 11, 4

#: Labels may take half of the width, and this much however narrow the place is.
_LEAST = 12


@dataclass(frozen=True, slots=True)
class Place:
    """What the place that text goes to can show."""

    width: int = 80
    color: bool = False

    def strong(self, text: str) -> str:
        """The text in bold, where there is colour."""
        return f"\x1b[1m{text}\x1b[0m" if self.color else text


def headed(title: str) -> list[str]:
    """A heading in short lines, broken behind blanks, `=`, `+`, `-`, `/` and where it must be."""
    lines = [""]
    for word in re.findall(r"[^ =+\-/_]*[ =+\-/_]|[^ =+\-/_]+", visible(title)):
        rest = word
        if lines[-1] and cell_width(lines[-1] + rest.rstrip()) > _HEADING:
            lines.append("")
        while cell_width(rest.rstrip()) > _HEADING:
            lines[-1] += rest[:_HEADING]
            lines.append("")
            rest = rest[_HEADING:]
        lines[-1] += rest
    return [line.strip() for line in lines if line.strip()][:_LINES] or [""]


def grid(
    corner: str,
    titles: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]] | None],
    place: Place,
) -> list[str]:
    """The lines of a table with a label and numbers in each row; None is an empty line.

    Where the columns do not fit into the width, they follow below, under the same labels.
    """
    headings = [headed(title) for title in titles]
    labels = [visible(row[0]) for row in rows if row is not None]
    most = max(_LEAST, place.width // 2)
    first = min(most, max([cell_width(corner), *map(cell_width, labels)]))
    widths = [
        max(
            [*map(cell_width, headings[number])]
            + [cell_width(row[1][number]) for row in rows if row is not None]
        )
        for number in range(len(titles))
    ]
    lines: list[str] = []
    for block in _blocks(first, widths, place.width):
        if lines:
            lines.append("")
        height = max(len(headings[number]) for number in block)
        for line in range(height):
            # A heading of fewer lines stands at the bottom.
            cells = [
                _above(headings[number], line, height).rjust(widths[number]) for number in block
            ]
            label = corner if line == height - 1 else ""
            lines.append(place.strong(_line(label, first, cells)))
        for row in rows:
            if row is None:
                lines.append("")
                continue
            cells = [
                " " * (widths[number] - cell_width(row[1][number])) + row[1][number]
                for number in block
            ]
            lines.append(_line(shorten(visible(row[0]), first), first, cells))
    return lines


def _above(heading: Sequence[str], line: int, height: int) -> str:
    index = line - (height - len(heading))
    return heading[index] if index >= 0 else ""


def _line(label: str, width: int, cells: Sequence[str]) -> str:
    padded = label + " " * (width - cell_width(label))
    return _GAP.join([padded, *cells]).rstrip()


def _blocks(first: int, widths: Sequence[int], width: int) -> list[list[int]]:
    """The numbers of the columns that stand side by side; each block has at least one."""
    blocks: list[list[int]] = []
    room = 0
    for number, wide in enumerate(widths):
        if not blocks or room < wide + len(_GAP):
            blocks.append([])
            room = width - first
        blocks[-1].append(number)
        room -= wide + len(_GAP)
    return blocks
