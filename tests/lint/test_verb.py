"""`policyc lint`: exit codes, formats, files and directories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policyc.diagnostics.codes import LINT_CODES
from tests.cli.commands import invoke, run

DIRTY = "policy a;\nlet b = 64K;\nthp {\n    deny when vma.stack == true;\n    otherwise pass;\n}\n"
CLEAN = "policy a;\nthp {\n    deny when vma.stack;\n    otherwise pass;\n}\n"


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    path = tmp_path / "a.thp"
    path.write_text(DIRTY)
    return path


def test_findings_are_shown_and_change_the_exit_code(dirty: Path):
    result = invoke("lint", str(dirty), "--format", "concise")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{dirty}:2:5: warning[PL011] the let `b` is never used (remove it)",
        (
            f"{dirty}:4:15: warning[PL020] a condition needs no comparison to be one "
            "(write `vma.stack`)"
        ),
        f"{dirty}: 2 warnings",
    ]


def test_nothing_found(tmp_path: Path):
    path = tmp_path / "a.thp"
    path.write_text(CLEAN)
    result = invoke("lint", str(path))
    assert (result.exit_code, result.output) == (0, f"{path}: ok\n")


def test_fix_writes_the_file_and_reports_the_rest(dirty: Path):
    dirty.write_text(DIRTY.replace("otherwise pass", "deny when event is smaps; otherwise pass"))
    dirty.chmod(0o640)
    result = invoke("lint", str(dirty), "--fix", "--format", "concise")
    assert result.exit_code == 1
    assert "PL014" in result.output
    assert result.output.endswith(f"{dirty}: 1 note, 2 fixes applied\n")
    assert "let" not in dirty.read_text()
    assert dirty.stat().st_mode & 0o777 == 0o640
    before = dirty.stat().st_mtime_ns
    invoke("lint", str(dirty), "--fix")
    assert dirty.stat().st_mtime_ns == before, "there was nothing to write"


def test_fix_of_everything_ends_well(dirty: Path):
    result = invoke("lint", str(dirty), "--fix")
    assert (result.exit_code, result.output) == (0, f"{dirty}: ok, 2 fixes applied\n")
    assert dirty.read_text() == CLEAN


def test_fix_that_cannot_be_written_changes_nothing(dirty: Path, tmp_path: Path):
    link = tmp_path / "gone" / "b.thp"
    result = invoke("lint", str(dirty), str(link), "--fix")
    assert result.exit_code == 2
    assert dirty.read_text() == DIRTY


def test_fix_obeys_select(dirty: Path):
    invoke("lint", str(dirty), "--fix", "--select", "PL020")
    assert dirty.read_text() == DIRTY.replace(" == true", "")


def test_select_and_ignore(dirty: Path):
    codes = ("PL011", "PL020")
    for options, expected in (
        (("--select", "PL011,PL020"), {*codes}),
        (("--select", "PL011"), {"PL011"}),
        (("--ignore", "PL011"), {"PL020"}),
        (("--select", "PL011", "--ignore", "PL011"), set[str]()),
    ):
        result = invoke("lint", str(dirty), "--format", "json", *options)
        found = {item["code"] for item in json.loads(result.output)["diagnostics"]}
        assert found == expected
        assert result.exit_code == bool(expected)


def test_document(dirty: Path):
    document = json.loads(invoke("lint", str(dirty), "--format", "json").output)
    assert document["files"] == [
        {
            "file": str(dirty),
            "imported": False,
            "checked": True,
            "findings": 2,
            "allowed": 0,
            "fixed": 0,
        }
    ]
    fix = document["diagnostics"][0]["fix"]
    assert (fix["start"]["line"], fix["end"]["line"], fix["replacement"]) == (2, 3, "")


def test_directory_is_read_to_the_bottom(tmp_path: Path):
    (tmp_path / "below").mkdir()
    for name in ("b.thp", "below/a.thp", "notes.txt"):
        (tmp_path / name).write_text(CLEAN)
    result = invoke("lint", str(tmp_path), str(tmp_path / "b.thp"))
    lines = result.output.splitlines()
    assert lines == [
        f"{tmp_path / 'b.thp'}: ok",
        f"{tmp_path / 'below' / 'a.thp'}: ok",
        "2 files: no problems",
    ]


def test_errors_of_the_checker_are_shown(tmp_path: Path):
    path = tmp_path / "a.thp"
    path.write_text("policy a;\nthp { deny when vma.stack == true; }\n")
    result = invoke("lint", str(path), "--fix")
    assert result.exit_code == 1
    assert "error[PC0501]" in result.output


def test_wrong_usage(tmp_path: Path, dirty: Path):
    for arguments, said in (
        ((), "Missing argument"),
        (("-", "--fix"), "'-' is none"),
        ((str(tmp_path / "gone.thp"),), "cannot read"),
        ((str(dirty), "--select", "PL999"), "unknown code 'PL999'"),
        ((str(dirty), "--profile", "thp-v8"), "unknown profile 'thp-v8'"),
    ):
        result = invoke("lint", *arguments)
        assert result.exit_code == 2, arguments
        assert said in result.output
    (tmp_path / "empty").mkdir()
    result = invoke("lint", str(tmp_path / "empty"))
    assert (result.exit_code, "no policy (*.thp)" in result.output) == (2, True)


def test_standard_input():
    result = invoke("lint", "-", "--format", "concise", stdin=DIRTY)
    assert (result.exit_code, result.output.count("<stdin>:")) == (1, 3)


def test_list():
    lines = invoke("lint", "--list").output.splitlines()
    assert lines[0].split() == ["code", "severity", "fix", "rule"]
    assert [line.split()[0] for line in lines[1:]] == list(LINT_CODES)
    document = json.loads(invoke("lint", "--list", "--format", "json").output)
    assert [rule["code"] for rule in document["rules"]] == list(LINT_CODES)


def test_hostile_bytes_end_without_a_traceback(tmp_path: Path):
    for number, data in enumerate((b"", b"\xff\xfe", b"policy \x1b[31m;", b"# lint: allow", b'"')):
        path = tmp_path / f"{number}.thp"
        path.write_bytes(data)
        assert run("lint", str(path), "--fix").returncode == 1
        assert path.read_bytes() == data
