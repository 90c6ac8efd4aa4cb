"""Positions in a source: the numbers that every diagnostic shows."""

from __future__ import annotations

import pytest

from policyc.source import Position, Source, Span


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("", 0, (1, 1)),
        ("ab", 2, (1, 3)),
        ("a\nb", 1, (1, 2)),  # the end of line belongs to the line that it ends
        ("a\nb", 2, (2, 1)),
        ("a\n", 2, (2, 1)),  # the end of the file is after the last end of line
        ("a\r\nb", 3, (2, 1)),
        ("\n\n\n", 2, (3, 1)),
        ("漢\N{GRINNING FACE}x", 2, (1, 3)),  # characters, not bytes or UTF-16 units
    ],
)
def test_position_of_an_offset(text: str, offset: int, expected: tuple[int, int]):
    assert Source("p.thp", text).position(offset) == Position(*expected)


def test_line_text_has_no_end_of_line():
    source = Source("p.thp", "one\r\ntwo\n\nlast")
    assert [source.line_text(line) for line in (1, 2, 3, 4)] == ["one", "two", "", "last"]


def test_line_after_the_last_end_of_line_is_empty():
    assert Source("p.thp", "one\n").line_text(2) == ""


def test_only_line_feeds_end_a_line():
    # str.splitlines() would also split at these and put every later line number off.
    source = Source("p.thp", "a\x0bb\x0cc\x85d\u2028e\nf")
    assert source.position(source.text.index("f")) == Position(2, 1)


def test_span_from_one_to_another():
    source = Source("p.thp", "allow all when x;")
    span = Span(source, 0, 5).to(Span(source, 10, 14))
    assert (span.text, span.line) == ("allow all when", 1)


def test_sources_with_the_same_text_are_different():
    assert Source("p.thp", "x") != Source("p.thp", "x")
