"""What is proved of small policies and what is refuted, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")

from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.evaluate import evaluate
from policyc.plan.promises import property_holds
from policyc.plan.types import INT, SIZE, STRING, U64_MAX
from policyc.prove.claims import Claim, claims
from policyc.prove.inputs import Inputs
from tests.prove.policies import PMD, RESULT_ORDERS, condition_of, implies, plan_of, promising

THP, NUMA = n.HookName.THP, n.HookName.NUMA


def proved(plan: n.Plan, hook: n.HookName = THP, names: Sequence[str] = ()) -> list[Claim]:
    return list(claims(plan, hook, [profiles()[name] for name in names], 10))


def of_property(plan: n.Plan, hook: n.HookName = THP) -> Claim:
    return next(claim for claim in proved(plan, hook) if claim.subject == "property")


def of_rules(text: str) -> list[Claim]:
    return [claim for claim in proved(plan_of(text)) if claim.subject == "rule"]


def broken(plan: n.Plan, claim: Claim) -> dict[str, Any]:
    """What is stated of the counterexample, which breaks the property in the evaluator."""
    found = claim.counterexample
    assert claim.verdict == "refuted"
    assert found is not None
    hook = plan.thp if claim.hook is THP else plan.numa
    assert hook is not None
    outcome = evaluate(plan, hook, found.values, found.state)
    assert outcome == claim.outcome
    (promise,) = plan.properties
    assert not property_holds(plan, promise, found.values, outcome, found.state)
    return {name: found.values[name] for name in found.stated}


# -- properties


def test_a_property_that_holds() -> None:
    plan = plan_of("deny when vma.stack; otherwise allow all;")
    denied = n.Compare(n.CompareOperator.EQUAL, RESULT_ORDERS, n.Const(PMD.type, 0))
    assert of_property(promising(plan, implies(condition_of(plan), denied))).verdict == "proved"


def test_a_property_that_does_not_hold_has_the_smallest_counterexample() -> None:
    plan = plan_of("deny when vma.size >= 8M and mm.rss > 1G; otherwise allow all;")
    never = n.Not(n.Compare(n.CompareOperator.EQUAL, RESULT_ORDERS, n.Const(PMD.type, 0)))
    some = n.Overlaps(n.Attribute(PMD.type, "orders"), n.Const(PMD.type, 0x3FC))
    promised = promising(plan, implies(some, never))
    given = broken(promised, of_property(promised))
    assert given == {"vma.size": 8 << 20, "mm.rss": (1 << 30) + 1}


def test_a_property_that_needs_saturation() -> None:
    """With sums that wrap there would be a sum below one of its parts."""
    plan = plan_of("deny when vma.size + mm.rss < vma.size; otherwise allow all;")
    promised = promising(plan, n.Not(condition_of(plan)))
    assert of_property(promised).verdict == "proved"


def test_saturation_itself_is_found() -> None:
    plan = plan_of("deny when vma.size * 4 == vma.size; otherwise allow all;")
    zero = n.Compare(n.CompareOperator.EQUAL, n.Attribute(SIZE, "vma.size"), n.Const(SIZE, 0))
    promised = promising(plan, implies(condition_of(plan), zero))
    assert broken(promised, of_property(promised)) == {"vma.size": U64_MAX}


def test_division_by_a_value_that_is_zero() -> None:
    plan = plan_of("deny when 10 / node.id > 20; otherwise allow all;")
    assert of_property(promising(plan, n.Not(condition_of(plan)))).verdict == "proved"


def test_a_property_with_absent_values() -> None:
    """`!=` and `==` are both false for an absent name."""
    plan = plan_of(
        'deny when task.comm == "java"; pass when task.comm != "java"; otherwise allow all;'
    )
    either = n.Or((condition_of(plan), condition_of(plan, 1)))
    promised = promising(plan, either)
    assert broken(promised, of_property(promised)) == {}
    has = n.Has(n.Attribute(STRING, "task.comm"))
    assert of_property(promising(plan, implies(has, either))).verdict == "proved"


def test_what_is_read_from_a_cgroup_is_absent_without_one() -> None:
    plan = plan_of("deny when cgroup.depth >= 0 and not has cgroup; otherwise pass;")
    assert of_property(promising(plan, n.Not(condition_of(plan)))).verdict == "proved"


ROLLOUT = """
    thp for cgroup "/a" { rollout 25% by cgroup; otherwise deny; }
    thp for cgroup "/b" { deny when cgroup under "/a"; otherwise allow all; }
