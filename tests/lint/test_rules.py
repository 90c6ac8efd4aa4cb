"""Where each rule draws the line: what it reports, and what looks like it and is fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.lint import lint_text
from policyc.plan import nodes as n
from policyc.syntax.printer import format_policy
from tests.language.documents import ROOT
from tests.strategies.policies import policy_of_seed

EXAMPLES = sorted(ROOT.glob("examples/*.thp"))


def found(text: str, *profiles: str) -> list[str]:
    """The codes of the findings, in the order of the text."""
    result = lint_text(f"policy example;\n{text}\n", "test.thp", profiles=profiles)
    assert result.checked, result.findings
    return [finding.code for finding in result.findings]


def host(*settings: str) -> str:
    return f"host {{ {' '.join(f'{setting};' for setting in settings)} }}\n"


def thp(*rules: str) -> str:
    return f"thp {{ {' '.join(f'{rule};' for rule in rules)} }}"


def behind(*rules: str) -> str:
    return thp(*rules, "otherwise pass")


THRESHOLD = 'numa for cgroup "/c" { otherwise balance; hot_threshold = 200ms; }'
PASS = thp("otherwise pass")

CASES: dict[str, tuple[str, list[str]]] = {
    # PL001
    "no host block": (THRESHOLD, ["PL001"]),
    "normal mode": (host("numa.balancing = 1") + THRESHOLD, ["PL001"]),
    "tiering": (host("numa.balancing = 2") + THRESHOLD, []),
    "both modes": (host("numa.balancing = 3") + THRESHOLD, []),
    # PL002
    "shrinker, no limit": (host("thp.shrink_underused = on") + PASS, ["PL002"]),
    "shrinker off": (host("thp.shrink_underused = off") + PASS, []),
    "shrinker, 511": (
        host("thp.shrink_underused = on", "khugepaged.max_ptes_none = 511") + PASS,
        ["PL002"],
    ),
    "shrinker, 510": (
        host("thp.shrink_underused = on", "khugepaged.max_ptes_none = 510") + PASS,
        [],
    ),
    # PL003
    "limit of 0": (
        host("thp.enabled[64K] = inherit", "khugepaged.max_ptes_none = 0")
        + thp("otherwise allow 64K"),
        [],
    ),
    "limit of 1": (
        host("thp.enabled[64K] = inherit", "khugepaged.max_ptes_none = 1")
        + thp("otherwise allow 64K"),
        ["PL003"],
    ),
    "limit of 511": (
        host("thp.enabled[64K] = inherit", "khugepaged.max_ptes_none = 511")
        + thp("otherwise allow 64K"),
        [],
    ),
    "limit, and the size is never": (
        host("thp.enabled[64K] = never", "khugepaged.max_ptes_none = 409")
        + thp("otherwise allow 64K"),
        [],
    ),
    "limit, and smaller folios by faults": (
        host("thp.enabled[64K] = inherit", "khugepaged.max_ptes_none = 409")
        + thp("allow 64K when event is pagefault", "otherwise deny"),
        [],
    ),
    "limit, and the event is in a let": (
        host("thp.enabled[64K] = inherit", "khugepaged.max_ptes_none = 409")
        + "let fault = event != khugepaged;\n"
        + thp("allow 64K when fault", "otherwise deny"),
        [],
    ),
    # PL004
    "scoped shmem": (
        'thp for cgroup "/a" { allow pmd when vma.kind in { shmem, file }; otherwise pass; }',
        ["PL004"],
    ),
    "shmem and a set": (
        'set java : cgroup = { "/java" };\n'
        + thp("allow pmd when cgroup in java and vma.kind is shmem", "otherwise deny"),
        ["PL004"],
    ),
    "shmem and memory of the cgroup": (
        thp("allow pmd when memory.free > 1G and vma.kind is shmem", "otherwise deny"),
        ["PL004"],
    ),
    "shmem of everybody": (thp("allow pmd when vma.kind is shmem", "otherwise deny"), []),
    "scoped anon": (
        'thp for cgroup "/a" { allow pmd when vma.kind is anon; otherwise pass; }',
        [],
    ),
    # PL006
    "pmd, and a smaller rule below": (
        thp("allow pmd when vma.size >= 1G", "otherwise allow 64K"),
        ["PL006"],
    ),
    "pmd, and a size of the host": (
        host("thp.enabled[64K] = inherit") + thp("allow pmd when vma.size >= 1G", "otherwise pass"),
        ["PL006"],
    ),
    "pmd, and nothing smaller": (thp("allow pmd when vma.size >= 1G", "otherwise deny"), []),
    "pmd if it is requested": (
        thp("allow pmd when vma.size >= 1G and pmd in orders", "otherwise allow 64K"),
        [],
    ),
    "pmd if the highest is": (
        thp("allow pmd when highest(orders) >= pmd", "otherwise allow 64K"),
        [],
    ),
    "pmd for khugepaged": (
        thp("allow pmd when event is khugepaged", "otherwise allow 64K"),
        [],
    ),
    "pmd for shmem": (thp("allow pmd when vma.kind is shmem", "otherwise allow 64K"), []),
    # PL007
    "everybody's numa block": ("numa { otherwise balance; }", ["PL007"]),
    "cgroup with a set member below it": (
        (
            'set db : cgroup = { "/a/b" };\n'
            'numa for cgroup "/a" { balance when cgroup in db; otherwise off; }'
        ),
        ["PL007"],
    ),
    "neighbour with a longer name": (
        'numa for cgroup "/a" { otherwise balance; }\nnuma for cgroup "/ab" { otherwise off; }',
        [],
    ),
    # PL008
    "open range, sizes left to the machine": (thp("otherwise allow ..64K"), []),
    "open range, one size": (
        host("thp.enabled[64K] = inherit") + thp("otherwise allow ..64K"),
        ["PL008"],
    ),
    "open range, all sizes": (
        host(*(f"thp.enabled[{size}] = inherit" for size in ("16K", "32K", "64K")))
        + thp("otherwise allow ..64K"),
        [],
    ),
    "open range up to pmd": (
        host("thp.enabled[1M] = inherit") + thp("otherwise allow 1M.."),
        [],
    ),
    "open range up to a pmd that is off": (
        host("thp.enabled[1M] = inherit", "thp.enabled[2M] = never") + thp("otherwise allow 1M.."),
        ["PL008"],
    ),
    "closed range": (
        host("thp.enabled[64K] = inherit") + thp("otherwise allow 16K..64K"),
        [],
    ),
    "open range in a let": (
        "let small = ..64K;\n" + host("thp.enabled[64K] = inherit") + thp("otherwise allow small"),
        ["PL008"],
    ),
    "open range in a condition": (
        host("thp.enabled[64K] = inherit")
        + thp("allow 64K when ..64K overlaps orders", "otherwise deny"),
        [],
    ),
    # PL009
    "size that no rule allows": (
        host("thp.enabled[128K] = always") + thp("allow 64K when vma.stack", "otherwise deny"),
        ["PL009"],
    ),
    "size that a pass may allow": (
        host("thp.enabled[128K] = always") + thp("allow 64K when vma.stack", "otherwise pass"),
        [],
    ),
    "size in an inner block only, with meet": (
        host("thp.enabled[128K] = always")
        + thp("otherwise allow 64K")
        + '\nthp for cgroup "/a" { otherwise allow 128K; }',
        ["PL009"],
    ),
    "size in an inner block only, with nearest": (
        "combine thp by nearest;\n"
        + host("thp.enabled[128K] = always")
        + thp("otherwise allow 64K")
        + '\nthp for cgroup "/a" { otherwise allow 128K; }',
        [],
    ),
    "size taken out of all": (
        host("thp.enabled[64K] = always") + thp("otherwise allow orders - 64K"),
        ["PL009"],
    ),
    # PL010
    "mode never": (host("thp.enabled = never") + PASS, ["PL010"]),
    "mode never for numa": (
        host("thp.enabled = never") + 'numa for cgroup "/a" { otherwise off; }',
        [],
    ),
    # PL012
    "paths by case": (
        thp(
            'deny when cgroup under "/Java"',
            'allow 64K when cgroup == "/java"',
            "otherwise pass",
        ),
        ["PL012"],
    ),
    "tasks by case": (
        thp('allow pmd when task.comm in { "redis", "Redis" }', "otherwise pass"),
        ["PL012"],
    ),
    "declarations by case": (
        "let Small = 16K..64K;\nlet small = 16K..32K;\n"
        + thp("allow Small when vma.stack", "otherwise allow small"),
        ["PL012"],
    ),
    "end of a path": (
        thp('allow pmd when cgroup under { "/b", "/a/b" }', "otherwise pass"),
        ["PL012"],
    ),
    "part of a name": (thp('allow pmd when cgroup under { "/b", "/ab" }', "otherwise pass"), []),
    "one path twice": (
        thp('allow pmd when cgroup == "/a/b"', 'deny when cgroup under "/a/b"', "otherwise pass"),
        [],
    ),
    # PL013
    "share of 0%": ('thp for cgroup "/a" { rollout 0% by cgroup; otherwise deny; }', ["PL013"]),
    "share of 99.99%": ('thp for cgroup "/a" { rollout 99.99% by cgroup; otherwise deny; }', []),
    "share by a parameter": (
        (
            "param share : percent = 0% in 0%..100%;\n"
            'thp for cgroup "/a" { rollout share by cgroup; otherwise deny; }'
        ),
        [],
    ),
    # PL014
    "smaps in a list": (thp("allow pmd when event in { smaps }", "otherwise deny"), ["PL014"]),
    "not smaps": (thp("allow pmd when event != smaps", "otherwise deny"), []),
    # PL015
    "first node that there is not": (
        thp("deny when node.id == 1024", "otherwise pass"),
        ["PL015"],
    ),
    "last node": (thp("deny when node.id == 1023", "otherwise pass"), []),
    "swapped": (thp("deny when 5000000 <= task.pid", "otherwise pass"), ["PL015"]),
    "pid in a list": (thp("deny when task.pid in { 1, 5000000 }", "otherwise pass"), ["PL015"]),
    "half a page": (thp("deny when vma.size > 2K", "otherwise pass"), ["PL015"]),
    "a page": (thp("deny when vma.size > 4K", "otherwise pass"), []),
    "no node at all": (thp("deny when node.count < 1", "otherwise pass"), ["PL015"]),
    # PL016
    "collapse denied to some": (
        thp('deny when event is forced_collapse and task.comm == "a"', "otherwise pass"),
        ["PL016"],
    ),
    "all but collapse denied": (thp("deny when event != forced_collapse", "otherwise pass"), []),
    "collapse allowed": (thp("allow pmd when event is forced_collapse", "otherwise deny"), []),
    # PL017
    "14 bytes": (thp(f'deny when task.comm == "{"a" * 14}"', "otherwise pass"), []),
    "15 bytes in a set": (
        f'set tasks : string = {{ "{"a" * 15}" }};\n'
        + thp("deny when task.comm in tasks", "otherwise pass"),
        ["PL017"],
    ),
    "path of 15 bytes": (thp(f'deny when cgroup == "/{"a" * 14}"', "otherwise pass"), []),
    # PL018
    "pressure in a let, late": (
        "let squeezed = psi.memory.some.avg10 > 10%;\n"
        + thp("allow 64K when vma.locked", "deny when squeezed", "otherwise pass"),
        ["PL018"],
    ),
    "pressure first": (
        thp("deny when psi.memory.some.avg10 > 10%", "allow 64K when vma.locked", "otherwise pass"),
        [],
    ),
    "pressure after a deny": (
        thp("deny when vma.locked", "deny when psi.memory.some.avg10 > 10%", "otherwise pass"),
        [],
    ),
    "pressure for another event": (
        thp(
            "allow 64K when event is khugepaged",
            "deny when event is pagefault and psi.memory.some.avg10 > 10%",
            "otherwise pass",
        ),
        [],
    ),
    "pressure for another subtree": (
        thp(
            'allow 64K when cgroup under "/a"',
            'deny when cgroup under "/b" and psi.memory.some.avg10 > 10%',
            "otherwise pass",
        ),
        [],
    ),
    "pressure in another block": (
        thp("allow 64K when vma.locked", "otherwise pass")
        + '\nthp for cgroup "/a" { deny when psi.memory.some.avg10 > 10%; otherwise pass; }',
        [],
    ),
    "numa pressure, late": (
        (
            'numa for cgroup "/a" { balance when mm.rss > 1G; off when psi.memory.some.avg10 > 9%;'
            " otherwise pass; }"
        ),
        ["PL018"],
    ),
    # PL019
    "two of them": (
        thp("deny when vma.stack", "deny when vma.exec", "otherwise deny"),
        ["PL019", "PL019"],
    ),
    "with a label": (thp("stacks: deny when vma.stack", "otherwise deny"), []),
    "with another answer in between": (
        thp("deny when vma.stack", "allow pmd when vma.exec", "otherwise deny"),
        [],
    ),
    # PL024
    "behind an outer cgroup": (
        behind('deny when cgroup under "/a"', 'allow 64K when cgroup under "/a/b/c"'),
        ["PL024"],
    ),
    "in front of it": (
        behind('allow 64K when cgroup under "/a/b/c"', 'deny when cgroup under "/a"'),
        [],
    ),
    "beside it": (
        behind('deny when cgroup under "/a/b"', 'allow 64K when cgroup under "/a/bc"'),
        [],
    ),
    "behind the root": (
        behind(
            'deny when cgroup under "/" and vma.exec', 'allow 64K when vma.exec and cgroup == "/a"'
        ),
        ["PL024"],
    ),
    "the outer rule asks for more": (
        behind('deny when cgroup under "/a" and vma.exec', 'allow 64K when cgroup under "/a/b"'),
        [],
    ),
    "the inner rule asks for more": (
        (
            "let hot = vma.exec or vma.stack;\n"
            'let mine = cgroup under "/a/b";\n'
            + behind(
                'deny when hot and cgroup under "/a"', "allow 64K when mine and vma.locked and hot"
            )
        ),
        ["PL024"],
    ),
    "behind one of several": (
        behind(
            'deny when cgroup under "/a" or vma.exec',
            'allow 64K when cgroup under "/a/b" and vma.stack',
            'allow pmd when cgroup under "/a/c"',
        ),
        ["PL024", "PL024"],
    ),
    "too deep to be seen": (
        behind('deny when cgroup under "/a"', f'allow 64K when cgroup under "/a{"/b" * 32}"'),
        [],
    ),
    "exactly the outer one": (
        behind('deny when cgroup == "/a"', 'allow 64K when cgroup under "/a/b"'),
        [],
    ),
    # PL020
    "is false": (thp("deny when vma.stack is false", "otherwise pass"), ["PL020"]),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str):
    text, codes = CASES[name]
    assert found(text) == codes


def test_one_order_is_about_interfaces_that_are_named():
    text = thp("allow 16K..64K when vma.stack", "otherwise allow pmd")
    assert found(text) == []
    assert found(text, "thp-v9") == ["PL005"]
    assert found(thp("otherwise allow 16K..64K"), "mthp-v2") == []
    assert found(thp("otherwise allow all"), "thp-v9") == []


def test_leaf_only_is_not_said_where_another_hook_was_named():
    assert found("numa { otherwise balance; }", "thp-v9") == []
    assert found("numa { otherwise balance; }", "numab-rfc1") == ["PL007"]


def test_sizes_are_those_of_the_target():
    text = "policy a;\nhost { thp.enabled[256K] = inherit; }\nthp { otherwise allow ..1M; }"
    result = lint_text(text, "a.thp", target=n.Target(65536, 13))
    assert [finding.message for finding in result.findings] == [
        "..1M admits 512K and 1M, which the host block does not switch on"
    ]


def test_errors_of_the_checker_are_all_that_is_said():
    result = lint_text("policy a;\nthp { deny when vma.stack == true; }", "a.thp")
    assert not result.checked
    assert [finding.code for finding in result.findings] == ["PC0501"]


def test_only_the_selected_rules_apply():
    text = "policy a;\nlet b = 64K;\nthp { deny when vma.stack == true; otherwise pass; }"
    assert [f.code for f in lint_text(text, "a.thp", codes={"PL020"}).findings] == ["PL020"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_clean_or_explains_itself(path: Path):
    assert lint_text(path.read_bytes(), path.name).findings == ()


@pytest.mark.parametrize("seed", range(60))
def test_no_policy_is_too_strange(seed: int):
    generated = policy_of_seed(seed)
    text = format_policy(generated.file)
    profiles = ("thp-v7", "mthp-v2", "numab-rfc1")
    result = lint_text(text, "random.thp", profiles=profiles, target=generated.target)
    checked = check_text(text, "random.thp", profiles=["testrun"], target=generated.target)
    assert result.checked == (checked.plan is not None)
    assert all(finding.span.text for finding in result.findings)
