"""Expressions of a plan, spelled: text that means the same when it is checked again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from policyc.check import check_text
from policyc.emit.uses import expressions
from policyc.explain.spelling import spell_expression, spell_orders, type_of
from policyc.plan import nodes as n
from policyc.plan.evaluate import value_of
from policyc.plan.types import BOOL, Kind
from tests.differential.compare import checked_plan
from tests.explain.test_property import whole
from tests.strategies.policies import policy_of_seed
from tests.strategies.requests import Requests, World, first_state


def test_conditions_mean_the_same_when_they_are_read_again() -> None:
    read = [again for seed in range(60) for again in _read_again(seed)]
    assert read.count(True) > 0.8 * len(read) > 100


def _read_again(seed: int) -> Iterator[bool]:
    """For each condition of a random policy whether its spelling could be read again."""
    text, plan = checked_plan(policy_of_seed(seed))
    random = Random(seed)
    world, state = World(plan, random), first_state(plan)
    for hook in plan.hooks:
        requests = Requests(plan, hook, world, random).make(10)
        conditions = [rule.condition for block in hook.blocks for rule in block.rules]
        for condition in conditions:
            if condition is None:
                continue
            again = _condition(text, plan, hook, spell_expression(condition, plan))
            yield again is not None
            for request in requests:
                values = whole(hook, request.values)
                meant = value_of(plan, condition, values, state)
                assert again is None or value_of(*again, values, state) == meant


def _condition(
    text: str, plan: n.Plan, hook: n.HookPlan, spelled: str
) -> tuple[n.Plan, n.Expr] | None:
    """The condition again, from a policy with the same declarations; None if that is no policy.

    Orders that have no name, such as order 1, are spelled all the same, and cannot be read.
    """
    answer = "deny" if hook.hook is n.HookName.THP else "off"
    declared = text.partition(f"\n{hook.hook.value} ")[0]
    read = check_text(
        f"{declared}\n{hook.hook.value} {{ {answer} when {spelled}; otherwise pass; }}",
        "again.thp",
        profiles=["testrun"],
        target=plan.target,
    )
    found = None if read.plan is None else next(h for h in read.plan.hooks if h.hook is hook.hook)
    condition = None if found is None else found.blocks[-1].rules[0].condition
    return None if condition is None or read.plan is None else (read.plan, condition)


def test_types_are_those_of_the_plan() -> None:
    plan = checked_plan(policy_of_seed(3))[1]
    for hook in plan.hooks:
        for block in hook.blocks:
            assert all(type_of(r.condition) == BOOL for r in block.rules if r.condition is not None)
    orders = [expr for expr in expressions(plan) if isinstance(expr, n.Union | n.Difference)]
    assert all(type_of(expr).kind is Kind.ORDERS for expr in orders)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (0, "none"),
        (n.ALL_ORDERS, "all"),
        (1 << 9, "2M"),
        (0b11100, "16K..64K"),
        (n.ALL_ORDERS & ~(1 << 9), "all - 2M"),
        (n.ALL_ORDERS & ~(1 << 9 | 1 << 4), "all - (64K | 2M)"),
    ],
)
def test_orders(mask: int, expected: str) -> None:
    assert spell_orders(mask, n.Target()) == expected


def test_parentheses_stand_where_they_are_needed() -> None:
    condition = (
        "not (vma.stack or vma.exec and vma.locked) and (mm.rss + 1B) * 2 > vma.size - (2M - 1B)"
    )
    for text in (condition, "orders - 64K == (16K | 64K) - 16K | 2M", "orders == all - 64K - 2M"):
        plan = check_text(
            f"policy p; thp {{ deny when {text}; otherwise pass; }}", "p.thp", profiles=["testrun"]
        ).plan
        assert plan is not None
        assert plan.thp is not None
        written = plan.thp.blocks[0].rules[0].condition
        assert written is not None
        again = check_text(
            f"policy p; thp {{ deny when {spell_expression(written, plan)}; otherwise pass; }}",
            "p.thp",
            profiles=["testrun"],
        ).plan
        assert again is not None, spell_expression(written, plan)
        assert repr(again.thp and again.thp.blocks[0].rules[0].condition) == repr(written)
