"""Imports: which names a file sees, what becomes of them in the plan, and what can go wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from policyc.api import load
from policyc.check import CheckResult, check_text
from policyc.diagnostics.render import render_json
from policyc.emit.bpf import emit_bpf
from policyc.hooks.loader import profiles
from policyc.plan.promises import first_state
from policyc.runtime.requests import ThpRequest

COMMON = """\
set java : cgroup = { "/java" };
param ceiling : percent = 10% in 0%..50%;
let squeezed = cgroup.psi.memory.full.avg10 > ceiling;
let heap = vma.size >= least;
param least : size = 1G;
"""


def check(text: str, **files: str) -> CheckResult:
    """A policy main.thp checked with other files beside it, `__` in their names for `/`."""
    return _checked(text, files, library=False)


def check_library(text: str, **files: str) -> CheckResult:
    """The same for a file that may hold definitions only."""
    return _checked(text, files, library=True)


def _checked(text: str, files: dict[str, str], *, library: bool) -> CheckResult:
    contents = {f"{name.replace('__', '/')}.thp": content for name, content in files.items()}

    def read(path: str) -> bytes:
        if path not in contents:
            raise FileNotFoundError(2, "No such file or directory", path)
        return contents[path].encode()

    return check_text(text, "main.thp", read=read, library=library)


def codes(result: CheckResult) -> list[tuple[str, str, int]]:
    """The findings but for notes: code, file and line."""
    return [
        (item.code, item.span.source.name, item.span.line)
        for item in result.diagnostics
        if item.severity != "note"
    ]


def policy(*imports: str, condition: str) -> str:
    lines = "".join(f"{line}\n" for line in imports)
    return f"policy p;\n{lines}thp {{ deny when {condition}; otherwise pass; }}\n"


# -- names


@pytest.mark.parametrize(
    ("imports", "condition"),
    [
        ('import "common.thp";', "squeezed and cgroup under java"),
        ('import "common.thp" (squeezed, java);', "squeezed and cgroup under java"),
        ('import "common.thp" as c;', "c.squeezed and cgroup under c.java"),
        ('import "./sub/../common.thp";', "squeezed and cgroup in java"),
    ],
)
def test_the_ways_to_import(imports: str, condition: str) -> None:
    result = check(policy(imports, condition=condition), common=COMMON)
    assert codes(result) == []
    assert result.plan is not None
    assert result.imports == ("common.thp",)
    # What nothing uses is not in the plan; what an imported let needs is.
    assert [s.name.removeprefix("c_") for s in result.plan.sets] == ["java"]
    names = {p.name.removeprefix("c_").removeprefix("common_") for p in result.plan.params}
    assert names == {"ceiling"}
    assert {item.line for item in (*result.plan.sets, *result.plan.params)} == {2}


def test_what_is_not_listed_is_not_seen_but_works() -> None:
    result = check(policy('import "common.thp" (heap);', condition="heap"), common=COMMON)
    assert result.plan is not None
    assert [p.name for p in result.plan.params] == ["common_least"]
    result = check(
        policy('import "common.thp" (heap);', condition="vma.size > least and heap"), common=COMMON
    )
    assert codes(result) == [("PC0201", "main.thp", 3)]
    result = check(
        policy('import "common.thp" (heap);', condition="vma.size > common_least and heap"),
        common=COMMON,
    )
    assert codes(result) == [("PC0201", "main.thp", 3)]


def test_a_hidden_name_does_not_meet_one_of_the_policy() -> None:
    text = policy(
        'import "common.thp" (heap);', "let least = 8M;", condition="heap and vma.size > least"
    )
    result = check(text, common=COMMON)
    assert result.plan is not None
    deny = result.plan.rules[0].condition
    assert "'common_least'" in repr(result.plan.locals)
    assert "8388608" in repr(deny)


def test_an_imported_file_does_not_see_the_names_of_the_importer() -> None:
    text = policy('import "a.thp";', "let mine = 8M;", condition="big and vma.size > mine")
    result = check(text, a="let big = vma.size > mine;")
    assert codes(result) == [("PC0201", "a.thp", 1)]


def test_what_another_file_imports_is_not_brought_along() -> None:
    text = policy('import "a.thp";', condition="big and squeezed")
    files = {"a": 'import "sub/b.thp";\nlet big = squeezed;', "sub__b": COMMON}
    result = check(text, **files)
    assert codes(result) == [("PC0201", "main.thp", 3)]
    fine = check(policy('import "a.thp";', condition="big"), **files)
    assert fine.imports == ("sub/b.thp", "a.thp")
    assert fine.plan is not None


def test_a_file_that_two_others_import_is_there_once() -> None:
    files = {
        "a": 'import "c.thp"; let x = ceiling > 5%;',
        "b": 'import "c.thp" as deep; let y = deep.ceiling > 6%;',
        "c": COMMON,
    }
    result = check(policy('import "a.thp"; import "b.thp";', condition="x and y"), **files)
    assert result.plan is not None
    assert len(result.plan.params) == 1


def test_blocks_and_tests_of_an_imported_policy_stay_there() -> None:
    other = (
        "policy other; let big = vma.size > 8M; host { thp.enabled = never; }"
        "combine thp by nearest;"
        'thp for cgroup "/a" { deny when big; otherwise pass; } property "p" for thp: big;'
    )
    result = check(policy('import "other.thp";', condition="big"), other=other)
    assert result.plan is not None
    assert [rule.text for rule in result.plan.rules] == ["deny when big;", "otherwise pass;"]
    assert (result.plan.host, result.plan.properties, result.plan.paths) == ((), (), ())


def test_tests_change_imported_sets_by_their_names() -> None:
    text = policy('import "common.thp" as c;', condition="cgroup under c.java and c.squeezed")
    text += (
        'test "t" for thp { set c.java = { "/x" }; param c.ceiling = 20%;'
        ' given cgroup = "/x", cgroup.psi.memory.full.avg10 = 30%; expect deny; }'
    )
    result = check(text, common=COMMON)
    assert codes(result) == []
    assert result.plan is not None
    assert set(first_state(result.plan).params) == {"c_ceiling"}


# -- mistakes


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        ('import "no.thp";', {}, [("PC0213", "main.thp", 2)]),
        ('import "no.thp" as n;', {}, [("PC0213", "main.thp", 2)]),
        ('import "/etc/hosts";', {}, [("PC0213", "main.thp", 2)]),
        ('import "";', {}, [("PC0213", "main.thp", 2)]),
        ('import "main.thp";', {}, [("PC0214", "main.thp", 2)]),
        (
            'import "a.thp";',
            {"a": 'import "b.thp";', "b": '\nimport "a.thp";'},
            [("PC0214", "b.thp", 2)],
        ),
        ('import "a.thp";', {"a": "let x = ;"}, [("PC0102", "a.thp", 1)]),
        ('import "a.thp";', {"a": "let x = 3 + 2M;"}, [("PC0301", "a.thp", 1)]),
        ('import "a.thp" as c;', {"a": "let when = 3;"}, [("PC0203", "a.thp", 1)]),
        ('import "a.thp" as vma;', {"a": ""}, [("PC0203", "main.thp", 2), ("PC0110", "a.thp", 1)]),
        ('import "a.thp" as thp;', {"a": "let x = 3;"}, [("PC0203", "main.thp", 2)]),
        ('import "a.thp" (x);', {"a": "let y = 3;"}, [("PC0216", "main.thp", 2)]),
        (
            'import "a.thp"; import "b.thp";',
            {"a": "let x = vma.stack;", "b": "let x = vma.exec;"},
            [("PC0202", "main.thp", 2)],
        ),
        (
            'import "a.thp" (x); let x = 3;',
            {"a": "let x = vma.stack;"},
            [("PC0202", "main.thp", 2)],
        ),
        (
            'import "a.thp" (x); import "./a.thp" (y);',
            {"a": "let x = vma.stack; let y = 3;"},
            [("PC0215", "main.thp", 2)],
        ),
        (
            'import "a.thp" as c; import "b.thp" as c;',
            {"a": "let x = vma.stack;", "b": "let y = 3;"},
            [("PC0202", "main.thp", 2)],
        ),
    ],
)
def test_mistakes_are_told_where_they_are(
    text: str, files: dict[str, str], expected: list[tuple[str, str, int]]
) -> None:
    result = check(policy(text, condition="vma.stack"), **files)
    found = [item for item in codes(result) if item[0] not in ("PC0212", "PC0211")]
    assert found == expected
    assert result.plan is None


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ('import "no.thp";', "x and cgroup under y and vma.size > z.w"),
        ('import "no.thp" as n;', "n.x and cgroup in n.y"),
        ('import "no.thp" (x, y);', "x and task.comm in y"),
    ],
)
def test_names_that_a_failed_import_may_have_brought_are_no_mistakes(
    text: str, condition: str
) -> None:
    assert codes(check(policy(text, condition=condition))) == [("PC0213", "main.thp", 2)]


def test_findings_come_file_by_file_and_json_names_the_files() -> None:
    files = {"a": "let x = 3 + 2M;\nlet y = 2% + 1;", "b": "let z = 1s > 3;"}
    text = 'policy p; import "b.thp"; import "a.thp"; thp { deny when nothing; otherwise pass; }'
    result = check(text, **files)
    document = json.loads(render_json(result.diagnostics))
    assert [item["file"] for item in document["diagnostics"]] == [
        "main.thp",
        "a.thp",
        "a.thp",
        "b.thp",
    ]


def test_imports_that_nothing_uses() -> None:
    imports = ('import "common.thp" (squeezed, heap);', 'import "b.thp";')
    result = check(policy(*imports, condition="squeezed"), common=COMMON, b="let x = 3;")
    assert codes(result) == [("PC0217", "main.thp", 2), ("PC0217", "main.thp", 3)]


def test_too_many_levels() -> None:
    files = {f"f{level}": f'import "f{level + 1}.thp";' for level in range(60)}
    result = check(policy('import "f0.thp";', condition="vma.stack"), **files)
    assert [code for code, _, _ in codes(result)] == ["PC0213"]


# -- files of definitions


def test_a_file_of_definitions_is_checked_but_is_no_policy() -> None:
    fine = check_library(COMMON)
    assert (fine.is_fine, fine.plan, fine.diagnostics) == (True, None, ())
    refused = check(COMMON)
    assert codes(refused)[0] == ("PC0508", "main.thp", 1)
    broken = check_library("let x = 3 + 2M;")
    assert not broken.is_fine
    assert codes(broken) == [("PC0301", "main.thp", 1)]


# -- files on the disk


def test_paths_are_relative_to_the_file_that_imports(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.thp").write_text('import "b.thp";\nlet big = vma.size > least;')
    (tmp_path / "sub" / "b.thp").write_text("param least : size = 8M;")
    main = tmp_path / "main.thp"
    main.write_text(policy('import "sub/a.thp" as a;', condition="a.big"))
    loaded = load(main)
    request = ThpRequest(orders=1 << 9, vma_size=9 << 20)
    assert loaded.decide(request).orders == 0
    loaded.state.params["b_least"] = 10 << 20
    assert loaded.decide(request).orders == 1 << 9
    assert "param_b_least" in emit_bpf(loaded.plan, profiles()["thp-v7"])


def test_links_do_not_hide_circles_and_pipes_do_not_block(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe.thp")
    main = tmp_path / "main.thp"
    main.write_text(
        policy(
            'import "loop/loop/main.thp"; import "pipe.thp"; import "loop";', condition="vma.stack"
        )
    )
    result = check_text(main.read_bytes(), str(main))
    assert [code for code, _, _ in codes(result)] == ["PC0214", "PC0213", "PC0213"]
