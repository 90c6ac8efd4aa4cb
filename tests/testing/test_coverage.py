"""Coverage, counted by hand on policies that are small enough for it."""

from __future__ import annotations

from policyc.explain.spelling import spell_expression
from policyc.testing import Coverage
from tests.testing.policies import SMALL, ran


def _coverage(text: str, **options: object) -> Coverage:
    coverage = ran(text, coverage=True, **options).coverage
    assert coverage is not None
    return coverage


def _lacking(coverage: Coverage) -> list[tuple[int, str, str]]:
    return [
        (item.line, spell_expression(item.expr, coverage.plan), what)
        for item, what in coverage.lacking()
    ]


def test_rules_and_conditions():
    coverage = _coverage(SMALL)
    # Twice the requests get to the second rule, once it applies, once `otherwise` does.
    assert [coverage.rules[index].yes for index in (0, 1, 2)] == [0, 1, 1]
    # Of squeezed, vma.stack, under java and the size: false, false, both, true.
    tally = coverage.tally()
    assert (tally.rules, tally.all_rules, tally.outcomes, tally.all_outcomes) == (2, 3, 5, 8)
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
    assert coverage.tally().all_outcomes == 4
    assert _lacking(coverage) == [(3, "vma.stack", "never true")]


def test_free_memory_is_spelled_as_the_policy_does():
    text = """policy p; thp { deny when memory.free < 1G; otherwise pass; }
    test "much" for thp { given memory.free = 4G; expect pass; }"""
    assert _lacking(_coverage(text)) == [(1, "memory.free < 1G", "never true")]


def test_scope_that_does_not_hold_the_request_counts_nothing():
    text = """policy p;
    thp for cgroup "/a" { deny when vma.stack; otherwise pass; }
    test "elsewhere" for thp { given cgroup = "/b"; expect pass; }"""
    tally = _coverage(text).tally()
    assert (tally.rules, tally.outcomes) == (0, 0)


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
