"""`policyc test` on the command line."""

from __future__ import annotations

import json
import os
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


BROKEN = "policy broken; thp { deny when vma.what; allow all when mm.what; otherwise deny; }"


def test_policy_with_errors(small: Path, tmp_path: Path):
    broken = tmp_path / "broken.thp"
    broken.write_text(BROKEN, "utf-8")
    report = tmp_path / "report.xml"
    result = invoke("test", str(broken), str(small), "--junit", str(report))
    assert result.exit_code == 1
    assert "error[" in result.stderr
    assert result.stdout.splitlines() == [
        f"{small}: 2 tests, 1 property: all passed",
        f"{broken}: not run: 2 errors",
    ]
    errors = ElementTree.parse(report).getroot().findall(".//error")
    assert [error.get("message") for error in errors] == ["not run: 2 errors"]
    assert json.loads(invoke("test", str(tmp_path), "--json").stdout)["unusable"] == [str(broken)]


def test_definitions_have_a_line_and_are_fine(tmp_path: Path):
    library = tmp_path / "common.thp"
    library.write_text("let large = vma.size > 1M;\n", "utf-8")
    result = invoke("test", str(tmp_path))
    assert result.exit_code == 0
    assert result.stdout == f"{library}: definitions, nothing to run\n"


def test_file_that_cannot_be_read_does_not_stop_the_others(small: Path, tmp_path: Path):
    dangling = tmp_path / "dangling.thp"
    dangling.symlink_to(tmp_path / "nowhere.thp")
    (tmp_path / "broken.thp").write_text(BROKEN, "utf-8")
    result = invoke("test", str(tmp_path), "--coverage")
    assert result.exit_code == 2
    assert f"cannot read {dangling}: " in result.stderr
    assert f"{dangling}: cannot be read" in result.stdout.splitlines()
    assert f"{small}: 2 tests, 1 property: all passed" in result.stdout.splitlines()
    assert "Traceback" not in result.output


def test_links_in_circles_and_other_files(small: Path, tmp_path: Path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "up").symlink_to(tmp_path)
    (tmp_path / "link.thp").symlink_to(tmp_path / "below")
    (tmp_path / "directory.thp").mkdir()
    (tmp_path / "notes.txt").write_text("no policy", "utf-8")
    result = invoke("test", str(tmp_path))
    assert (result.exit_code, result.output) == (
        0,
        f"{small}: 2 tests, 1 property: all passed\n",
    )


