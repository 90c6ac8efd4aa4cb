"""A policy in its canonical form with its comments and its empty lines, for `policyc fmt`.

Formatting what was formatted changes nothing. A comment behind a row stays behind it, one on
a line of its own stays above what follows; one in the middle of something that becomes one
line moves above that line.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from policyc.source import Source, Span
from policyc.syntax import tree as t
from policyc.syntax.printer import Breaks, Row, RowKind, rows

__all__ = ["Placed", "Words", "comments_of", "format_source", "row_starts"]

_TOKEN = re.compile(r'(#[^\n]*)|"(?:[^"\\\n]|\\.)*"|[A-Za-z0-9_.]+|\S')
_BLANKS = " \t\r\f"
_INDENT = "    "

#: Items that have an empty line above and below them.
_APART = t.BlockItem | t.HostItem | t.TestItem | t.PropertyItem


class _Comment(NamedTuple):
    start: int
    text: str
    is_alone: bool


def comments_of(source: Source) -> list[str]:
    """The comments of a policy, in order."""
    return [comment.text for comment in Words(source).comments]


def format_source(source: Source, file: t.PolicyFile) -> str:
    """The formatted text of a policy that was parsed to `file`."""
    words = Words(source)
    found = list(rows(file, words))
    placed = Placed(words, found, row_starts(words, found))
    return "".join(f"{line}\n" for line in placed.lines())


class Words(Breaks):
    """The words, signs and comments of a text, and what they say about where to break lines."""

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.starts: list[int] = []
        self.words: list[str] = []
        self.comments: list[_Comment] = []
        for match in _TOKEN.finditer(source.text):
            if match.lastindex is None:
                self.starts.append(match.start())
                self.words.append(match[0])
            else:
                self.comments.append(self._comment(match.start(), match[1]))
        self._comment_starts = [comment.start for comment in self.comments]

    def _comment(self, start: int, text: str) -> _Comment:
        before = self.text[self.text.rfind("\n", 0, start) + 1 : start]
        return _Comment(start, text.rstrip(), not before.strip())

    def index(self, offset: int) -> int:
        """The word at an offset."""
        return bisect_right(self.starts, offset) - 1

    def before_parentheses(self, offset: int) -> int:
        """The first of the parentheses around what is at an offset, or the word there."""
        index = self.index(offset)
        while index and self.words[index - 1] == "(":
            index -= 1
        return index

    def next(self, signs: str, offset: int) -> int:
        """Where the next of some signs is."""
        index = bisect_left(self.starts, offset)
        while self.words[index] not in signs:
            index += 1
        return self.starts[index]

    def has_words(self, start: int, end: int) -> bool:
        """Whether a word begins between two places."""
        return bisect_right(self.starts, start) < bisect_left(self.starts, end)

    def has_comments(self, start: int, end: int) -> bool:
        """Whether a comment begins between two places."""
        return bisect_left(self._comment_starts, start) < bisect_left(self._comment_starts, end)

    def follows_empty_line(self, offset: int) -> bool:
        """Whether the line above the one of an offset is empty."""
        end = self._line_end_before(offset)
        return end > 0 and self._line_end_before(end) >= 0

    def _line_end_before(self, offset: int) -> int:
        """Where the end of a line is from which only blanks lead to an offset, else -1."""
        while offset > 0 and self.text[offset - 1] in _BLANKS:
            offset -= 1
        return offset - 1 if offset > 0 and self.text[offset - 1] == "\n" else -1

    # -- where to break lines: where a comment wants a row of its own

    def in_list(self, before: Span) -> bool:
        """Whether there are comments between the brackets behind a place."""
        opening = self.next("{(", before.end)
        return self.has_comments(opening, self.next("})", opening))

    def in_expression(self, expr: Span) -> bool:
        """Whether there are comments between what introduces an expression and its end."""
        before = self.starts[self.before_parentheses(expr.start) - 1]
        return self.has_comments(before, self.next(";", expr.end))

    def in_statement(self, statement: Span) -> bool:
        """Whether there are comments in a statement."""
        return self.has_comments(statement.start, statement.end)


def row_starts(words: Words, rows: list[Row]) -> list[int]:
    """Where each row begins in the text."""
    return [_start(words, row) for row in rows]


def _start(words: Words, row: Row) -> int:
    span = row.span
    match row.kind:
        case RowKind.BEGINS if row.item is None and row.indent == "":
            return words.starts[words.index(span.start) - 1]  # `policy` in front of its name
        case RowKind.BEGINS | RowKind.PART:
            return span.start
        case RowKind.OPERAND:
            return words.starts[words.before_parentheses(span.start)]
        case RowKind.JOINS:
            return words.starts[words.before_parentheses(span.start) - 1]
        case RowKind.CLOSES:
            is_there = words.words[words.index(span.start)] == "}"
            return span.start if is_there else words.next("})", span.end)


class Placed:
    """The rows of a policy with the comments that belong to each."""

    def __init__(self, words: Words, rows: list[Row], starts: list[int]) -> None:
        self.words = words
        self.rows = rows
        self.starts = starts
        self.above: list[list[_Comment]] = [[] for _ in range(len(rows) + 1)]
        self.moved: list[list[_Comment]] = [[] for _ in rows]
        self.behind: list[str] = [""] * len(rows)
        for comment in words.comments:
            self._place(comment)

    def _place(self, comment: _Comment) -> None:
        row = bisect_right(self.starts, comment.start) - 1
        if row < 0:
            self.above[0].append(comment)
            return
        following = self.starts[row + 1] if row + 1 < len(self.rows) else len(self.words.text)
        if self.words.has_words(comment.start, following):
            self.moved[row].append(comment)
        elif comment.is_alone:
            self.above[row + 1].append(comment)
        else:
            self.behind[row] = f"  {comment.text}"

    # -- lines

    def lines(self) -> Iterator[str]:
        """The lines of the formatted text."""
        is_inside = True  # at the beginning of the file or of something in brackets
        item: Row | None = None
        for place, row in enumerate(self.rows):
            may_follow_empty = row.kind in (RowKind.BEGINS, RowKind.CLOSES)
            apart = _stands_apart(item, row)
            indent = row.indent + (_INDENT if row.kind is RowKind.CLOSES else "")
            for comment in self.above[place]:
                empty = not is_inside and self.words.follows_empty_line(comment.start)
                if apart or (may_follow_empty and empty):
                    yield ""
                apart = is_inside = False
                yield indent + comment.text
            empty = not is_inside and self.words.follows_empty_line(self.starts[place])
            if apart or (row.kind is RowKind.BEGINS and empty):
                yield ""
            yield from (indent + comment.text for comment in self.moved[place])
            yield row.indent + row.text + self.behind[place]
            is_inside = row.text.endswith(("{", "("))
            item = row if row.kind is RowKind.BEGINS and not row.indent else item
        for comment in self.above[-1]:
            if self.words.follows_empty_line(comment.start):
                yield ""
            yield comment.text


def _stands_apart(before: Row | None, row: Row) -> bool:
    """Whether an empty line is in front of an item whatever the text has there."""
    if before is None or row.item is None:
        return False
    return before.item is None or isinstance(row.item, _APART) or isinstance(before.item, _APART)
