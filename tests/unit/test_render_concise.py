"""The concise renderer, JSON, and the summary."""

from __future__ import annotations

import json

import pytest

from policyc.diagnostics.model import Diagnostic, Fix, Label, PolicyError
from policyc.diagnostics.render import render_concise, render_json, summary
from policyc.source import Source, Span
from tests.unit.render_cases import ERROR, NOTE, WARNING, rows, span_of

SOURCE = Source("p.thp", "set 漢 : cgroup;\nset 漢 : string;\n")
TWICE = Diagnostic(
    ERROR,
    "`漢` is declared twice",
    Span(SOURCE, 20, 21),
    "again",
    (Label(span_of(SOURCE, "漢"), "declared here"),),
    "give one of them\nanother name",
    Fix(Span(SOURCE, 20, 21), "漢_2"),
)
UNUSED = Diagnostic(WARNING, "never used", Span(SOURCE, 4, 5))


def test_concise_is_one_line_each():
    assert render_concise([TWICE, UNUSED]) == rows(
        "p.thp:2:5: error[PC0301] `漢` is declared twice (give one of them another name)",
        "p.thp:1:5: warning[PC0502] never used",
    )


def test_concise_of_hostile_text_is_still_one_line():
    hostile = "\x1b[2J\r\n\u202e\x85\u2028"
    diagnostic = Diagnostic(ERROR, hostile, Span(Source(hostile, "x"), 0, 1), help=hostile)
    assert render_concise([diagnostic]).isprintable()


def test_policy_error_reads_as_its_diagnostics():
    assert str(PolicyError((TWICE, UNUSED))) == render_concise([TWICE, UNUSED])


def test_json_has_everything():
    assert json.loads(render_json([TWICE])) == {
        "diagnostics": [
            {
                "code": "PC0301",
                "severity": "error",
                "message": "`漢` is declared twice",
                "file": "p.thp",
                "start": {"line": 2, "column": 5, "offset": 20},
                "end": {"line": 2, "column": 6, "offset": 21},
                "label": "again",
                "related": [
                    {
                        "file": "p.thp",
                        "start": {"line": 1, "column": 5, "offset": 4},
                        "end": {"line": 1, "column": 6, "offset": 5},
                        "message": "declared here",
                    }
                ],
                "help": "give one of them\nanother name",
                "fix": {
                    "file": "p.thp",
                    "start": {"line": 2, "column": 5, "offset": 20},
                    "end": {"line": 2, "column": 6, "offset": 21},
                    "replacement": "漢_2",
                },
            }
        ],
        "errors": 1,
        "warnings": 0,
    }


def test_json_is_ascii_and_survives_lone_surrogates():
    diagnostic = Diagnostic(ERROR, "\udc80\x1b\u202e", Span(Source("\udcff.thp", "x"), 0, 1))
    text = render_json([diagnostic])
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["diagnostics"][0]["message"] == "\udc80\x1b\u202e"


def test_json_of_nothing():
    assert json.loads(render_json([])) == {"diagnostics": [], "errors": 0, "warnings": 0}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], "no problems"),
        ([ERROR], "1 error"),
        ([WARNING, ERROR, ERROR], "2 errors, 1 warning"),
        ([NOTE, NOTE, WARNING], "1 warning, 2 notes"),
    ],
)
def test_summary(codes: list[str], expected: str):
    assert summary([Diagnostic(code, "m", Span(SOURCE, 0, 1)) for code in codes]) == expected
