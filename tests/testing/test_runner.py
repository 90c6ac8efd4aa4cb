"""Failing tests and properties say what was given, expected and got, and which rule decided."""

from __future__ import annotations

import pytest

from policyc.testing.report import Kind, Verdict
from tests.testing.policies import ROOT, SMALL, ran

WRONG_SIZE = SMALL.replace("cgroup under java and vma.size >= 8M", "cgroup under java")


def test_all_passes():
    report = ran(SMALL)
    assert [(result.kind, result.verdict, result.checked) for result in report.results[:2]] == [
        (Kind.TEST, Verdict.PASSED, 1),
        (Kind.TEST, Verdict.PASSED, 1),
    ]
    assert report.results[2].verdict is Verdict.PASSED
    assert report.results[2].checked == 200


def test_failure_of_a_test():
    report = ran(SMALL.replace("expect allow pmd", "expect allow 64K"))
    (failure,) = report.results[0].failures
    assert failure.line == 11
    assert failure.given == ("cgroup = /java/a", "vma.size = 8M")
    assert failure.state == ()
    assert (failure.expected, failure.got) == ("allow 64K", "allow 2M")
    assert failure.decided_by == (
        "policy.thp:6  allow pmd when cgroup under java and vma.size >= 8M;"
    )


def test_failure_says_what_is_in_the_sets_then():
    report = ran(SMALL.replace('set java = { "/other" };', 'set java = { "/java/a", "/x y" };'))
    (failure,) = report.results[1].failures
    assert failure.state == ('set java = { "/java/a", "/x y" }',)
    assert failure.command == (
        "policyc decide policy.thp --hook thp --set java=/java/a --set 'java=/x y' "
        "cgroup=/java/a vma.size=8M"
    )


def test_property_shows_the_smallest_request():
    report = ran(WRONG_SIZE)
    (failure,) = report.results[2].failures
    assert failure.given == ("orders = all", "cgroup = /java")
    assert failure.state == ()
    assert failure.line == 18


def test_property_is_quoted_whole():
    text = 'policy p; thp { otherwise allow all; } property "x" for thp: not (pmd in result);'
    assert ran(text).results[0].failures[0].text == "not (pmd in result)"


def test_stop_at_the_first_failure():
    report = ran(SMALL.replace("expect allow pmd", "expect deny"), stop=True)
    assert [result.verdict for result in report.results] == [Verdict.FAILED]


def test_without_hypothesis_properties_are_not_run():
    report = ran(SMALL, properties=False)
    assert [result.verdict for result in report.results] == [
        Verdict.PASSED,
        Verdict.PASSED,
        Verdict.NOT_RUN,
    ]


def test_same_seed_same_requests():
    seen = [ran(WRONG_SIZE, seed=seed) for seed in (3, 3)]
    assert seen[0].results[2].failures == seen[1].results[2].failures
    assert seen[0].results[2].checked == seen[1].results[2].checked


@pytest.mark.parametrize("examples", [1, 9, 10, 25])
def test_as_many_examples_as_asked_for(examples: int):
    assert ran(SMALL, examples=examples).results[2].checked == examples


#: For each example with tests: the text that is replaced, and what makes a rule wrong.
MUTANTS = [
    ("fleet", "deny when squeezed or not has cgroup", "deny when not has cgroup"),
    ("fleet", "allow pmd when cgroup under java and event is", "allow all when event is"),
    ("fleet", "memory.free >= 4G", "memory.free >= 4T"),
    ("fleet", "allow 16K..64K | pmd when", "allow 16K..64K when"),
    ("fleet", "rollout canary", "rollout 100%"),
    ("fleet", 'balance when task.comm == "postgres"', 'balance when task.comm == "psql"'),
    ("fleet", "hot_threshold = 200ms;\n}\n\nprop", "hot_threshold = 300ms;\n}\n\nprop"),
    ("fleet", "allow all when vma.advice is hugepage", "allow pmd when vma.advice is hugepage"),
    ("latency-tiers", "vma.size < 1M", "vma.size < 256K"),
    ("latency-tiers", "allow 16K..64K when", "allow 16K..2M when"),
    ("latency-tiers", "allow pmd when pmd in orders", "allow 64K | pmd when pmd in orders"),
    ("latency-tiers", "otherwise allow 64K..", "otherwise allow 32K.."),
    ("whitelist", "allow all when cgroup under", "allow pmd when cgroup under"),
    ("whitelist", "otherwise deny", "otherwise allow 64K"),
    ("khugepaged-only", "event in { khugepaged, smaps }", "event in { pagefault, smaps }"),
    ("khugepaged-only", "allow pmd when cgroup under services and", "allow pmd when"),
    ("khugepaged-only", "otherwise deny", "otherwise allow ..64K"),
    ("hot-threshold", "hot_threshold = cache_threshold", "hot_threshold = 2s"),
    ("hot-threshold", "hot_threshold = 100ms", "hot_threshold = 20s"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), MUTANTS)
def test_wrong_rule_of_an_example_is_found(name: str, right: str, wrong: str):
    text = (ROOT / "examples" / f"{name}.thp").read_text("utf-8")
    assert text.count(right) >= 1, "the example has changed; change this too"
    assert not ran(text).count(Verdict.FAILED)
    mutated = text.replace(right, wrong, 1)
    # A parameter that nothing uses any more is a warning, no error.
    assert ran(mutated).count(Verdict.FAILED)


ROLLED_OUT = """policy p;
thp for cgroup "/a" { rollout %s by cgroup; otherwise deny; }
property "p" for thp: %s;
"""


@pytest.mark.parametrize("share", ["50%", "0.01%", "100%"])
def test_counterexample_says_which_cgroup_a_rollout_admits(share: str):
    text = ROLLED_OUT % (share, "result == orders")
    (failure,) = ran(text, examples=1000).results[0].failures
    assert failure.rule is not None
    assert any(line.startswith("cgroup.id = ") for line in failure.given)
    assert "cgroup.id=" in failure.command


def test_counterexample_leaves_out_the_number_of_a_cgroup_that_makes_no_difference():
    text = ROLLED_OUT % ("50%", 'not cgroup under "/b"')
    (failure,) = ran(text).results[0].failures
    assert failure.given == ("orders = all", "cgroup = /b")
    assert "cgroup.id" not in failure.command
