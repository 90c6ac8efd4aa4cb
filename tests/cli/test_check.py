from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands import POLICY, invoke

CLEAN = "policy p; thp { otherwise deny; }"
BROKEN = "policy p;\nthp { deny when vma.size > 200ms; otherwise allow 3K; }\n"
WARNS = "policy p; set unused : cgroup = { }; thp { otherwise deny; }"


def test_a_policy_without_findings_is_ok(tmp_path: Path) -> None:
    path = tmp_path / "clean.thp"
    path.write_text(CLEAN)
    result = invoke("check", str(path))
    assert (result.exit_code, result.output) == (0, f"{path}: ok\n")


def test_every_error_is_shown_and_counted() -> None:
    result = invoke("check", "-", stdin=BROKEN)
    assert result.exit_code == 1
    assert "error[PC0301]" in result.stdout
    assert "error[PC0401]" in result.stdout
    assert result.stdout.endswith("<stdin>: 2 errors\n")
    assert result.stderr == ""


def test_warnings_do_not_fail() -> None:
    result = invoke("check", "-", "--format", "concise", stdin=WARNS)
    assert result.exit_code == 0
    first, last = result.stdout.splitlines()
    assert first.startswith("<stdin>:1:15: warning[PC0210]")
    assert last == "<stdin>: 1 warning"


def test_several_files_have_one_summary_and_one_exit_code(tmp_path: Path) -> None:
    clean, broken = tmp_path / "clean.thp", tmp_path / "broken.thp"
    clean.write_text(CLEAN)
    broken.write_text(BROKEN)
    result = invoke("check", str(clean), str(broken), "--format", "concise")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == f"{clean}: ok"
    assert lines[-1] == "2 files: 2 errors"
    assert invoke("check", str(clean), str(clean)).exit_code == 0


def test_json_is_one_document_for_all_files(tmp_path: Path) -> None:
    clean, broken = tmp_path / "clean.thp", tmp_path / "broken.thp"
    clean.write_text(CLEAN)
    broken.write_text(BROKEN)
    result = invoke("check", str(clean), str(broken), "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [(f["file"], f["errors"]) for f in document["files"]] == [
        (str(clean), 0),
        (str(broken), 2),
    ]
    assert {d["file"] for d in document["diagnostics"]} == {str(broken)}
    assert document["errors"] == 2
    assert json.loads(invoke("check", str(clean), "--format", "json").stdout)["diagnostics"] == []


def test_profiles_are_checked_for(policy: Path) -> None:
    assert invoke("check", str(policy)).exit_code == 0
    for form in (
        ["-p", "mthp-v2"],
        ["--profile", "thp-v7,mthp-v2"],
        ["-p", "thp-v7", "-p", "mthp-v2"],
    ):
        result = invoke("check", str(policy), *form)
        assert result.exit_code == 1
        assert "mthp-v2 cannot supply `event`" in result.stdout


def test_an_unknown_profile_says_which_was_meant(policy: Path) -> None:
    result = invoke("check", str(policy), "--profile", "thp-v77")
    assert result.exit_code == 2
    assert "unknown profile 'thp-v77'; did you mean 'thp-v7'?" in result.stderr


def test_the_page_size_decides_which_orders_there_are() -> None:
    policy = "policy p; thp { otherwise allow 16K; }"
    assert invoke("check", "-", stdin=policy).exit_code == 0
    result = invoke("check", "-", "--page-size", "64K", stdin=policy)
    assert result.exit_code == 1
    assert "16K is not a page size" in result.stdout
    huge = "policy p; thp { otherwise allow 32M; }"
    assert invoke("check", "-", "--page-size", "16k", stdin=huge).exit_code == 0
    assert invoke("check", "-", stdin=huge).exit_code == 1
    assert invoke("check", "-", "--pmd-order", "13", stdin=huge).exit_code == 0
    assert invoke("check", "-", "--page-size", "8K", stdin=huge).exit_code == 2


def test_a_policy_that_is_too_large_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "large.thp"
    path.write_bytes(POLICY.encode() + b"#" * (5 << 20))
    result = invoke("check", str(path))
    assert result.exit_code == 1
    assert "PC0107" in result.stdout
