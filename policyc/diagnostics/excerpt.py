"""Lays out lines of a source with marks and labels under the spans of a diagnostic."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from policyc.diagnostics.visible import TAB_STOP, cell_width, visible, visible_character
from policyc.source import Position, Source, Span

__all__ = ["Annotation", "Excerpt", "LineCache", "Page", "Paint", "lay_out", "span_positions"]

#: Gives a piece of text the style of a role: `gutter`, `primary` or `secondary`.
Paint = Callable[[str, str], str]

_INDENT = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A span to be marked, with the text that stands under it."""

    span: Span
    message: str
    primary: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The rows of an excerpt, and the annotations for which the width left no room."""

    rows: list[str]
    left_over: list[Annotation]


@dataclass(frozen=True, slots=True)
class _Mark:
    """The part of an annotation that lies on one line, in characters of that line."""

    line: int
    start: int
    end: int
    label: str
    annotation: Annotation

    @property
    def primary(self) -> bool:
        return self.annotation.primary


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a line that is printed; `columns[i]` is the cell of character `first + i`."""

    text: str
    first: int
    columns: list[int]

    @property
    def last(self) -> int:
        return self.first + len(self.columns) - 1

    def shows(self, mark: _Mark) -> bool:
        """Whether a mark begins in the window."""
        return self.first <= mark.start <= self.last

    def cells(self, mark: _Mark) -> tuple[int, int]:
        """The cells under which a mark is drawn; at least one."""
        start = self.columns[min(max(mark.start, self.first), self.last) - self.first]
        end = self.columns[min(max(mark.end, self.first), self.last) - self.first]
        return start, max(end, start + 1)


