"""What is called added, removed, moved and changed; no solver is needed for that."""

from __future__ import annotations

from policyc.prove.structure import changes
from tests.prove.policies import plan_of


def told(old: str, new: str) -> list[tuple[str, str, str]]:
    return [(c.what, c.kind, c.name) for c in changes(plan_of(old), plan_of(new))]


def rules(old: str, new: str) -> list[tuple[str, str, str]]:
    return [(c.kind, c.old, c.new) for c in changes(plan_of(old), plan_of(new))]


def test_nothing_is_changed_by_layout() -> None:
    assert (
        told("deny when vma.stack; otherwise pass;", "deny   when  vma.stack;\notherwise pass;")
        == []
    )


def test_rules() -> None:
    stack, locked = "deny when vma.stack;", "allow pmd when vma.locked;"
    rest = "otherwise pass;"
    assert rules(f"{stack} {rest}", f"{stack} {locked} {rest}") == [("added", "", locked)]
    assert rules(f"{stack} {locked} {rest}", f"{locked} {rest}") == [("removed", stack, "")]
    moved = rules(f"{stack} {locked} {rest}", f"{locked} {stack} {rest}")
    assert [kind for kind, _, _ in moved] == ["moved"]
    assert rules(f"deny when vma.size > 1M; {rest}", f"deny when vma.size > 2M; {rest}") == [
        ("changed", "deny when vma.size > 1M;", "deny when vma.size > 2M;")
    ]


def test_a_label_says_which_rule_it_is() -> None:
    old = "big: deny when vma.size > 1G; otherwise pass;"
    new = "big: allow 64K when event is khugepaged; otherwise pass;"
    ((kind, _, _),) = rules(old, new)
    assert kind == "changed"


def test_declarations() -> None:
    old = """
        set a : string = { "x" };
        param p : percent = 10% in 0%..20%;
        let big = vma.size > 1G;
        thp { deny when big and task.comm in a and psi.cpu.some.avg10 > p; otherwise pass; }
    """
    new = old.replace('{ "x" }', '{ "x", "y" }').replace("..20%", "..30%").replace("1G", "2G")
    assert told(old, new) == [
        ("set", "changed", "a"),
        ("param", "changed", "p"),
        ("let", "changed", "big"),
    ]
    first = changes(plan_of(old), plan_of(new))
    assert (first[1].old, first[1].new) == ("percent = 10% in 0%..20%", "percent = 10% in 0%..30%")


def test_a_let_is_the_same_whatever_paths_there_are() -> None:
    old = 'let inside = cgroup under "/b"; thp { deny when inside; otherwise pass; }'
    new = 'thp for cgroup "/a" { otherwise pass; } ' + old
    assert told(old, new) == [
        ("block", "added", 'thp for cgroup "/a"'),
        ("rule", "added", 'thp for cgroup "/a"'),
    ]


def test_blocks_modes_and_settings() -> None:
    old = """
        combine thp by meet;
        host { thp.enabled = madvise; thp.enabled[64K] = inherit; khugepaged.scan_sleep = 10s; }
        thp { otherwise allow all; }
        thp for cgroup "/a" { rollout 10% by cgroup; otherwise deny; }
    """
    new = (
        old.replace("by meet", "by nearest")
        .replace("[64K] = inherit", "[64K] = always")
        .replace("10s", "1s")
        .replace("10%", "20%")
    )
    assert [(c.what, c.name, c.old, c.new) for c in changes(plan_of(old), plan_of(new))] == [
        ("host", "thp.enabled[64K]", "inherit", "always"),
        ("host", "khugepaged.scan_sleep", "10s", "1s"),
        ("combine", "thp", "meet", "nearest"),
        ("block", 'rollout of thp for cgroup "/a"', "10%", "20%"),
    ]
