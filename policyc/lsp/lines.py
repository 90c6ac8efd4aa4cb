"""Offsets in a text and the positions that the protocol has for them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from lsprotocol.types import Position, PositionEncodingKind, Range

__all__ = ["Lines"]

_END_OF_LINE = re.compile(r"\r\n|\n|\r")


class Lines:
    """Where the lines of a text begin, and how a client counts in them.

    A position outside the text is taken for the nearest one inside.
    """

    def __init__(self, text: str, encoding: PositionEncodingKind | str) -> None:
        self.text = text
        self._starts = [0, *[match.end() for match in _END_OF_LINE.finditer(text)]]
        self._encoding = encoding

    def position(self, offset: int) -> Position:
        """The position of an offset."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return Position(line, self._units(self.text[self._starts[line] : offset]))

    def range(self, start: int, end: int) -> Range:
        """The range of a span."""
        return Range(self.position(start), self.position(end))

    def offset(self, position: Position) -> int:
        """The offset of a position."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        last = position.line + 1 == len(self._starts)
        end = len(self.text) if last else self._starts[position.line + 1]
        line = self.text[start:end].rstrip("\r\n")
        if line.isascii() or self._encoding == PositionEncodingKind.Utf32:
            return start + min(position.character, len(line))
        units = 0
        for place, character in enumerate(line):
            if units >= position.character:
                return start + place
            units += self._units(character)
        return start + len(line)

    def places(self, offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Line and character of offsets that go up; quicker than one by one."""
        line, starts, plain = 0, self._starts, self.text.isascii()
        for offset in offsets:
            while line + 1 < len(starts) and starts[line + 1] <= offset:
                line += 1
            start = starts[line]
            yield line, offset - start if plain else self._units(self.text[start:offset])

    def length(self, start: int, end: int) -> int:
        """How long a piece of a line is for the client."""
        return self._units(self.text[start:end])

    def _units(self, text: str) -> int:
        if text.isascii() or self._encoding == PositionEncodingKind.Utf32:
            return len(text)
        if self._encoding == PositionEncodingKind.Utf8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
