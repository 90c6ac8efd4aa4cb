"""Coverage, counted by hand on policies that are small enough for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.explain.spelling import spell_expression
from policyc.plan import nodes as n
from policyc.testing import Coverage, run
from policyc.testing.coverage import Share, Tally
from policyc.testing.runner import Options
from tests.testing.policies import SMALL, plan_of, ran


def _coverage(text: str, **options: object) -> Coverage:
    coverage = ran(text, coverage=True, **options).coverage
    assert coverage is not None
    return coverage


def _coverage_of(plan: n.Plan | None) -> Coverage:
    assert plan is not None
    coverage = run(plan, Options(coverage=True)).coverage
    assert coverage is not None
    return coverage


def _lacking(coverage: Coverage) -> list[tuple[int, str, str]]:
    return [
        (
            item.line,
            spell_expression(item.condition.expr, coverage.plan) if item.condition else "",
            item.what,
        )
        for item in coverage.lacking()
    ]


def test_rules_and_conditions():
    coverage = _coverage(SMALL)
    # Twice the requests get to the second rule, once it applies, once `otherwise` does.
    assert [coverage.rules[index].yes for index in (0, 1, 2)] == [0, 1, 1]
    # Of squeezed, vma.stack, under java and the size: false, false, both, true.
    tally = coverage.tally()
    assert (tally.rules, tally.conditions) == (Share(2, 3), Share(5, 8))
    assert tally.percent == 100 * 7 / 11
    assert _lacking(coverage) == [
        (3, "psi.memory.full.avg10 > 10%", "never true"),
        (5, "vma.stack", "never true"),
        (6, "vma.size >= 8M", "never false"),
    ]


def test_operand_that_is_not_needed_is_not_looked_at():
    text = """policy p; thp {
    deny when vma.stack or vma.exec;
    allow pmd when vma.locked and vma.size > 1M;
    otherwise pass; }
    test "stack" for thp { given vma.stack = true; expect deny; }"""
    assert _lacking(_coverage(text)) == [
        (2, "vma.stack", "never false"),
        (2, "vma.exec", "never looked at"),
        (3, "vma.locked", "never looked at"),
        (3, "vma.size > 1M", "never looked at"),
    ]


def test_let_is_counted_once_where_it_is_written():
    text = """policy p;
    let large = vma.size > 1M;
    thp { deny when large and vma.stack; allow pmd when not large; otherwise pass; }
    test "one" for thp { given vma.size = 2M; expect pass; }
    test "two" for thp { given vma.size = 4K; expect allow pmd; }"""
    coverage = _coverage(text)
    assert coverage.tally().conditions.whole == 4
    assert _lacking(coverage) == [(3, "vma.stack", "never true")]


def test_free_memory_is_spelled_as_the_policy_does():
    text = """policy p; thp { deny when memory.free < 1G; otherwise pass; }
    test "much" for thp { given memory.free = 4G; expect pass; }"""
    assert _lacking(_coverage(text)) == [(1, "memory.free < 1G", "never true")]


def test_scope_that_does_not_hold_the_request_counts_nothing_inside():
    text = """policy p;
    thp for cgroup "/a" { deny when vma.stack; otherwise pass; }
    test "elsewhere" for thp { given cgroup = "/b"; expect pass; }"""
    coverage = _coverage(text)
    tally = coverage.tally()
    assert (tally.rules, tally.conditions, tally.scopes) == (Share(0, 2), Share(0, 2), Share(1, 2))
    assert _lacking(coverage) == [
        (2, "", "never inside the scope"),
        (2, "vma.stack", "never looked at"),
    ]


def test_scope_that_holds_every_request_of_the_tests():
    text = """policy p;
    numa for cgroup "/a" { balance when node.count > 1; otherwise off; hot_threshold = 2s; }
    test "inside" for numa {
        given cgroup = "/a/b", node.count = 2;
        expect balance;
        given cgroup = "/a", node.count = 1;
        expect off;
    }"""
    coverage = _coverage(text)
    assert _lacking(coverage) == [(2, "", "never outside the scope")]
    assert coverage.tally().percent == 100 * 5 / 6


ROLLOUT = """policy p;
param share : percent = 5% in {range};
thp{scope} {{ rollout share by cgroup; otherwise deny; }}
test "t" for thp {{
    given cgroup = "/a", cgroup.id = 7;
    param share = {value};
    expect {expected};
    given orders = all;
    expect pass;
}}"""


def test_rollouts_admit_and_refuse():
    inside = {"scope": ' for cgroup "/a"', "range": "0%..100%"}
    coverage = _coverage(ROLLOUT.format(**inside, value="100%", expected="deny"))
    assert _lacking(coverage) == [(3, "", "never refused by the rollout")]
    coverage = _coverage(ROLLOUT.format(**inside, value="0%", expected="pass"))
    assert _lacking(coverage) == [(3, "", "never admitted by the rollout")]
    assert coverage.tally().rules == Share(0, 1)
    # Without a scope, requests without a cgroup are refused, too.
    everywhere = {"scope": "", "range": "0%..100%"}
    coverage = _coverage(ROLLOUT.format(**everywhere, value="100%", expected="deny"))
    assert _lacking(coverage) == []
    assert coverage.tally().percent == 100


COMBINED = """policy p;
{combine}
thp {{ deny when vma.stack; otherwise {outer}; }}
thp for cgroup "/a" {{ allow pmd when vma.exec; otherwise {inner}; }}
test "apart" for thp {{
    given cgroup = "/b", vma.stack = true;
    expect deny;
    given cgroup = "/b";
    expect {outside};
}}"""


def test_opinions_that_are_combined():
    words = {"combine": "combine thp by nearest;", "outer": "allow all", "outside": "allow all"}
    coverage = _coverage(COMBINED.format(**words, inner="pass"))
    assert (4, "", "never two blocks with an opinion to combine by nearest") in _lacking(coverage)
    text = COMBINED.format(**words, inner="pass").replace(
        "expect deny;", 'expect deny; given cgroup = "/a", vma.exec = true; expect allow pmd;'
    )
    assert _coverage(text).tally().combined == Share(1, 1)
    # Where both pass at times, nobody knows if they ever have opinions at once.
    words |= {"outer": "pass", "outside": "pass"}
    assert _coverage(COMBINED.format(**words, inner="pass")).tally().combined == Share(0, 0)
    assert _coverage(COMBINED.format(**words, inner="deny")).tally().combined == Share(0, 1)


def test_scopes_that_have_nothing_in_common_are_not_combined():
    text = """policy p;
    thp for cgroup "/a" { otherwise deny; }
    thp for cgroup "/b" { otherwise deny; }
    test "t" for thp { given cgroup = "/a"; expect deny; given cgroup = "/b"; expect deny; }"""
    coverage = _coverage(text)
    assert coverage.tally().combined == Share(0, 0)
    assert coverage.tally().percent == 100


IMPOSSIBLE = [
    # `otherwise` below two rules that are never both false, and the second one's condition
    """policy p; thp { deny when vma.stack; allow pmd when not vma.stack; otherwise deny; }
    test "t" for thp { given vma.stack = true; expect deny; given vma.stack = false;
    expect allow pmd; }""",
    # a condition that an earlier rule has settled
    """policy p; thp { deny when vma.size < 1M; allow all when vma.size < 1M or vma.exec;
    otherwise pass; }
    test "t" for thp { given vma.size = 4K; expect deny; given vma.size = 2M; expect pass;
    given vma.size = 2M, vma.exec = true; expect allow all; }""",
    # what the scope says, through a let
    """policy p; let mine = cgroup under "/a" or vma.stack;
    thp for cgroup "/a" { deny when vma.exec and mine; otherwise pass; }
    test "t" for thp { given cgroup = "/a", vma.exec = true; expect deny;
    given cgroup = "/a"; expect pass; given cgroup = "/b"; expect pass; }""",
    # comparisons that the range of a parameter decides
    """policy p; param n : size = 2M in 1M..4M; let large = n >= 1M;
    thp { deny when large and vma.size >= n; otherwise pass; }
    test "t" for thp { given vma.size = 8M; expect deny; given vma.size = 4K; expect pass; }""",
    # a rollout that is everywhere
    """policy p; thp for cgroup "/a" { rollout 100% by cgroup; otherwise deny; }
    test "t" for thp { given cgroup = "/a", cgroup.id = 3; expect deny;
    given cgroup = "/b", cgroup.id = 3; expect pass; }""",
]


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_cannot_be_does_not_count(text: str):
    coverage = _coverage(text)
    assert [rule.text for rule in coverage.plan.rules if not coverage.rules[rule.index].yes][
        : len(coverage.countable.rules) - coverage.tally().rules.reached
    ] == []
    assert _lacking(coverage) == []
    assert coverage.tally().percent == 100


def test_conditions_in_operands():
    text = """policy p;
    let large = vma.size > 1M;
    thp { deny when large == vma.stack; otherwise pass; }
    test "t" for thp { given vma.size = 2M, vma.stack = true; expect deny; }"""
    assert _lacking(_coverage(text)) == [
        (2, "vma.size > 1M", "never false"),
        (3, "large == vma.stack", "never false"),
    ]


def test_lets_that_no_rule_uses_do_not_count():
    text = """policy p;
    let large = vma.size > 1M;
    thp { otherwise deny; }
    property "x" for thp: large implies result == none;"""
    coverage = _coverage(text)
    assert coverage.tally().conditions == Share(0, 0)


def test_lets_that_share_lets_take_no_time():
    lets = ["let x0 = vma.size > 1M;"]
    lets += [f"let x{i} = x{i - 1} == vma.stack or x{i - 1} == vma.exec;" for i in range(1, 30)]
    text = "policy p; " + " ".join(lets) + " thp { deny when x29; otherwise pass; }"
    text += ' test "t" for thp { given vma.size = 2M; expect deny; }'
    plan = plan_of(text)
    assert Coverage(plan).tally().conditions == Share(0, 118)


def test_conditions_of_other_files_are_named_with_their_file(tmp_path: Path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "common.thp").write_text(
        "\nlet large = vma.size > 1M;\nlet odd = vma.exec;\n", "utf-8"
    )
    policy = tmp_path / "a.thp"
    policy.write_text(
        """policy a; import "lib/common.thp" as common;
        thp { deny when common.large; otherwise pass; }
        test "t" for thp { given vma.size = 2M; expect deny; }""",
        "utf-8",
    )
    coverage = _coverage_of(check_text(policy.read_bytes(), str(policy), profiles=["testrun"]).plan)
    (lack,) = coverage.lacking()
    assert (lack.file, lack.line) == (str(tmp_path / "lib" / "common.thp"), 2)
    assert lack.what == "never false"
    assert coverage.tally() == Tally(rules=Share(1, 2), conditions=Share(1, 2))


def test_examples_are_counted_apart():
    report = ran(SMALL, coverage=True, examples_count=True)
    assert report.coverage is not None
    assert report.everything is not None
    assert report.coverage.tally() == _coverage(SMALL).tally()
    assert report.everything.tally().percent == 100


def test_nothing_to_reach_is_all():
    text = (
        'policy p; thp { otherwise deny; } test "x" for thp { given vma.size = 1M; expect deny; }'
    )
    assert _coverage(text).tally().percent == 100
