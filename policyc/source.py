"""Source files, spans and positions: where a piece of policy text stands."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from policyc.frozen import frozen

__all__ = ["Position", "Source", "Span"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One policy text with the name it is reported under."""

    name: str
    text: str = field(repr=False)
    _line_starts: list[int] = field(default_factory=list[int], repr=False)

    def _starts(self) -> list[int]:
        if not self._line_starts:
            self._line_starts.append(0)
            offset = self.text.find("\n")
            while offset != -1:
                self._line_starts.append(offset + 1)
                offset = self.text.find("\n", offset + 1)
        return self._line_starts

    def position(self, offset: int) -> Position:
        """The line and column of a character offset (0-based) in the text."""
        starts = self._starts()
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1)

    def line_text(self, line: int) -> str:
        """The text of a line (from 1) without its end-of-line characters."""
        starts = self._starts()
        start = starts[line - 1]
        end = starts[line] if line < len(starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@frozen()
class Span:
    """A half-open range of characters in a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters of the span."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The line (from 1) on which the span starts."""
        return self.source.position(self.start).line

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of another."""
        return Span(self.source, self.start, other.end)
