from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, invoke, run

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


def test_bytes_of_other_editors(tmp_path: Path) -> None:
    """A byte order mark goes, and so does every other line end; the text is not touched."""
    path = tmp_path / "p.thp"
    text = PRETTY.replace("\n\n", "\n\n# é \U0001f600\n").replace("vma.stack", 'task.comm == "é"')
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert invoke("fmt", "--check", "--diff", str(path)).exit_code == 1
    assert invoke("fmt", str(path)).exit_code == 0
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "PC0110"),
        (b"# only\n# comments", "PC0110"),
        (b"\xef\xbb\xbf", "PC0110"),
        (b"policy \xff;", "PC0105"),
        (b"policy p;\0", "PC0101"),
        (
            b"policy p; thp { deny when " + b"not (" * 9000 + b"vma.stack" + b")" * 9000 + b"; }",
            "PC0106",
        ),
        (b"#" * ((4 << 20) + 1), "PC0107"),
    ],
)
def test_what_cannot_be_formatted_is_said_and_left_alone(
    data: bytes, code: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.thp"
    path.write_bytes(data)
    result = invoke("fmt", str(path))
    assert (result.exit_code, f"error[{code}]" in result.stderr) == (1, True), result.stderr
    assert path.read_bytes() == data
    assert invoke("fmt", "-", stdin=data).stdout == ""


def test_check_and_diff_together_show_both(tmp_path: Path) -> None:
    path = tmp_path / "p.thp"
    path.write_text(UGLY)
    result = invoke("fmt", "--check", "--diff", str(path))
    assert result.exit_code == 1
    assert "\n+    deny when vma.stack;\n" in result.stdout
    assert result.stderr == "1 file would be formatted, of 1\n"
    assert path.read_text() == UGLY


def test_the_text_of_standard_input_is_written_in_utf_8() -> None:
    data = f"{PRETTY}# é \U0001f600\n".encode()
    result = run("fmt", "-", stdin=data, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (result.returncode, result.stdout, result.stderr) == (0, data, b"")


def test_a_read_only_file_stays_as_it_is_and_the_others_do_not(tmp_path: Path) -> None:
    closed, other = tmp_path / "a.thp", tmp_path / "b.thp"
    for path in (closed, other):
        path.write_text(UGLY)
    closed.chmod(0o444)
    result = invoke("fmt", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, f"{other}: formatted\n")
    assert result.stderr == f"Error: cannot write {closed}: it is read-only\n"
    assert (closed.read_text(), other.read_text()) == (UGLY, PRETTY)
    assert invoke("fmt", "--check", str(closed)).exit_code == 1


def test_a_file_that_changes_meanwhile_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.thp"
    path.write_text(UGLY)

    def changed(data: bytes, name: str) -> tuple[str, tuple[()]]:
        path.write_text("policy q;")
        return PRETTY, ()

    monkeypatch.setattr("policyc.cli.fmt.formatted", changed)
    result = invoke("fmt", str(path))
    assert (result.exit_code, "has changed since" in result.stderr) == (2, True)
    assert path.read_text() == "policy q;"
    assert [file.name for file in tmp_path.iterdir()] == ["p.thp"]


def test_a_disk_that_is_full_leaves_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.thp"
    path.write_text(UGLY)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = invoke("fmt", str(path))
    assert (result.exit_code, "no space left" in result.stderr) == (2, True)
    assert path.read_text() == UGLY
    assert [file.name for file in tmp_path.iterdir()] == ["p.thp"]


def test_a_link_stays_one_and_does_not_lead_out_of_a_directory(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.thp"
    inside.mkdir()
    (inside / "p.thp").write_text(UGLY)
    outside.write_text(UGLY)
    (inside / "a.thp").symlink_to("p.thp")
    (inside / "out.thp").symlink_to(outside)
    (inside / "around").symlink_to(tmp_path)
    (inside / "directory.thp").mkdir()
    result = invoke("fmt", str(inside))
    assert (result.exit_code, result.output) == (0, f"{inside / 'p.thp'}: formatted\n")
    assert (inside / "a.thp").is_symlink()
    assert outside.read_text() == UGLY
    assert invoke("fmt", str(inside / "out.thp")).exit_code == 0
    assert (outside.read_text(), (inside / "out.thp").is_symlink()) == (PRETTY, True)


def test_a_directory_that_cannot_be_read_is_no_directory_without_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "p.thp").write_text(UGLY)
    scandir = os.scandir

    def closed(path: str | Path) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    result = invoke("fmt", "--check", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr == f"Error: cannot read {tmp_path / 'closed'}: permission denied\n"


def test_owner_and_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.thp"
    path.write_text(UGLY)
    path.chmod(0o606)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    assert invoke("fmt", str(path)).exit_code == 0
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


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
