"""The full renderer: excerpts with marks and labels, written out line by line."""

from __future__ import annotations

import re

import pytest

from policyc.diagnostics.model import Diagnostic, Fix, Label
from policyc.diagnostics.render import render_full
from policyc.source import Source, Span
from tests.unit.render_cases import ERROR, WARNING, rows, span_of


def plain(*diagnostics: Diagnostic, width: int | None = None) -> str:
    return render_full(diagnostics, color=False, width=width)


def at(text: str, place: str, label: str = "here") -> Diagnostic:
    return Diagnostic(ERROR, "wrong", span_of(Source("p.thp", text), place), label)


def test_primary_and_secondary_on_one_line_with_help_and_fix():
    source = Source("fleet.thp", "policy p;\nthp {\n    deny when vma.size > 2ms;\n}\n")
    diagnostic = Diagnostic(
        ERROR,
        "size compared with duration",
        span_of(source, "2ms"),
        "this is a duration",
        (Label(span_of(source, "vma.size"), "this is a size"),),
        "compare with a size\nor with none",
        Fix(span_of(source, "2ms"), "2M"),
    )
    assert plain(diagnostic) == rows(
        "error[PC0301]: size compared with duration",
        " --> fleet.thp:3:26",
        "  |",
        "3 |     deny when vma.size > 2ms;",
        "  |               --------   ^^^ this is a duration",
        "  |               |",
        "  |               this is a size",
        "  |",
        "  = help: compare with a size",
        "          or with none",
        "  = fix: replace `2ms` with `2M`",
    )


def test_labels_hang_from_right_to_left():
    source = Source("p.thp", "a  b  c")
    diagnostic = Diagnostic(
        ERROR,
        "wrong",
        span_of(source, "a"),
        "first",
        (Label(span_of(source, "b"), "second"), Label(span_of(source, "c"), "third")),
    )
    assert plain(diagnostic).splitlines()[4:] == [
        "  | ^  -  - third",
        "  | |  |",
        "  | |  second",
        "  | first",
    ]


def test_other_lines_and_other_files():
    source = Source("p.thp", "one\n" * 11 + "two\n")
    other = Source("common/java.thp", "set java;\n")
    diagnostic = Diagnostic(
        WARNING,
        "declared twice",
        span_of(source, "two"),
        "again",
        (
            Label(span_of(other, "java"), "in the import"),
            Label(Span(source, 32, 35), "line nine"),
            Label(Span(source, 24, 27), "line seven"),
            Label(Span(source, 0, 3), ""),
        ),
    )
    assert plain(diagnostic) == rows(
        "warning[PC0502]: declared twice",
        "  --> p.thp:12:1",
        "   |",
        " 1 | one",
        "   | ---",
        "...",
        " 7 | one",
        "   | --- line seven",
        " 8 | one",  # a single line between is shown, as dots would take as much room
        " 9 | one",
        "   | --- line nine",
        "...",
        "12 | two",
        "   | ^^^ again",
        "  ::: common/java.thp:1:5",
        "   |",
        " 1 | set java;",
        "   |     ---- in the import",
    )


def test_span_of_several_lines_is_marked_on_its_first_and_last():
    text = "thp {\n  allow all\n    when a\n    and b\n    and c;\n}\n"
    assert plain(at(text, "all\n    when a\n    and b\n    and c", "never true")).splitlines()[
        2:
    ] == [
        "  |",
        "2 |   allow all",
        "  |         ^^^",
        "...",
        "5 |     and c;",
        "  |     ^^^^^ never true",
    ]


def test_span_that_ends_with_the_end_of_line_stays_on_its_line():
    assert plain(at("deny\nx", "deny\n")).splitlines()[3:] == ["1 | deny", "  | ^^^^ here"]


@pytest.mark.parametrize("text", ["", "x\n"])
def test_end_of_file(text: str):
    line = text.count("\n") + 1
    diagnostic = Diagnostic(
        ERROR, "wrong", Span(Source("p.thp", text), len(text), len(text)), "here"
    )
    assert plain(diagnostic) == rows(
        "error[PC0301]: wrong", f" --> p.thp:{line}:1", "  |", f"{line} |", "  | ^ here"
    )


def test_file_without_text_has_no_excerpt():
    diagnostic = Diagnostic(ERROR, "empty", Span(Source("p.thp", ""), 0, 0), help="write something")
    assert plain(diagnostic) == rows(
        "error[PC0301]: empty", " --> p.thp:1:1", "  |", "  = help: write something"
    )


def test_span_outside_its_text_is_brought_inside():
    assert " --> p.thp:1:2" in plain(Diagnostic(ERROR, "m", Span(Source("p.thp", "x"), 7, 3)))


