"""Files that import each other: what is said where, once, and what fixes may touch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.lint import Linted, lint_files
from tests.cli.commands import invoke

HOST = "host { thp.enabled[64K] = inherit; }\n"
PASS = "thp { otherwise pass; }\n"


def linted(files: Mapping[str, str], *named: str, fix: bool = False) -> dict[str, Linted]:
    """What is said about files that exist nowhere but here; the first one is named."""

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path].encode()

    texts = [(files[name].encode(), name) for name in named or (next(iter(files)),)]
    return {each.name: each for each in lint_files(texts, read=read, fix=fix)}


def found(files: Mapping[str, str], *named: str) -> list[tuple[str, str, str]]:
    """File, code and marked text of every finding."""
    return [
        (name, item.code, item.span.text)
        for name, each in linted(files, *named).items()
        for item in each.result.findings
    ]


SMALL = 'policy p;\nimport "l.thp" as l;\n' + HOST + "thp { otherwise allow l.small; }\n"

CASES: dict[str, tuple[dict[str, str], list[tuple[str, str, str]]]] = {
    "a range of another file is reported where the policy names it": (
        {"p.thp": SMALL, "l.thp": "let small = ..64K;\n"},
        [("p.thp", "PL008", "l.small")],
    ),
    "and not where every size is on": (
        {
            "p.thp": SMALL.replace("{ thp", "{ thp.enabled[16K] = inherit; thp"),
            "l.thp": "let small = ..64K - 32K;\nlet other = 32K..64K;\n",
        },
        [("p.thp", "PL008", "l.small")],
    ),
    "a range behind a let of the policy": (
        {
            "p.thp": 'policy p;\nimport "l.thp" as l;\nlet mine = l.small | pmd;\n'
            + HOST
            + "thp { otherwise allow mine; }\n",
            "l.thp": "let small = ..64K;\n",
        },
        [("p.thp", "PL008", "l.small")],
    ),
    "a range behind the other file's import": (
        {
            "p.thp": SMALL,
            "l.thp": 'import "m.thp";\nlet small = tiny | 64K;\n',
            "m.thp": "let tiny = ..32K;\n",
        },
        [("p.thp", "PL008", "l.small")],
    ),
    "a comment in the other file holds": (
        {"p.thp": SMALL, "l.thp": "let small = ..64K;  # lint: allow PL008 any\n"},
        [],
    ),
    "a comment in the policy holds": (
        {
            "p.thp": SMALL.replace("small; }", "small;  # lint: allow PL008 any\n}"),
            "l.thp": "let small = ..64K;\n",
        },
        [],
    ),
    "shared memory is asked for in the other file": (
        {
            "p.thp": 'policy p;\nimport "l.thp" (heap);\n'
            'thp for cgroup "/a" { deny when heap; otherwise pass; }\n',
            "l.thp": "let heap = vma.kind is shmem;\n",
        },
        [("p.thp", "PL004", "heap")],
    ),
    "a set of the other file has a cgroup below a scope": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\n'
            'numa for cgroup "/a" { balance when cgroup in s; otherwise off; }\n',
            "l.thp": 'set s : cgroup = { "/a/b" };\n',
        },
        [("p.thp", "PL007", 'numa for cgroup "/a"')],
    ),
    "paths of two files are nearly the same": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\n'
            'thp { deny when cgroup under "/Java" or cgroup in s; otherwise pass; }\n',
            "l.thp": 'set s : cgroup = { "/java" };\n',
        },
        [("p.thp", "PL012", '"/Java"')],
    ),
    "a path of the other file is the end of one here": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\n'
            'thp { deny when cgroup under "/kube/java" or cgroup in s; otherwise pass; }\n',
            "l.thp": 'set s : cgroup = { "/java" };\n',
        },
        [("p.thp", "PL012", '"/kube/java"')],
    ),
    "names of two files are nearly the same": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\nlet Heap = vma.stack;\n'
            "thp { deny when Heap and heap; otherwise pass; }\n",
            "l.thp": "let heap = vma.kind is shmem;\n",
        },
        [("p.thp", "PL012", "Heap")],
    ),
    "what is only in the other file is said there": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\nthp { deny when a and b; otherwise pass; }\n',
            "l.thp": "let a = vma.stack == true;\n"
            'let b = task.comm in { "Redis", "redis", "kube-controller" };\n'
            "let c = task.pid > 5000000;\n",
        },
        [
            ("l.thp", "PL020", "vma.stack == true"),
            ("l.thp", "PL012", '"redis"'),
            ("l.thp", "PL017", '"kube-controller"'),
            ("l.thp", "PL015", "5000000"),
        ],
    ),
    "a comment there accepts it": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\nthp { deny when a; otherwise pass; }\n',
            "l.thp": "let a = vma.stack == true;  # lint: allow PL020 like the others\n",
        },
        [],
    ),
    "an import that is not used": (
        {"p.thp": f'policy p;\nimport "l.thp";\n{PASS}', "l.thp": "let a = vma.stack;\n"},
        [("p.thp", "PL023", '"l.thp"')],
    ),
    "a name of an import that is not used": (
        {
            "p.thp": 'policy p;\nimport "l.thp" (a, b);\nthp { deny when b; otherwise pass; }\n',
            "l.thp": "let a = vma.stack;\nlet b = vma.exec;\n",
        },
        [("p.thp", "PL023", "a")],
    ),
    "an import that a file of definitions does not use": (
        {
            "p.thp": 'policy p;\nimport "l.thp";\nthp { deny when b; otherwise pass; }\n',
            "l.thp": 'import "m.thp";\nlet b = vma.exec;\n',
            "m.thp": "let a = vma.stack;\n",
        },
        [("l.thp", "PL023", '"m.thp"')],
    ),
    "a policy that is imported is judged as definitions": (
        {
            "p.thp": 'policy p;\nimport "q.thp" (a);\nthp { deny when a; otherwise pass; }\n',
            "q.thp": "policy q;\nlet a = vma.stack;\nlet idle = vma.exec;\n"
            "thp { deny when event is smaps; otherwise pass; }\n",
        },
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_found(name: str):
    files, expected = CASES[name]
    assert sorted(found(files)) == sorted(expected)


def test_a_file_of_definitions_by_itself():
    files = {
        "l.thp": 'import "m.thp";\nlet a = vma.stack == true;  # lint: allow PL008 for p\n'
        "param p : percent = 1% in 0%..2%;  # lint: allow PL012 for p\n"
        "set s : cgroup = { };  # lint: allow PL017 nothing\n",
        "m.thp": "let b = vma.exec;\n",
    }
    assert found(files) == [
        ("l.thp", "PL023", '"m.thp"'),
        ("l.thp", "PL020", "vma.stack == true"),
        ("l.thp", "PL021", "# lint: allow PL017 nothing"),
    ]


def test_a_comment_of_a_policy_that_another_one_needs_is_no_idle_one():
    files = {
        "p.thp": SMALL.replace("l.", "q.").replace("as l", "as q"),
        "q.thp": "policy q;\nlet small = ..64K;  # lint: allow PL008 any\n"
        "thp { otherwise allow small; }\n",
    }
    assert found(files, "q.thp") == [("q.thp", "PL021", "# lint: allow PL008 any")]
    assert found(files, "q.thp", "p.thp") == []


def test_a_definition_that_another_file_of_the_run_uses_is_used():
    files = {
        "p.thp": 'policy p;\nimport "q.thp" (used, listed);\n'
        "thp { deny when used; otherwise pass; }\n",
        "q.thp": "policy q;\nlet used = deeper;\nlet deeper = vma.stack;\nlet listed = vma.exec;\n"
        f"let idle = vma.locked;\n{PASS}",
    }
    codes = {text for file, code, text in found(files, "q.thp", "p.thp") if file == "q.thp"}
    assert codes == {"idle"}
    fixed = linted(files, "q.thp", "p.thp", fix=True)
    texts = {name: each.data.decode() for name, each in fixed.items()}
    # The name that was listed in vain is let go of first, and then it is not used any more.
    assert texts["p.thp"] == files["p.thp"].replace("used, listed", "used")
    assert texts["q.thp"] == f"policy q;\nlet used = deeper;\nlet deeper = vma.stack;\n{PASS}"
    result = check_text(texts["p.thp"], "p.thp", read=lambda path: texts[path].encode())
    assert result.is_fine


def test_a_file_with_errors_keeps_what_it_imports_from_the_fixes():
    files = {
        "p.thp": 'policy p;\nimport "q.thp" (a);\nthp { deny when a; }\n',
        "q.thp": f"policy q;\nlet a = vma.exec;\n{PASS}",
    }
    fixed = linted(files, "p.thp", "q.thp", fix=True)
    assert fixed["q.thp"].data.decode() == files["q.thp"]
    assert [item.code for item in fixed["p.thp"].result.findings] == ["PC0501"]


IMPORTS = {
    'import "l.thp" (a, b, c);': 'import "l.thp" (b);',
    'import "l.thp" (b, c);': 'import "l.thp" (b);',
    'import "l.thp" (\n    a,\n    b,\n);': 'import "l.thp" (\n    b,\n);',
    'import "l.thp" (\n    a,  # why\n    b,\n);': 'import "l.thp" (\n    a,  # why\n    b,\n);',
}


@pytest.mark.parametrize("written", IMPORTS)
def test_names_of_imports_are_removed(written: str):
    files = {
        "p.thp": f"policy p;\n{written}\nthp {{ deny when b; otherwise pass; }}\n",
        "l.thp": "let a = vma.stack;\nlet b = vma.exec;\nlet c = vma.locked;\n",
    }
    expected = files["p.thp"].replace(written, IMPORTS[written])
    assert linted(files, fix=True)["p.thp"].data.decode() == expected


@pytest.mark.parametrize("tail", ["", " (a)", " (a, b)", " as l"])
def test_imports_are_removed(tail: str):
    files = {
        "p.thp": f'policy p;\nimport "l.thp"{tail};  # all of it\n{PASS}',
        "l.thp": "let a = vma.stack;\nlet b = vma.exec;\n",
    }
    fixed = linted(files, fix=True)["p.thp"]
    assert fixed.data.decode() == f"policy p;\n{PASS}"
    assert fixed.result.findings == ()


# -- the verb

LIBRARY = "let a = vma.stack == true;\n"
POLICY = 'policy p;\nimport "{}" (a);\nthp {{ deny when a == true; otherwise pass; }}\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two policies in a directory that import a file beside it."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "lib.thp").write_text(LIBRARY)
    for name in ("p", "q"):
        (tmp_path / "policies" / f"{name}.thp").write_text(POLICY.format("../lib.thp"))
    return tmp_path


def test_an_imported_file_is_reported_once(tree: Path):
    result = invoke("lint", str(tree / "policies"), "--format", "json")
    document = json.loads(result.output)
    files = [(Path(file["file"]).name, file["imported"]) for file in document["files"]]
    assert files == [("p.thp", False), ("q.thp", False), ("lib.thp", True)]
    places = [Path(item["file"]).name for item in document["diagnostics"]]
    assert places == ["p.thp", "q.thp", "lib.thp"]
    again = invoke("lint", str(tree), "--format", "json")
    assert len(json.loads(again.output)["diagnostics"]) == 3


def test_fixes_stay_below_what_was_named(tree: Path):
    result = invoke("lint", str(tree / "policies"), "--fix", "--format", "concise")
    assert result.exit_code == 1
    assert (tree / "lib.thp").read_text() == LIBRARY
    assert "== true" not in (tree / "policies" / "p.thp").read_text()
    lines = result.output.splitlines()
    assert [line.rpartition("/")[2] for line in lines] == [
        "p.thp: ok, 1 fix applied",
        "q.thp: ok, 1 fix applied",
        "lib.thp:1:9: warning[PL020] a condition needs no comparison to be one (write `vma.stack`)",
        "lib.thp: 1 warning",
        "3 files: 1 warning",
    ]
    assert invoke("lint", str(tree), "--fix").exit_code == 0
    assert (tree / "lib.thp").read_text() == "let a = vma.stack;\n"


def test_a_file_by_two_names_is_fixed_once(tree: Path):
    (tree / "policies" / "r.thp").symlink_to("p.thp")
    (tree / "policies" / "out.thp").symlink_to(tree / "lib.thp")
    names = (str(tree / "policies" / "p.thp"), str(tree / "policies" / ".." / "policies"))
    result = invoke("lint", *names, "--fix", "--format", "concise")
    fixed = [line for line in result.output.splitlines() if "fix applied" in line]
    assert [line.rpartition("/")[2].partition(":")[0] for line in fixed] == ["p.thp", "q.thp"]
    assert (tree / "policies" / "r.thp").is_symlink()
    assert (tree / "lib.thp").read_text() == LIBRARY, "the link leads out of the directory"


@pytest.mark.parametrize(
    ("imported", "name", "help"),
    [
        ('import "l.thp";', "idle", "remove it, and what tests say of it"),
        ('import "l.thp" as l;', "l.idle", "remove it, and what tests say of it"),
        ('import "l.thp" (idle);', "idle", "remove it, and what tests say of it"),
        ('import "l.thp";', "mine", "remove it"),
    ],
)
def test_import_that_only_tests_need_stays(imported: str, name: str, help: str):
    main = (
        f"policy p;\n{imported}\nparam mine : int = 1;\n"
        "thp { deny when node.count == mine and vma.stack; otherwise pass; }\n"
        f'test "t" for thp {{ param {name} = 4; given vma.size = 2M; expect pass; }}\n'
    ).replace("node.count == mine and ", "vma.size == mine * 1B and ")
    files = {"p.thp": main, "l.thp": "param idle : int = 3;\n"}
    done = linted(files, "p.thp", "l.thp", fix=True)
    left = [(item.code, item.help) for item in done["p.thp"].result.findings]
    assert left == ([("PL023", help)] if name != "mine" else [])
    assert (imported in done["p.thp"].data.decode()) is (name != "mine")


def test_what_a_test_of_another_file_changes_stays():
    base = "policy base;\nparam idle : int = 3;\nthp { otherwise pass; }\n"
    main = (
        'policy p;\nimport "base.thp" as b;\nthp { otherwise pass; }\n'
        'test "t" for thp { param b.idle = 4; given vma.size = 2M; expect pass; }\n'
    )
    done = linted({"p.thp": main, "base.thp": base}, "p.thp", "base.thp", fix=True)
    assert done["base.thp"].data.decode() == base
    assert done["base.thp"].result.findings == ()
