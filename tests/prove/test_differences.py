"""Where two policies differ, and that they do not, by hand and with bugs that are put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")

from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.evaluate import evaluate
from policyc.plan.promises import hook_of
from policyc.prove.differences import Comparison, compare
from policyc.prove.inputs import Inputs
from tests.differential.compare import checked_plan
from tests.prove.agreement import as_request
from tests.prove.policies import plan_of
from tests.strategies.policies import policy_of_seed
from tests.strategies.requests import Requests, World, states

THP, NUMA = n.HookName.THP, n.HookName.NUMA


def compared(old: str, new: str, hook: n.HookName = THP, **options: Any) -> Comparison:
    names = ("thp-v7", "thp-v9") if hook is THP else ("numab-rfc1",)
    found = compare(
        plan_of(old), plan_of(new), hook, [profiles()[name] for name in names], 10, **options
    )
    for difference in found.differences:
        assert difference.old != difference.new
    return found


def given(found: Comparison) -> dict[str, Any]:
    example = found.differences[0].witness
    return {name: example.values[name] for name in example.stated}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deny when vma.stack; otherwise pass;", "pass when not vma.stack; otherwise deny;"),
        (
            "deny when vma.stack or vma.locked; otherwise pass;",
            "deny when vma.stack; deny when vma.locked; otherwise pass;",
        ),
        ("allow orders when vma.stack; otherwise deny;", "pass when vma.stack; otherwise deny;"),
        (
            "deny when vma.size > 2M; otherwise allow all;",
            "allow all when vma.size <= 2097152B; otherwise deny;",
        ),
        (
            "deny when memory.max - memory.usage < 1G; otherwise pass;",
            "deny when memory.free < 1G; otherwise pass;",
        ),
        (
            "deny when task.uid in { 1, 2 }; otherwise pass;",
            "deny when task.uid >= 1 and task.uid <= 2; otherwise pass;",
        ),
        (
            'deny when cgroup in { "/a", "/a/b" }; otherwise pass;',
            'deny when cgroup == "/a" or cgroup == "/a/b"; otherwise pass;',
        ),
        (
            'deny when cgroup under "/a"; otherwise pass;',
            'thp for cgroup "/a" { otherwise deny; }',
        ),
        (
            'thp { otherwise allow ..64K; } thp for cgroup "/a" { otherwise allow 16K..; }',
            'allow 16K..64K when cgroup under "/a"; otherwise allow ..64K;',
        ),
        (
            """combine thp by nearest; thp { otherwise deny; }
            thp for cgroup "/a" { allow all when vma.stack; otherwise pass; }""",
            'allow all when cgroup under "/a" and vma.stack; otherwise deny;',
        ),
        (
            "deny when mm.rss * 2 > mm.size; otherwise pass;",
            "deny when mm.rss + mm.rss > mm.size; otherwise pass;",
        ),
        (
            "let big = vma.size > 1G; thp { deny when big; otherwise pass; }",
            "deny when vma.size > 1G; otherwise pass;",
        ),
        (
            "allow ..64K - 64K when vma.stack; otherwise pass;",
            "allow ..32K when vma.stack; otherwise pass;",
        ),
        (
            "deny when highest(orders) >= 64K; otherwise pass;",
            "pass when highest(orders) < 64K or orders == none; otherwise deny;",
        ),
    ],
)  # fmt: skip
def test_equivalent(old: str, new: str) -> None:
    found = compared(old, new)
    assert found.verdict == "equivalent"
    assert [profile.verdict for profile in found.profiles] == ["equivalent"] * 2


@pytest.mark.parametrize(
    ("old", "new", "request_"),
    [
        (
            "deny when vma.size >= 8M; otherwise pass;",
            "deny when vma.size > 8M; otherwise pass;",
            {"vma.size": 8 << 20},
        ),
        (
            "deny when vma.size >= 8M; otherwise pass;",
            "deny when vma.size >= 8M and vma.size != 16M; otherwise pass;",
            {"vma.size": 16 << 20},
        ),
        (
            "deny when not (mm.rss > 1G); otherwise pass;",
            "deny when mm.rss <= 1G; otherwise pass;",
            {},
        ),
        (
            'deny when task.comm != "java"; otherwise pass;',
            'deny when not (task.comm == "java"); otherwise pass;',
            {},
        ),
        ("allow all - pmd when vma.exec; otherwise pass;", "otherwise pass;", {"vma.exec": True}),
        (
            'deny when cgroup under "/a"; otherwise pass;',
            'deny when cgroup == "/a"; otherwise pass;',
            {"cgroup": "/a/other"},
        ),
        (
            'thp for cgroup "/a" { rollout 25% by cgroup; otherwise deny; }',
            'thp for cgroup "/a" { rollout 26% by cgroup; otherwise deny; }',
            {"cgroup": "/a", "cgroup.id": 55},
        ),
        (
            "deny when vma.size * 2 <= vma.size; otherwise pass;",
            "deny when vma.size == 0B; otherwise pass;",
            {"vma.size": (1 << 64) - 1},
        ),
        (
            "allow all when event is smaps; otherwise deny;",
            "allow ..pmd when event is smaps; otherwise deny;",
            {"orders": 2, "event": "smaps"},
        ),
    ],
)
def test_the_smallest_request_that_tells_them_apart(
    old: str, new: str, request_: dict[str, Any]
) -> None:
    found = compared(old, new)
    assert found.verdict == "differ"
    assert given(found) == request_


def test_a_difference_that_only_one_interface_sees() -> None:
    """v9 takes the highest order and nothing else; v7 is left alone where all is allowed."""
    rules = "allow {0} when 64K in orders; otherwise deny;"
    found = compared(rules.format("..64K"), rules.format("64K"))
    assert found.verdict == "differ"
    assert [(p.profile.name, p.verdict) for p in found.profiles] == [
        ("thp-v7", "differ"),
        ("thp-v9", "equivalent"),
    ]


def test_a_threshold_is_an_answer_of_numa() -> None:
    text = "numa {{ otherwise balance; hot_threshold = {0}; }}"
    found = compared(text.format("200ms"), text.format("300ms"), NUMA)
    assert found.verdict == "differ"
    (difference,) = found.differences
    assert (difference.old.hot_threshold, difference.new.hot_threshold) == (
        200_000_000,
        300_000_000,
    )


def test_a_hook_that_only_one_of_them_has() -> None:
    found = compared("numa { otherwise balance; }", "otherwise pass;", NUMA)
    assert given(found) == {}
    assert found.differences[0].new.decided_by is None
    assert compared("numa { otherwise off; }", "otherwise pass;", NUMA).verdict == "equivalent"


def test_state_is_the_same_for_both_first() -> None:
    text = (
        "param limit : size = {0} in 0B..1G; thp {{ deny when vma.size < limit; otherwise pass; }}"
    )
    assert compared(text.format("4M"), text.format("4M")).verdict == "equivalent"
    found = compared(text.format("4M"), text.format("8M"))
    assert (found.verdict, found.loaded) == ("differ", True)
    assert given(found) == {"vma.size": 4 << 20}
    literal = compared(text.format("4M"), "deny when vma.size < 4M; otherwise pass;")
    assert literal.verdict == "equivalent"


def test_every_pair_of_rules() -> None:
    found = compared(
        "deny when vma.stack; allow pmd when vma.locked; otherwise pass;",
        "allow 64K when vma.exec; otherwise pass;",
        every=True,
    )
    assert found.complete
    pairs = {
        (d.old.decided_by and d.old.decided_by.index, d.new.decided_by and d.new.decided_by.index)
        for d in found.differences
    }
    assert pairs == {(0, 0), (0, None), (1, 0), (1, None), (None, 0)}
    assert len(found.differences) == 5


# -- bugs that are put in


def mutants(plan: n.Plan) -> Iterator[n.Plan]:
    """The policy with one thing wrong, in each of several ways."""
    for name, hook in (("thp", plan.thp), ("numa", plan.numa)):
        if hook is None:
            continue
        for combine in n.Combine:
            if combine is not hook.combine and len(hook.blocks) > 1:
                yield replace(plan, **{name: replace(hook, combine=combine)})
        for block in hook.blocks:
            for wrong in _wrong_blocks(block):
                blocks = tuple(wrong if b is block else b for b in hook.blocks)
                yield replace(plan, **{name: replace(hook, blocks=blocks)})


def _wrong_blocks(block: n.Block) -> Iterator[n.Block]:
    rules = block.rules
    if block.scope is not None:
        yield replace(block, scope=None)
    if block.rollout is not None:
        yield replace(block, rollout=None)
    if len(rules) > 2:
        yield replace(block, rules=(rules[1], rules[0], *rules[2:]))
    for place, rule in enumerate(rules[:-1]):
        yield replace(block, rules=(*rules[:place], *rules[place + 1 :]))
        assert rule.condition is not None
        for wrong in (n.Not(rule.condition), *_off_by_one(rule.condition)):
            changed = replace(rule, condition=wrong)
            yield replace(block, rules=(*rules[:place], changed, *rules[place + 1 :]))


_NEAR = {
    n.CompareOperator.LESS: n.CompareOperator.LESS_EQUAL,
    n.CompareOperator.LESS_EQUAL: n.CompareOperator.LESS,
    n.CompareOperator.GREATER: n.CompareOperator.GREATER_EQUAL,
    n.CompareOperator.GREATER_EQUAL: n.CompareOperator.GREATER,
    n.CompareOperator.EQUAL: n.CompareOperator.NOT_EQUAL,
}


def _off_by_one(condition: n.Expr) -> Iterator[n.Expr]:
    match condition:
        case n.Compare(operator, left, right) if operator in _NEAR:
            yield n.Compare(_NEAR[operator], left, right)
        case n.And(items):
            yield n.Or(items)
        case n.Or(items):
            yield n.And(items)
        case n.UnderPath(value, path):
            yield n.IsPath(value, path)
        case _:
            pass


def _differs(old: n.Plan, new: n.Plan, hook: n.HookName, seed: int) -> bool:
    """Whether some random request tells them apart."""
    random = Random(seed)
    world = World(old, random)
    for state in states(old, random):
        for request in Requests(old, hook_of(old, hook), world, random).make(60):
            values = as_request(request.values)
            one, other = (evaluate(p, hook_of(p, hook), values, state) for p in (old, new))
            if (one.orders, one.on, one.hot_threshold) != (
                other.orders, other.on, other.hot_threshold,
            ):  # fmt: skip
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_what_requests_find_the_solver_finds(seed: int) -> None:
    """Every bug that random requests show is found, and what is found is a bug."""
    text, plan = checked_plan(policy_of_seed(seed))
    for number, wrong in enumerate(mutants(plan)):
        if number >= 12:
            break
        for hook in plan.hooks:
            found = compare(plan, wrong, hook.hook, [], 5)
            if _differs(plan, wrong, hook.hook, number):
                assert found.verdict == "differ", (number, text)
            for difference in found.differences:
                inputs = Inputs([plan, wrong], hook.hook)
                example = difference.witness
                one, other = (
                    evaluate(
                        p, hook_of(p, hook.hook), example.values, inputs.state_of(p, example.state)
                    )
                    for p in (plan, wrong)
                )
                assert (one, other) == (difference.old, difference.new)
                assert (one.orders, one.on, one.hot_threshold) != (
                    other.orders, other.on, other.hot_threshold,
                )  # fmt: skip


SEEDED = plan_of("""
    set apps : cgroup = { "/apps" };
    param limit : size = 16M in 0B..1G;
    thp {
        deny when cgroup.psi.memory.full.avg10 > 10% or not has cgroup;
        allow pmd when cgroup under apps and event is khugepaged;
        allow 16K..64K when vma.size >= limit and mm.rss > memory.max;
        otherwise deny;
    }
    thp for cgroup "/apps/batch" {
        rollout 25% by cgroup;
        deny when task.comm == "redis-server" and pmd in orders;
        allow 64K when cgroup under "/apps/batch/a";
        otherwise pass;
    }
""")


@pytest.mark.parametrize("number", range(len(list(mutants(SEEDED)))))
def test_every_bug_in_a_policy_without_spare_rules_is_found(number: int) -> None:
    wrong = list(mutants(SEEDED))[number]
    found = compare(SEEDED, wrong, THP, [], 10)
    assert found.verdict == "differ"
