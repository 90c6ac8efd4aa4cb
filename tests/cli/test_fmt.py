from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import ROOT, invoke

UGLY = "policy p;thp{deny when vma.stack;otherwise pass;} # end\n"
PRETTY = """\
policy p;

thp {
    deny when vma.stack;
    otherwise pass;
}  # end
"""
BROKEN = "policy p; thp { deny wen vma.stack; otherwise pass; }"


def test_files_are_formatted_in_place_once(tmp_path: Path) -> None:
    path = tmp_path / "p.thp"
    path.write_text(UGLY)
    path.chmod(0o640)
    assert invoke("fmt", str(path)).output == f"{path}: formatted\n"
    assert path.read_text() == PRETTY
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.stat().st_mtime_ns
    again = invoke("fmt", str(path))
    assert (again.exit_code, again.output) == (0, "")
    assert path.stat().st_mtime_ns == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.thp"]


def test_standard_input_goes_to_standard_output() -> None:
    result = invoke("fmt", "-", stdin=UGLY)
    assert (result.exit_code, result.stdout, result.stderr) == (0, PRETTY, "")


def test_check_and_diff_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.thp"
    path.write_text(UGLY)
    result = invoke("fmt", "--check", str(path))
    assert (result.exit_code, result.stdout) == (1, f"{path}: would be formatted\n")
    result = invoke("fmt", "--diff", str(path))
    assert result.exit_code == 1
    assert f"--- {path}\n" in result.stdout
    assert "\n+    deny when vma.stack;\n" in result.stdout
    assert path.read_text() == UGLY
    path.write_text(PRETTY)
    for option in ("--check", "--diff"):
        result = invoke("fmt", option, str(path))
        assert (result.exit_code, result.output) == (0, "")


def test_the_diff_has_the_lines_of_the_file() -> None:
    # Other characters end lines in Python, but not in a policy.
    text = UGLY.replace("# end", "# a\u2028b\x0cc")
    result = invoke("fmt", "--diff", "-", stdin=text)
    assert "No newline" not in result.stdout
    assert sum(line.startswith("-") for line in result.stdout.splitlines()) == 2


def test_a_file_with_syntax_errors_is_left_alone_and_the_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    broken, fine = tmp_path / "a.thp", tmp_path / "deep" / "b.thp"
    broken.write_text(BROKEN)
    fine.write_text(UGLY)
    result = invoke("fmt", str(tmp_path))
    assert result.exit_code == 1
    assert "error[PC0102]" in result.stderr
    assert broken.read_text() == BROKEN
    assert fine.read_text() == PRETTY
    assert invoke("fmt", "-", stdin=BROKEN).stdout == ""
    # With --check, too, a file that cannot be read as a policy is not fine.
    assert invoke("fmt", "--check", str(broken)).exit_code == 1


def test_carriage_returns_and_missing_line_ends_are_changes(tmp_path: Path) -> None:
    path = tmp_path / "p.thp"
    for data in (PRETTY.replace("\n", "\r\n").encode(), PRETTY.rstrip().encode()):
        path.write_bytes(data)
        assert invoke("fmt", "--check", str(path)).exit_code == 1
        assert invoke("fmt", str(path)).exit_code == 0
        assert path.read_text() == PRETTY


@pytest.mark.parametrize("arguments", [(), ("nothing.thp",), ("--chek", "-")])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert invoke("fmt", *arguments).exit_code == 2


def test_a_directory_without_policies_is_wrong_usage(tmp_path: Path) -> None:
    result = invoke("fmt", str(tmp_path))
    assert result.exit_code == 2
    assert "there is no policy (*.thp)" in result.stderr


def test_the_examples_are_formatted() -> None:
    result = invoke("fmt", "--check", str(ROOT / "examples"))
    assert (result.exit_code, result.output) == (0, "")


def test_a_defect_of_the_formatter_leaves_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "policyc.syntax.formatter.format_source", lambda source, file: "policy q;\n"
    )
    path = tmp_path / "p.thp"
    path.write_text(UGLY)
    result = invoke("fmt", str(path))
    assert result.exit_code == 3
    assert "would not mean the same" in result.stderr
    assert path.read_text() == UGLY
