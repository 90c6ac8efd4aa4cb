"""`policyc test` on the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.commands import ROOT, invoke, run
from tests.testing.policies import SMALL


@pytest.fixture(autouse=True)
def storage(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the command sets is as it was afterwards."""
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(tmp_path_factory.mktemp("storage")))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.thp"
    path.write_text(SMALL, "utf-8")
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.thp"
    path.write_text(SMALL.replace(">= 8M;", "> 4M;"), "utf-8")
    return path


def test_fine(small: Path):
    result = invoke("test", str(small))
    assert result.exit_code == 0
    assert result.output == f"{small}: 2 tests, 1 property: all passed\n"


def test_counterexample_can_be_handed_to_decide(wrong: Path):
    result = invoke("test", str(wrong))
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if "explain with: " in line]
    command = shlex.split(line.partition("explain with: ")[2])
    explained = invoke(*command[1:])
    assert explained.exit_code == 0, explained.output
    assert "thp: allow 2M" in explained.output
    assert "cgroup = /java" in result.output
    assert "vma.size = 4194305B" in result.output


def test_directory_runs_each_file_once(small: Path, tmp_path: Path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "common.thp").write_text("let large = vma.size > 1M;\n", "utf-8")
    (tmp_path / "again.thp").symlink_to(small)
    result = invoke("test", str(tmp_path), str(small))
    assert result.exit_code == 0
    assert result.output.count("2 tests") == 1


def test_directory_without_policies(tmp_path: Path):
    assert invoke("test", str(tmp_path)).exit_code == 2
    assert invoke("test").exit_code == 2
    assert invoke("test", str(tmp_path / "none.thp")).exit_code == 2


def test_policy_with_errors(small: Path, tmp_path: Path):
    broken = tmp_path / "broken.thp"
    broken.write_text("policy broken; thp { otherwise nothing; }", "utf-8")
    result = invoke("test", str(broken), str(small))
    assert result.exit_code == 1
    assert "error[" in result.stderr
    assert "all passed" in result.stdout


def test_required_tests(policy: Path):
    assert invoke("test", str(policy)).exit_code == 0
    result = invoke("test", str(policy), "--require-tests")
    assert result.exit_code == 1
    assert "has no tests" in result.stderr


def test_choosing_and_listing(small: Path):
    result = invoke("test", str(small), "--list", "-k", "list or areas")
    assert result.exit_code == 0
    assert [line.split()[1:3] for line in result.output.splitlines()] == [
        ["test", "thp"],
        ["property", "thp"],
    ]
    assert invoke("test", str(small), "-k", "(").exit_code == 2
    result = invoke("test", str(small), "-k", "nobody")
    assert (result.exit_code, result.stderr) == (0, "nothing is named so\n")


def test_stop(wrong: Path, small: Path):
    result = invoke("test", str(wrong), str(small), "-x")
    assert result.exit_code == 1
    assert str(small) not in result.output


def test_coverage(small: Path):
    result = invoke("test", "--coverage", str(small))
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].split() == [str(small), "2/3", "5/8", "63.6%"]
    result = invoke("test", "--coverage=all", str(small))
    assert result.output.splitlines()[-1].split()[-2:] == ["63.6%", "100.0%"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["63"], 0), (["64"], 1), (["100", "--coverage=all"], 0), (["101"], 2)],
)
def test_fail_under(small: Path, arguments: list[str], code: int):
    assert invoke("test", str(small), "--fail-under", *arguments).exit_code == code


def test_annotated(small: Path):
    lines = invoke("test", "--annotate", str(small)).output.splitlines()
    marked = [line for line in lines if "^" in line]
    assert [line.partition("^ ")[2] for line in marked] == [
        "never true: psi.memory.full.avg10 > 10%",
        "never true: vma.stack",
        "never false: vma.size >= 8M",
    ]
    assert any(line.split()[:3] == ["never", "5", "pressed:"] for line in lines)


def test_json_and_junit(wrong: Path, tmp_path: Path):
    report = tmp_path / "report.xml"
    result = invoke("test", str(wrong), "--json", "--junit", str(report), "--no-times")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == 1
    suite = ElementTree.parse(report).getroot()[0]
    assert suite.get("failures") == "1"
    assert invoke("test", str(wrong), "--junit", str(report / "below")).exit_code == 2


def test_without_hypothesis(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("policyc.cli.test.find_spec", lambda _name: None)
    result = invoke("test", str(small))
    assert result.exit_code == 3
    assert "2 tests, 1 property: 1 not run" in result.stdout
    assert "pip install 'policyc[test]'" in result.stderr
    assert invoke("test", str(small), "-k", "large").exit_code == 0


def test_hypothesis_is_not_imported_for_tests_alone(small: Path):
    small.write_text(SMALL[: SMALL.index("property")], "utf-8")
    result = run("test", str(small), PYTHONPROFILEIMPORTTIME="1")
    assert result.returncode == 0
    assert b"policyc.testing.runner" in result.stderr
    assert b"hypothesis" not in result.stderr


def test_nothing_is_left_beside_the_policies(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    monkeypatch.chdir(small.parent)
    result = run("test", "small.thp", "--examples", "50")
    assert result.returncode == 0
    assert sorted(path.name for path in small.parent.iterdir()) == ["small.thp"]


def test_shipped_examples_keep_what_they_promise():
    result = invoke("test", str(ROOT / "examples"))
    assert result.exit_code == 0, result.output