class LineCache:
    """The lines of the sources, each cut out of its text once however often it is shown."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Source, int], str] = {}

    def line(self, source: Source, line: int) -> str:
        """The text of a line."""
        key = (source, line)
        text = self._lines.get(key)
        if text is None:
            text = self._lines[key] = source.line_text(line)
        return text


@dataclass(frozen=True, slots=True)
class Page:
    """What excerpts are written on: the cells of line numbers and of text, and the styles."""

    lines: LineCache
    gutter: int
    width: int
    paint: Paint


def span_positions(span: Span) -> tuple[Position, Position]:
    """Where a span starts and ends, kept inside its text."""
    length = len(span.source.text)
    start = min(max(span.start, 0), length)
    end = min(max(span.end, start), length)
    return span.source.position(start), span.source.position(end)


def lay_out(source: Source, annotations: Sequence[Annotation], page: Page) -> Excerpt:
    """The excerpt of one source: numbered lines, and under them marks and labels."""
    marks = [mark for item in annotations for mark in _marks(source, item, page.lines)]
    marks.sort(key=lambda mark: (mark.line, mark.start, mark.primary))
    blank = page.paint("gutter", " " * (page.gutter + 1) + "|")
    rows = [blank]
    left_over: list[Annotation] = []
    previous: int | None = None
    for number, on_line in groupby(marks, key=lambda mark: mark.line):
        rows += _between(source, previous, number, page)
        previous = number
        group = list(on_line)
        focus = next((mark.start for mark in group if mark.primary), group[0].start)
        window = _window(page.lines.line(source, number), focus, page.width)
        rows.append(_numbered(number, window.text, page))
        shown = [mark for mark in group if window.shows(mark)]
        rows += [f"{blank} {row}" for row in _mark_rows(window, shown, page.paint)]
        left_over += [m.annotation for m in group if m.label and not window.shows(m)]
    return Excerpt(rows, left_over)


def _marks(source: Source, annotation: Annotation, lines: LineCache) -> Iterable[_Mark]:
    """One mark; for a span of several lines one on its first and one on its last line."""
    start, end = span_positions(annotation.span)
    message = annotation.message
    if end.line > start.line and end.column == 1:
        # The span ends with an end of line, which is not worth a line of its own.
        end = Position(end.line - 1, len(lines.line(source, end.line - 1)) + 1)
    if end.line == start.line:
        yield _Mark(start.line, start.column - 1, end.column - 1, message, annotation)
        return
    first = lines.line(source, start.line)
    indent = _INDENT.match(lines.line(source, end.line))
    last_start = min(indent.end() if indent else 0, end.column - 1)
    yield _Mark(start.line, start.column - 1, len(first), "", annotation)
    yield _Mark(end.line, last_start, end.column - 1, message, annotation)


def _between(source: Source, previous: int | None, number: int, page: Page) -> list[str]:
    """What stands between two marked lines: nothing, the one line between, or dots."""
    if previous is None or number == previous + 1:
        return []
    if number == previous + 2:
        window = _window(page.lines.line(source, number - 1), 0, page.width)
        return [_numbered(number - 1, window.text, page)]
    return [page.paint("gutter", "...")]


def _numbered(number: int, text: str, page: Page) -> str:
    head = page.paint("gutter", f"{number:>{page.gutter}} |")
    return f"{head} {text}" if text else head


def _window(line: str, focus: int, width: int) -> _Window:
    """The whole line if it fits, else as much of it around the focus as does.

    Only characters near the focus are looked at, so that a line of any length costs the
    same. A third of the room is kept for what stands before the focus.
    """
    # A combining character takes no room, so a line may be longer than it is wide.
    if len(line) <= 4 * width and sum(map(_room, line)) <= width:
        return _draw(line, 0, len(line))
    room = width - 2  # for an ellipsis at each end
    focus = min(focus, len(line))
    first, used = _reach(line, focus, -1, room // 3)
    last, used_after = _reach(line, focus, 1, room - used)
    if last == len(line):
        first, _ = _reach(line, focus, -1, room - used_after)
    return _draw(line, first, last)


def _room(character: str) -> int:
    """The cells that a character takes at most."""
    return TAB_STOP if character == "\t" else cell_width(visible_character(character))


def _reach(line: str, focus: int, step: int, room: int) -> tuple[int, int]:
    """How far from the focus the room reaches, and how much of it is used.

    However little room there is, the character at the focus is always reached.
    """
    index, used = focus, 0
    limit = len(line) if step > 0 else 0
    while index != limit:
        needed = _room(line[index if step > 0 else index - 1])
        if used + needed > room and not (step > 0 and index == focus):
            break
        used += needed
        index += step
    return index, used


def _draw(line: str, first: int, last: int) -> _Window:
    pieces = ["…"] if first > 0 else []
    cell = len(pieces)
    columns: list[int] = []
    for character in line[first:last]:
        columns.append(cell)
        if character == "\t":
            piece = " " * (TAB_STOP - cell % TAB_STOP)
        else:
            piece = visible_character(character)
        pieces.append(piece)
        cell += cell_width(piece)
    columns.append(cell)
    if last < len(line):
        pieces.append("…")
    return _Window("".join(pieces).rstrip(" "), first, columns)


def _mark_rows(window: _Window, marks: Sequence[_Mark], paint: Paint) -> list[str]:
    """The row of marks, ending in the last label, and the rows of the other labels."""
    if not marks:
        return []
    cells = [window.cells(mark) for mark in marks]
    canvas = _Canvas()
    for primary in (False, True):
        for mark, (start, end) in zip(marks, cells, strict=True):
            if mark.primary is primary:
                canvas.put(start, ("^" if primary else "-") * (end - start), _role(mark))
    row = canvas.text(paint)
    last = marks[-1]
    if last.label:
        row += " " + paint(_role(last), visible(last.label))
    hanging = [
        (start, mark) for mark, (start, _) in zip(marks[:-1], cells[:-1], strict=True) if mark.label
    ]
    rows = [row]
    if hanging:
        rows.append(_bars(hanging).text(paint))
    while hanging:
        start, mark = hanging.pop()
        canvas = _bars([item for item in hanging if item[0] < start])
        canvas.put(start, visible(mark.label), _role(mark))
        rows.append(canvas.text(paint))
    return rows


def _bars(hanging: Iterable[tuple[int, _Mark]]) -> _Canvas:
    canvas = _Canvas()
    for start, mark in hanging:
        canvas.put(start, "|", _role(mark))
    return canvas


def _role(mark: _Mark) -> str:
    return "primary" if mark.primary else "secondary"


class _Canvas:
    """A row that is written to by cell; what is written later covers what was there."""

    def __init__(self) -> None:
        self._characters: list[str] = []
        self._roles: list[str] = []

    def put(self, column: int, text: str, role: str) -> None:
        end = column + len(text)
        missing = end - len(self._characters)
        if missing > 0:
            self._characters += " " * missing
            self._roles += [""] * missing
        self._characters[column:end] = text
        self._roles[column:end] = [role] * len(text)

    def text(self, paint: Paint) -> str:
        pieces: list[str] = []
        start = 0
        for role, run in groupby(self._roles):
            end = start + len(list(run))
            piece = "".join(self._characters[start:end])
            pieces.append(paint(role, piece) if role else piece)
            start = end
        return "".join(pieces)