def test_deep_directories(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """More levels than Python has frames, which is no longer a path than Linux takes."""
    top = tmp_path / "deep"
    top.mkdir()
    monkeypatch.chdir(top)
    for _ in range(1_200):
        Path("d").mkdir()
        os.chdir("d")
    small.rename("small.thp")
    monkeypatch.chdir(top)
    try:
        result = invoke("test", ".")
        assert result.exit_code == 0
        assert result.output.endswith("small.thp: 2 tests, 1 property: all passed\n")
    finally:
        # What removes old directories of tests goes down by recursion.
        for _ in range(1_199):
            os.chdir("d")
        Path("d/small.thp").unlink()
        Path("d").rmdir()
        for _ in range(1_199):
            os.chdir("..")
            Path("d").rmdir()
        monkeypatch.chdir(tmp_path)


IMPORTING = """policy importing;
import "lib/common.thp" (large);
thp { deny when large; otherwise pass; }
test "large" for thp { given vma.size = 2M; expect deny; }
"""


@pytest.fixture
def importing(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "common.thp").write_text("# shared\nlet large = vma.size > 1M;\n", "utf-8")
    path = tmp_path / "importing.thp"
    path.write_text(IMPORTING, "utf-8")
    return path


def test_conditions_of_imports_count(importing: Path):
    assert invoke("test", str(importing), "--fail-under", "50").exit_code == 0
    result = invoke("test", str(importing), "--fail-under", "51")
    assert result.exit_code == 1
    assert "50.00% is reached, less than 51%" in result.stderr
    row = result.stdout.splitlines()[-1].split()
    assert row == [str(importing), "1/2", "1/2", "50.0%"]


def test_imports_are_annotated_under_their_own_name(importing: Path):
    library = importing.parent / "lib" / "common.thp"
    lines = invoke("test", str(importing), "--annotate").output.splitlines()
    start = lines.index(f"{library}, imported by {importing}")
    assert lines[start + 1 :] == [
        "            1  # shared",
        "            2  let large = vma.size > 1M;",
        "               ^ never false: vma.size > 1M",
    ]
    assert lines.index(str(importing)) < start


SCOPED = """policy scoped;
combine thp by nearest;
thp { otherwise allow all; }
thp for cgroup "/batch" { rollout 10% by cgroup; deny when vma.stack; otherwise deny; }
test "elsewhere" for thp { given cgroup = "/web"; expect allow all; }
"""


def test_scopes_have_columns_and_lines(tmp_path: Path, small: Path):
    scoped = tmp_path / "scoped.thp"
    scoped.write_text(SCOPED, "utf-8")
    result = invoke("test", "--coverage", "--annotate", str(scoped), str(small))
    lines = result.output.splitlines()
    head = next(line for line in lines if line.startswith("file "))
    assert head.split() == [
        "file", "rules", "conditions", "scopes", "rollouts", "combined", "reached",
    ]  # fmt: skip
    rows = {line.split()[0]: line.split()[1:] for line in lines[lines.index(head) + 1 :][:3]}
    assert rows == {
        str(scoped): ["1/3", "0/2", "1/2", "0/2", "0/1", "20.0%"],
        str(small): ["2/3", "5/8", "0/0", "0/0", "0/0", "63.6%"],
        "all": ["3/6", "5/10", "1/2", "0/2", "0/1", "42.8%"],
    }
    assert [line.partition("^ ")[2] for line in lines if "^" in line][:5] == [
        "never inside the scope",
        "never admitted by the rollout",
        "never refused by the rollout",
        "never two blocks with an opinion to combine by nearest",
        "never looked at: vma.stack",
    ]
    (file,) = json.loads(invoke("test", "--coverage", "--json", str(scoped)).stdout)["files"]
    coverage = file["coverage"]
    assert coverage["scopes"] == {"reached": 1, "all": 2}
    assert coverage["blocks"] == [
        {
            "hook": "thp",
            "line": 4,
            "scope": "/batch",
            "inside": 0,
            "outside": 1,
            "admitted": 0,
            "refused": 0,
        }
    ]
    assert coverage["opinions"] == [
        {"hook": "thp", "combine": "nearest", "times": 0, "counts": True}
    ]


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
    result = invoke("test", str(ROOT / "examples"), "--fail-under", "100")
    assert result.exit_code == 0, result.output


def test_lines_are_annotated_whatever_comments_hold(tmp_path: Path):
    policy = tmp_path / "p.thp"
    policy.write_text("policy p; # a\fb\u2028c\vd\x85e\nthp {\n    otherwise pass;\n}\n", "utf-8")
    lines = invoke("test", "--annotate", str(policy)).output.splitlines()
    assert [line.split() for line in lines if "otherwise" in line] == [
        ["never", "3", "otherwise", "pass;"]
    ]


def test_no_number_is_no_share(small: Path):
    result = invoke("test", str(small), "--fail-under", "nan")
    assert result.exit_code == 2
    assert "'nan' is no number" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--format", "github"],
        ["lint", "--format", "github"],
        ["fmt", "--check"],
        ["fmt", "--diff"],
        ["test", "--coverage", "--annotate"],
        ["test", "--list"],
    ],
)
def test_names_of_files_and_tests_begin_no_line(tmp_path: Path, arguments: list[str]):
    policy = tmp_path / "a\n::error::b.thp"
    policy.write_text(
        'policy p; thp { otherwise deny; } test "x\\n::error::y" for thp { given orders = all;'
        "expect pass; }",
        "utf-8",
    )
    result = invoke(*arguments, str(tmp_path))
    assert "<U+000A>::error::" in result.output
    assert not [line for line in result.output.splitlines() if line.startswith("::")]


@pytest.mark.parametrize("verb", ["check", "lint", "fmt", "test"])
def test_pipes_below_a_directory_are_no_policies(small: Path, tmp_path: Path, verb: str):
    os.mkfifo(tmp_path / "nobody-writes.thp")
    result = run(verb, str(tmp_path))
    assert "nobody-writes" not in result.stdout.decode() + result.stderr.decode()
    assert str(small).encode() in result.stdout
