"""The renderers for other programs: SARIF 2.1.0 and GitHub workflow commands."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from policyc.diagnostics.codes import CODES, LINT_CODES
from policyc.diagnostics.fingerprints import line_fingerprints
from policyc.diagnostics.github import render_github
from policyc.diagnostics.model import Diagnostic, Fix, Label
from policyc.diagnostics.sarif import render_sarif
from policyc.diagnostics.visible import visible
from policyc.source import Source, Span
from tests.cli.commands import ROOT, invoke
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

SCHEMA = ROOT / "tests" / "fixtures" / "sarif" / "sarif-2.1.0.json"


@cache
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def check_sarif(text: str) -> dict[str, Any]:
    """The one run of a log that is as the standard and code scanning want it."""
    log = json.loads(text)
    errors = [f"{error.json_path}: {error.message}" for error in validator().iter_errors(log)]
    assert errors == []
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        texts = [rule[part]["text"] for part in ("shortDescription", "fullDescription", "help")]
        assert all(texts)
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}: ")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert re.fullmatch(
            r"[0-9a-f]{1,16}:\d+", result["partialFingerprints"]["primaryLocationLineHash"]
        )
        for location in [*result["locations"], *result.get("relatedLocations", ())]:
            _check_place(location["physicalLocation"], run)
        for fix in result.get("fixes", ()):
            for change in fix["artifactChanges"]:
                assert change["replacements"]
    return run


def _check_place(place: dict[str, Any], run: dict[str, Any]) -> None:
    artifact, region = place["artifactLocation"], place["region"]
    if "uriBaseId" in artifact:
        assert artifact["uriBaseId"] in run["originalUriBaseIds"]
        assert not artifact["uri"].startswith(("/", "file:", ".."))
    else:
        assert artifact["uri"].startswith("file:///")
    assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])


def test_the_schema_finds_what_is_wrong():
    log = json.loads(render_sarif([UNUSED]))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    log["runs"][0]["columnKind"] = "bytes"
    places = sorted(error.json_path for error in validator().iter_errors(log))
    region = "$.runs[0].results[0].locations[0].physicalLocation.region.startLine"
    assert places == ["$.runs[0].columnKind", region]


def test_sarif_says_everything():
    run = check_sarif(render_sarif([TWICE, UNUSED, SPREAD]))
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [ERROR, WARNING, NOTE]
    twice, unused, spread = run["results"]
    assert twice["message"]["text"].endswith("help: rename: one")
    physical = twice["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "dir%2C%20a/p%3A1.thp"
    # The ideograph is one UTF-16 code unit.
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
        ("./x/../y/a.thp", "y/a.thp"),
        ("../a#.thp", "file:///a%23.thp"),
        ("<stdin>", "%3Cstdin%3E"),
    ],
)
def test_sarif_names_files_by_uri(
    name: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    uri = uri.replace("file:///a%23", f"{tmp_path.parent.as_uri()}/a%23")
    source = Source(name, "x")
    run = check_sarif(render_sarif([Diagnostic(ERROR, "no", Span(source, 0, 1))]))
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == uri


def test_sarif_names_a_file_below_the_directory_by_its_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    source = Source(str(tmp_path / "a.thp"), "x")
    run = check_sarif(render_sarif([Diagnostic(ERROR, "no", Span(source, 0, 1))]))
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "a.thp", "uriBaseId": "%SRCROOT%"}


def test_sarif_columns_count_utf_16_code_units():
    text = "# \U0001f600\n\U0001f600é\U0001f600 wrong \U0001f600\n"
    source = Source("a.thp", text)
    start = text.index("wrong")
    run = check_sarif(render_sarif([Diagnostic(ERROR, "no", Span(source, start, start + 5))]))
    assert run["columnKind"] == "utf16CodeUnits"
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    line = text.split("\n")[1].encode("utf-16-le")
    first, last = 2 * (region["startColumn"] - 1), 2 * (region["endColumn"] - 1)
    assert line[first:last].decode("utf-16-le") == "wrong"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The values of GitHub's own tests.
        ("", ["c129715d7a2bc9a3:1"]),
        (
            " a\nb\n  \t\tc\n d",
            ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"],
        ),
        (
            " hello; \t\r\nworld!!!\r\n\r\n\r\n  \t\tGreetings\r\n End\r\n",
            [
                "e9496ae3ebfced30:1",
                "fb7c023a8b9ccb3f:1",
                "ce8ba1a563dcdaca:1",
                "e20e36e16fcb0cc8:1",
                "b3edc88f2938467e:1",
                "c8e28b0b4002a3a0:1",
                "c129715d7a2bc9a3:1",
            ],
        ),
    ],
)
def test_fingerprints_are_those_of_code_scanning(text: str, expected: list[str]):
    lines = range(1, len(expected) + 1)
    assert line_fingerprints(text, lines) == dict(zip(lines, expected, strict=True))
    for line in lines:
        assert line_fingerprints(text, [line]) == {line: expected[line - 1]}


def test_fingerprints_of_equal_lines_are_counted_and_outlive_lines_above():
    tail = "# the same\n" * 60
    marks = line_fingerprints(tail, range(1, 61))
    assert (marks[1].endswith(":1"), marks[2]) == (True, f"{marks[1][:-1]}2")
    moved = line_fingerprints(f"# one more\n{tail}", range(1, 62))
    assert [moved[line + 1] for line in range(1, 61)] == [marks[line] for line in range(1, 61)]


def test_lint_writes_sarif_with_fixes_that_make_the_policy_right(tmp_path: Path):
    path = tmp_path / "\U0001f600 é%,:.thp"
    rule = 'deny when task.comm == "\U0001f600" and vma.stack == true;'
    text = f"policy p;\nthp {{ {rule} otherwise pass; }}\n"
    path.write_text(text, "utf-8")
    result = invoke("lint", str(path), "--format", "sarif")
    assert result.exit_code == 1
    run = check_sarif(result.stdout)
    [finding] = run["results"]
    artifact = finding["locations"][0]["physicalLocation"]["artifactLocation"]
    assert unquote(artifact["uri"].removeprefix("file://")) == str(path)
    [fix] = finding["fixes"]
    [change] = fix["artifactChanges"]
    [replacement] = change["replacements"]
    region, lines = replacement["deletedRegion"], text.split("\n")
    line = lines[region["startLine"] - 1].encode("utf-16-le")
    first, last = 2 * (region["startColumn"] - 1), 2 * (region["endColumn"] - 1)
    inserted = replacement["insertedContent"]["text"].encode("utf-16-le")
    fixed = (line[:first] + inserted + line[last:]).decode("utf-16-le")
    assert fixed == lines[1].replace(" == true", "")


@pytest.mark.parametrize("code", sorted({*CODES, *LINT_CODES}))
def test_every_code_is_a_rule_that_can_be_written(code: str):
    run = check_sarif(render_sarif([Diagnostic(code, "no", Span(SOURCE, 0, 1))]))
    text = run["tool"]["driver"]["rules"][0]["help"]["markdown"]
    assert ".md)" not in text
    assert "expect=" not in text


def decoded(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner takes it apart."""
    assert line.startswith("::")
    head, _, data = line[2:].partition("::")
    name, _, properties = head.partition(" ")
    values: dict[str, str] = {}
    for pair in properties.split(","):
        key, separator, value = pair.partition("=")
        assert separator, pair
        for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n")):
            value = value.replace(code, character)
        values[key] = value.replace("%25", "%")
    for code, character in (("%0D", "\r"), ("%0A", "\n")):
        data = data.replace(code, character)
    return name, values, data.replace("%25", "%")


_TEXTS = st.text(st.sampled_from(" %:,=\r\n;a%25%0A%2C::é\U0001f600"), max_size=12)


@given(_TEXTS.filter(bool), _TEXTS, _TEXTS)
def test_github_commands_survive_the_runner(file: str, message: str, help: str):
    source = Source(file, "one\ntwo\n")
    written = render_github([Diagnostic(ERROR, message, Span(source, 4, 7), help=help)])
    assert "\n" not in written
    assert "\r" not in written
    name, properties, data = decoded(written)
    assert (name, properties["file"]) == ("error", visible(file))
    assert (properties["line"], properties["col"], properties["endColumn"]) == ("2", "1", "4")
    assert data == visible(message) + "".join(
        f"\n{visible(line)}" for line in (f"help: {help}".split("\n") if help else ())
    )


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
