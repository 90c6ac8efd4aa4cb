"""The table driver and lark must read every text alike: same tree, or both none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from lark import Lark
from lark.exceptions import UnexpectedInput

from policyc.diagnostics.model import Diagnostics
from policyc.source import Source
from policyc.syntax.build import TreeBuilder
from policyc.syntax.driver import Driver
from policyc.syntax.printer import format_policy
from policyc.syntax.tables import grammar_text, load_tables
from policyc.syntax.tree import PolicyFile

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*.thp"))

LIBRARY = """\
import "a.thp";
set a : cgroup = { };
param p : size = 1M;
let r = a implies b implies c;
"""

FULL = """\
policy full;  # every production once, the optional parts with and without
import "a.thp"; import "b/c.thp" as as; import "../d.thp" (x, import,);
import "e.thp" (y);
set a : cgroup = { };
set b : string = { "x", "y\\"z", };
param p : percent = 10% in 0%..100%;
param q : bool = true;
let r = not (pmd in orders and 16K..64K overlaps orders) or has cgroup;
let s = ..64K | order 4..pmd - 2M | 128K..;
let t = highest(orders) >= 64K and vma.size % 2M == 1B * 3 + 0x10 / 2;
combine thp by meet;
host { thp.defrag = defer+madvise; thp.enabled[64K] = inherit; khugepaged.scan_sleep = 10s; }
host { }
thp { one: allow s when r; deny when event in { khugepaged, smaps, }; last: otherwise pass; }
thp for cgroup "/a" { rollout 5% by cgroup; otherwise deny; }
numa for cgroup "/b" {
    rollout p by cgroup;
    hot_threshold = 200ms;
    balance when task.comm in b and t;
    off when cgroup under a or cgroup == "/b/c" or q;
    otherwise off;
}
test "empty" for numa { }
test "all \\"steps\\"" for thp {
    given cgroup = "/a", event = khugepaged, orders = all - pmd | 64K,;
    given vma.size = 2M;
    set a = { }; set b = { "x", };
    param p = 5%; param q = true;
    expect allow ..64K; expect deny; expect pass; expect balance, hot_threshold = 1s; expect off;
}
property "p" for thp: not r implies a or b implies result == none;
"""

BROKEN = [
    "set a : cgroup = { }; thp { otherwise pass; }",
    'policy x; import "a" as b (c);',
    'policy x; import "a" ();',
    'policy x; test "a" for thp { given; }',
    'policy x; test "a" for thp { expect pass, hot_threshold; }',
    "policy x; test a for thp { }",
    'policy x; property "a" for thp { x }',
    "policy x",
    "policy x; thp { allow all otherwise deny; }",
    "policy x; thp { deny when a < b < c; otherwise pass; }",
    "policy x; thp { deny whenever a; otherwise pass; }",
    "policy x; thp { deny when 64Kx > 1; otherwise pass; }",
    "policy x; set when : cgroup = { }; thp }",
    'policy x; thp for cgroup "/a',
    "policy x; thp { deny when a == 10 %; otherwise pass; }",
]


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver(load_tables())


def by_driver(driver: Driver, text: str) -> str | None:
    source = Source("text", text)
    tree = driver.parse(text, TreeBuilder(source, Diagnostics()))
    return None if tree is None else format_policy(tree)


def by_lark(text: str) -> str | None:
    builder = TreeBuilder(Source("text", text), Diagnostics())
    parser = Lark(grammar_text(), parser="lalr", lexer="contextual", transformer=builder)
    try:
        return format_policy(cast(PolicyFile, parser.parse(text)))
    except UnexpectedInput:
        return None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_read_alike(driver: Driver, path: Path) -> None:
    text = path.read_text("utf-8")
    read = by_driver(driver, text)
    assert read is not None
    assert read == by_lark(text)


@pytest.mark.parametrize("text", [FULL, LIBRARY], ids=["policy", "library"])
def test_every_production_is_read_alike(driver: Driver, text: str) -> None:
    read = by_driver(driver, text)
    assert read is not None
    assert read == by_lark(text)
    assert by_driver(driver, read) == read


@pytest.mark.parametrize("text", BROKEN)
def test_both_refuse(driver: Driver, text: str) -> None:
    assert by_driver(driver, text) is None
    assert by_lark(text) is None


def test_words_of_the_grammar_are_names_where_no_keyword_can_stand(driver: Driver) -> None:
    text = "policy policy; let thp = cgroup; thp { deny when thp; otherwise pass; }"
    read = by_driver(driver, text)
    assert read is not None
    assert read == by_lark(text)


def test_a_damaged_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = load_tables()
    (file,) = (tmp_path / "policyc").iterdir()
    assert json.loads(file.read_text())["start"] == made.start
    for damage in ("", "{}", "[1, 2]", '{"start": 1}'):
        file.write_text(damage)
        assert len(load_tables().states) == len(made.states)  # lark numbers them as it likes
        assert load_tables().rules


def test_an_unusable_cache_directory_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert load_tables().rules