"""


def test_a_property_with_a_rollout() -> None:
    """Some cgroups under /a are in, so that /a is denied; some are not."""
    plan = plan_of(ROLLOUT)
    inside = n.UnderPath(n.Attribute(n.Attribute(SIZE, "").type, "cgroup"), plan.paths.index("/a"))
    keeps = n.Contains(PMD, RESULT_ORDERS)
    asks = n.And((inside, n.Contains(PMD, n.Attribute(PMD.type, "orders"))))
    for conclusion in (keeps, n.Not(keeps)):
        promised = promising(plan, implies(asks, conclusion))
        given = broken(promised, of_property(promised))
        assert given["cgroup"] == "/a"
        assert given["cgroup.id"] < 100


def test_a_whole_rollout_takes_every_cgroup() -> None:
    plan = plan_of(ROLLOUT.replace("25%", "100%"))
    inside = n.UnderPath(n.Attribute(SIZE, "cgroup"), plan.paths.index("/a"))
    denied = n.Compare(n.CompareOperator.EQUAL, RESULT_ORDERS, n.Const(PMD.type, 0))
    assert of_property(promising(plan, implies(inside, denied))).verdict == "proved"


def test_the_whole_range_of_a_parameter_counts() -> None:
    text = """
        param limit : size = 16M in {low}..1G;
        thp {{ deny when vma.size < limit; otherwise allow all; }}
    """
    small = n.Compare(n.CompareOperator.LESS, n.Attribute(SIZE, "vma.size"), n.Const(SIZE, 4096))
    denied = n.Compare(n.CompareOperator.EQUAL, RESULT_ORDERS, n.Const(PMD.type, 0))
    assert (
        of_property(promising(plan_of(text.format(low="4K")), implies(small, denied))).verdict
        == "proved"
    )
    promised = promising(plan_of(text.format(low="0B")), implies(small, denied))
    claim = of_property(promised)
    broken(promised, claim)
    assert claim.counterexample is not None
    assert claim.counterexample.state.params["limit"] < 4096


def test_members_of_a_set_are_free_but_few_are_changed() -> None:
    plan = plan_of("""
        set named : string = { "java" };
        set other : string = { "ruby" };
        thp { deny when task.comm in named and task.comm in other; otherwise allow all; }
    """)
    promised = promising(plan, n.Not(condition_of(plan)))
    claim = of_property(promised)
    assert broken(promised, claim) == {"task.comm": b"java"}
    assert claim.counterexample is not None
    assert claim.counterexample.state.sets == {
        "named": frozenset({b"java"}),
        "other": frozenset({b"java", b"ruby"}),
    }


def test_who_is_in_a_set_is_under_it() -> None:
    plan = plan_of("""
        set apps : cgroup = { };
        thp { deny when cgroup in apps and not (cgroup under apps); otherwise pass; }
    """)
    assert of_property(promising(plan, n.Not(condition_of(plan)))).verdict == "proved"


def test_a_cgroup_far_below_is_not_under() -> None:
    """The 32nd level above is not looked at."""
    plan = plan_of('deny when cgroup under "/a" and cgroup.depth > 32; otherwise pass;')
    assert of_property(promising(plan, n.Not(condition_of(plan)))).verdict == "proved"
    plan = plan_of('deny when cgroup under "/a" and cgroup.depth > 31; otherwise pass;')
    promised = promising(plan, n.Not(condition_of(plan)))
    assert broken(promised, of_property(promised)) == {"cgroup": "/a" + "/other" * 31}


def test_paths_that_begin_alike_are_not_above_each_other() -> None:
    plan = plan_of('deny when cgroup under "/a/b" and cgroup under "/a/bc"; otherwise pass;')
    assert of_property(promising(plan, n.Not(condition_of(plan)))).verdict == "proved"


def test_a_numa_property() -> None:
    plan = plan_of("""
        numa { otherwise balance; hot_threshold = 200ms; }
        numa for cgroup "/a" { off when node.count == 1; otherwise pass; }
    """)
    on = n.Attribute(n.Const(INT, 0).type, "result")
    promised = promising(plan, on, hook=NUMA)
    assert broken(promised, of_property(promised, NUMA)) == {"cgroup": "/a"}


def test_what_takes_too_long_is_unknown() -> None:
    """A product of two numbers that has no other factors; nobody finds them in a moment."""
    plan = plan_of(
        "deny when mm.rss / 1B * (mm.size / 1B) == 9223372021822390277 "
        "and mm.rss > 1B and mm.size > 1B; otherwise pass;"
    )
    promised = promising(plan, n.Not(condition_of(plan)))
    claim = next(iter(claims(promised, THP, [], 0.2)))
    assert claim.verdict == "unknown"
    assert "time limit" in claim.why
    assert claim.counterexample is None


def test_a_counterexample_that_does_not_replay_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = plan_of("deny when vma.stack; otherwise allow all;")
    monkeypatch.setattr(
        Inputs, "under", lambda *_: True
    )  # the logic believes that everything is under everything
    promised = promising(
        plan_of('deny when cgroup under "/a" and vma.stack; otherwise pass;'),
        n.Not(n.UnderPath(n.Attribute(SIZE, "cgroup"), 0)),
    )
    claim = of_property(promised)
    assert (claim.verdict, claim.counterexample) == ("unknown", None)
    assert "defect" in claim.why
    assert plan.rules


# -- what every policy promises


def test_interfaces_get_legal_values() -> None:
    plan = plan_of("allow pmd when vma.stack; deny when vma.locked; otherwise pass;")
    found = proved(plan, names=["thp-v7", "thp-v9", "thp-v12"])
    assert all(claim.verdict == "proved" for claim in found)
    assert {(c.subject, c.profile.name) for c in found if c.profile} == {
        (subject, name)
        for subject in ("legal", "kernel")
        for name in ("thp-v7", "thp-v9", "thp-v12")
    }


def test_a_profile_that_says_minus_one_to_v9_is_refuted() -> None:
    """If policyc left requests alone on v9, where -1 means no page, that would be found."""
    plan = plan_of("allow pmd when vma.stack; otherwise pass;")
    v9 = profiles()["thp-v9"]
    wrong = v9._replace(leave=-1, kernel=v9.kernel and v9.kernel._replace(negative="keep"))
    legal = [c for c in claims(plan, THP, [wrong], 10) if c.subject == "legal"]
    assert legal[0].verdict == "proved"  # -1 is a word of that interface
    above = v9._replace(deny=9)
    (claim,) = [c for c in claims(plan, THP, [above], 10) if c.subject == "kernel"]
    assert claim.verdict == "proved"
    denying = plan_of("deny when vma.stack; otherwise pass;")
    (claim,) = [c for c in claims(denying, THP, [above], 10) if c.subject == "kernel"]
    assert claim.verdict == "refuted"
    assert claim.counterexample is not None
    assert claim.counterexample.values["vma.stack"] is True


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("deny when vma.stack; otherwise allow all;", ["", ""]),
        ("deny when vma.stack; otherwise deny;", ["redundant", ""]),
        ("pass when vma.stack; otherwise allow all;", ["redundant", ""]),
        ("deny when vma.stack; allow all when vma.locked; otherwise deny;", ["", "", ""]),
        (
            "deny when vma.size > 2M; allow pmd when vma.size > 4M; otherwise pass;",
            ["", "shadowed", ""],
        ),
        (
            "deny when vma.size > mm.rss; allow pmd when vma.size > mm.rss + 1M; otherwise pass;",
            ["", "shadowed", ""],
        ),
        ("deny when vma.size * 2 < vma.size; otherwise pass;", ["dead", ""]),
        ("deny when vma.size / 2M > 2M / 1B * 2M / 1B * 4; otherwise pass;", ["dead", ""]),
        ("deny when vma.size / 2M > 2M / 1B * 2M / 1B; otherwise pass;", ["", ""]),
        ("deny when task.uid + 1 == 0; otherwise pass;", ["dead", ""]),
        ("deny when task.uid - 1 == task.uid; otherwise pass;", ["", ""]),
        ("allow orders when vma.stack; otherwise pass;", ["redundant", ""]),
        ("allow all - pmd when highest(orders) < 2M; otherwise pass;", ["redundant", ""]),
        ("allow all - pmd when highest(orders) <= 2M; otherwise pass;", ["", ""]),
        (
            """deny when vma.stack; deny when not vma.stack and vma.locked;
            pass when vma.locked; otherwise allow pmd;""",
            ["", "", "shadowed", ""],
        ),
        (
            'deny when cgroup under "/a/b"; allow pmd when cgroup == "/a/b/c"; otherwise pass;',
            ["", "shadowed", ""],
        ),
    ],
)
def test_rules(text: str, verdicts: list[str]) -> None:
    found = of_rules(text)
    assert [claim.verdict == "proved" for claim in found] == [not word for word in verdicts]
    for claim, word in zip(found, verdicts, strict=True):
        assert word in claim.why


def test_a_rule_is_shadowed_by_those_that_are_needed_for_it() -> None:
    claims_ = of_rules(
        "deny when vma.locked; deny when vma.size < 8M; allow 64K when vma.exec; "
        "allow pmd when vma.size >= 4M and vma.size <= mm.rss; "
        "deny when vma.size >= 4M and vma.size <= mm.rss and vma.stack; otherwise pass;"
    )
    assert [rule.line for claim in claims_ for rule in claim.by] == [1]
    assert [rule.index for rule in claims_[4].by] == [3]


def test_a_rule_can_be_redundant_because_of_another_block() -> None:
    text = """
        thp { deny when vma.stack; otherwise allow all; }
        thp for cgroup "/a" { deny when vma.stack; otherwise allow 64K; }
    """
    found = of_rules(text)
    assert [claim.verdict for claim in found] == ["proved", "proved", "refuted", "proved"]
    nearest = of_rules(f"combine thp by nearest; {text}")
    assert [claim.verdict for claim in nearest] == ["proved"] * 4


def test_a_block_that_nobody_rolls_out_is_dead() -> None:
    found = of_rules("thp { rollout 0% by cgroup; deny when vma.stack; otherwise allow all; }")
    assert [claim.why for claim in found] == ["it is dead: its block applies to no request"] * 2


def test_an_answer_for_every_request() -> None:
    plan = plan_of("deny when vma.stack; otherwise pass;")
    assert plan.thp is not None
    (block,) = plan.thp.blocks
    gap = replace(plan, thp=replace(plan.thp, blocks=(replace(block, rules=block.rules[:1]),)))
    assert [c.verdict for c in proved(plan) if c.subject == "answered"] == ["proved"]
    found = (claim for claim in claims(gap, THP, [], 10) if claim.subject == "answered")
    assert next(found).verdict == "refuted"