@pytest.mark.parametrize(
    ("line", "printed", "marks"),
    [
        ("\tX", "    X", "    ^"),
        ("ab\tX", "ab  X", "    ^"),  # to the next tab stop, not by a fixed width
        ("漢字X", "漢字X", "    ^"),
        ("e\u0301e\u0301X", "e\u0301e\u0301X", "  ^"),
        ("a\u202eX", "a<U+202E>X", "         ^"),
        ("\ufeffX", "<U+FEFF>X", "        ^"),
        ("\x00X", "<U+0000>X", "        ^"),
        ("\udc80X", "<U+DC80>X", "        ^"),
        ("\u00a0X", "<U+00A0>X", "        ^"),
        ("a\rX", "a<U+000D>X", "         ^"),
    ],
)
def test_marks_stand_under_what_they_mark(line: str, printed: str, marks: str):
    assert plain(at(line, "X")).splitlines()[3:] == [f"1 | {printed}", f"  | {marks} here"]


def test_mark_under_wide_characters_is_as_wide():
    assert plain(at("a漢字b", "漢字")).splitlines()[4] == "  |  ^^^^ here"


def test_nothing_hostile_reaches_the_terminal():
    hostile = "\x1b[2J\x07\x9b\u202e\u2066\r\n\x7f\u2028\udcff"
    source = Source(f"{hostile}.thp", hostile)
    diagnostic = Diagnostic(
        ERROR,
        hostile,
        Span(source, 0, 4),
        hostile,
        (Label(Span(source, 5, 6), hostile), Label(Span(Source(hostile, hostile), 0, 1), hostile)),
        hostile,
        Fix(Span(source, 0, 4), hostile),
    )
    text = plain(diagnostic)
    assert all(line.isprintable() for line in text.split("\n"))
    assert "<U+001B>[2J<U+0007><U+009B><U+202E><U+2066><U+000D>" in text
    colored = render_full([diagnostic], color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == text


def test_long_line_is_cropped_around_the_primary_span():
    text = "a" * 1000 + "XX" + "b" * 1000
    # The excerpt is 36 cells wide: 2 ellipses, 34 characters, a third of them before the span.
    assert plain(at(text, "XX"), width=40).splitlines()[3:] == [
        "1 | …" + "a" * 11 + "XX" + "b" * 21 + "…",
        "  | " + " " * 12 + "^^ here",
    ]


def test_cropped_line_uses_the_room_at_its_end():
    assert plain(at("a" * 1000 + "XX", "XX"), width=40).splitlines()[3] == (
        "1 | …" + "a" * 32 + "XX"
    )


@pytest.mark.parametrize("filling", ["漢", "\u202e", "\t", "e\u0301", "a"])
@pytest.mark.parametrize("before", [0, 1, 5, 50, 500])
def test_cropped_line_keeps_to_the_width_and_to_its_span(filling: str, before: int):
    text = filling * before + "XX" + filling * 500
    _, _, _, line, marks = plain(at(text, "XX"), width=60).splitlines()
    cells = [character for character in line if character != "\u0301"]
    assert len(cells) + sum(character == "漢" for character in cells) <= 60
    column = marks.index("^^")
    before_span = [character for character in line[: line.index("XX")] if character != "\u0301"]
    assert column == len(before_span) + before_span.count("漢")


def test_label_that_is_cropped_away_becomes_a_note():
    source = Source("p.thp", "Y" + "a" * 500 + "X")
    diagnostic = Diagnostic(
        ERROR, "wrong", span_of(source, "X"), "", (Label(span_of(source, "Y"), "other side"),)
    )
    assert plain(diagnostic, width=40).splitlines()[-2:] == [
        "  |",
        "  = note: p.thp:1:1: other side",
    ]


@pytest.mark.parametrize(
    ("place", "replacement", "expected"),
    [
        ("", ";", "insert `;`"),
        ("deny", "", "remove `deny`"),
        ("deny", "allow none", "replace `deny` with `allow none`"),
        ("allow", "deny", "replace `allow` with `deny` at p.thp:2:1"),
    ],
)
def test_fix_says_what_it_does(place: str, replacement: str, expected: str):
    source = Source("p.thp", "deny\nallow all")
    fix = Fix(span_of(source, place), replacement)
    diagnostic = Diagnostic(ERROR, "wrong", Span(source, 0, 4), fix=fix)
    assert plain(diagnostic).splitlines()[-1] == f"  = fix: {expected}"


def test_colors_only_add_escapes():
    diagnostic = at("thp { deny }", "deny")
    text = render_full([diagnostic], color=True)
    assert text.splitlines()[0] == "\x1b[1;31merror[PC0301]\x1b[0m\x1b[1m: wrong\x1b[0m"
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == plain(diagnostic)


def test_diagnostics_are_parted_by_an_empty_line():
    one = plain(at("x", "x"))
    assert plain(at("x", "x"), at("x", "x")) == f"{one}\n\n{one}"
    assert plain() == ""


def test_many_diagnostics_on_one_huge_line_look_at_little_of_it():
    # 5,000 looks at the whole of 2 MB would take minutes; this takes a fraction of a second.
    source = Source("p.thp", "x" * 2_000_000)
    diagnostics = [Diagnostic(ERROR, "m", Span(source, n * 400, n * 400 + 1)) for n in range(5000)]
    assert render_full(diagnostics, color=False, width=80).count("error[PC0301]") == 5000


def test_endless_message_is_cut():
    assert len(plain(Diagnostic(ERROR, "m" * 100_000, Span(Source("p.thp", "x"), 0, 1)))) < 3000
