"""The renderers for other programs: SARIF 2.1.0 and GitHub workflow commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policyc.diagnostics.github import render_github
from policyc.diagnostics.model import Diagnostic, Fix, Label
from policyc.diagnostics.sarif import render_sarif
from policyc.source import Source, Span
from tests.cli.commands import invoke
from tests.unit.render_cases import ERROR, NOTE, WARNING, span_of

SOURCE = Source("dir, a/p:1.thp", "set 漢 : cgroup;\nset 漢 : string;\n")
TWICE = Diagnostic(
    ERROR,
    "50% off,\r\n::warning::really",
    Span(SOURCE, 20, 21),
    "again",
    (Label(span_of(SOURCE, "漢"), "declared here"),),
    "rename: one",
    Fix(Span(SOURCE, 20, 21), "漢_2"),
)
UNUSED = Diagnostic(WARNING, "never used", Span(SOURCE, 4, 5))
SPREAD = Diagnostic(NOTE, "over two lines", Span(SOURCE, 4, 21))

#: What sections 3.13 to 3.57 of the standard require of the objects that are written.
REQUIRED = {
    "log": {"version", "runs"},
    "run": {"tool"},
    "driver": {"name"},
    "rule": {"id"},
    "result": {"message"},
    "location": {"physicalLocation"},
    "fix": {"artifactChanges"},
    "change": {"artifactLocation", "replacements"},
    "replacement": {"deletedRegion"},
}


def _has(kind: str, value: dict[str, Any]) -> None:
    assert REQUIRED[kind] <= set(value), kind


def _check_location(value: dict[str, Any]) -> None:
    _has("location", value)
    physical = value["physicalLocation"]
    assert isinstance(physical["artifactLocation"]["uri"], str)
    region = physical["region"]
    assert all(isinstance(number, int) and number >= 1 for number in region.values())
    assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])


def check_sarif(text: str) -> dict[str, Any]:
    """The one run of a log, whose structure is that of the standard."""
    log = json.loads(text)
    _has("log", log)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    [run] = log["runs"]
    _has("run", run)
    driver = run["tool"]["driver"]
    _has("driver", driver)
    for rule in driver["rules"]:
        _has("rule", rule)
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    for result in run["results"]:
        _has("result", result)
        assert isinstance(result["message"]["text"], str)
        assert result["level"] in {"none", "note", "warning", "error"}
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        for location in [*result["locations"], *result.get("relatedLocations", ())]:
            _check_location(location)
        for fix in result.get("fixes", ()):
            _has("fix", fix)
            for change in fix["artifactChanges"]:
                _has("change", change)
                for replacement in change["replacements"]:
                    _has("replacement", replacement)
    return run


def test_sarif_says_everything():
    run = check_sarif(render_sarif([TWICE, UNUSED, SPREAD]))
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [ERROR, WARNING, NOTE]
    twice, unused, spread = run["results"]
    assert twice["message"]["text"].endswith("help: rename: one")
    physical = twice["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "dir%2C%20a/p%3A1.thp"
    # Columns are in characters, as columnKind says: the ideograph is one.
    assert physical["region"] == {
        "startLine": 2,
        "startColumn": 5,
        "endLine": 2,
        "endColumn": 6,
    }
    assert twice["relatedLocations"][0]["message"]["text"] == "declared here"
    [replacement] = twice["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement["deletedRegion"] == physical["region"]
    assert replacement["insertedContent"]["text"] == "漢_2"
    assert (unused["level"], spread["level"]) == ("warning", "note")
    assert "fixes" not in unused


def test_sarif_of_nothing_is_a_run_without_results():
    assert check_sarif(render_sarif([]))["results"] == []


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("/tmp/a b.thp", "file:///tmp/a%20b.thp"),
        ("b\udcff.thp", "b%FF.thp"),
    ],
)
def test_sarif_names_files_by_uri(name: str, uri: str):
    source = Source(name, "x")
    run = check_sarif(render_sarif([Diagnostic(ERROR, "no", Span(source, 0, 1))]))
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == uri


def test_github_is_one_command_each_that_no_text_can_end_or_begin():
    first, second, third = render_github([TWICE, UNUSED, SPREAD]).split("\n")
    assert first == (
        "::error file=dir%2C a/p%3A1.thp,line=2,endLine=2,col=5,endColumn=6,title=PC0301"
        "::50%25 off,<U+000D><U+000A>::warning::really%0Ahelp: rename: one"
    )
    assert second.startswith("::warning file=")
    assert third.startswith("::notice ")
    assert "col=" not in third


def test_check_prints_them():
    text = "policy p; set unused : cgroup = { }; thp { otherwise deny; }"
    result = invoke("check", "-", "--format", "sarif", stdin=text)
    assert result.exit_code == 0
    run = check_sarif(result.stdout)
    assert [item["ruleId"] for item in run["results"]] == ["PC0210"]
    result = invoke("check", "-", "--format", "github", stdin=text)
    assert result.stdout.splitlines()[0].startswith("::warning file=<stdin>,line=1,")
    assert invoke("check", "-", "--format", "sarif", stdin="policy").exit_code == 1
