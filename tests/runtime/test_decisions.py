"""What programs return for a decision, and what kernels make of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from policyc.api import Policy
from policyc.hooks.loader import profiles
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.encode import effective_orders, raw_answer
from policyc.plan.evaluate import Outcome
from policyc.plan.types import DURATION, ORDERS, STRING
from policyc.runtime.decisions import NumaDecision, ThpDecision
from policyc.runtime.requests import NumaRequest, ThpRequest

PMD, K64 = 1 << 9, 1 << 4


def decision(allowed: int, requested: int) -> ThpDecision:
    """The decision of a policy with one rule."""
    rule = n.Rule(0, None, n.Allow(n.Const(ORDERS, allowed)), "", 1, "")
    block = n.Block(0, None, 0, None, (rule,), None, 1)
    hook = n.HookPlan(n.HookName.THP, n.Combine.MEET, (block,))
    plan = n.Plan("p", "p.thp", n.Target(), (), (), (), (), hook, None, ())
    return Policy(plan).decide(ThpRequest(orders=requested))


@pytest.mark.parametrize(
    ("profile", "allowed", "requested", "raw", "effective"),
    [
        ("thp-v7", PMD | K64, PMD | K64, -1, PMD | K64),
        ("thp-v9", PMD | K64, PMD | K64, 9, PMD),
        ("thp-v12", PMD | K64, PMD | K64, -1, PMD | K64),
        ("mthp-v2", PMD | K64, PMD | K64, PMD | K64, PMD | K64),
        ("thp-v7", K64 | 4, PMD | K64 | 4, 4, K64),
        ("thp-v9", K64 | 4, PMD | K64 | 4, 4, K64),
        ("mthp-v2", K64 | 4, PMD | K64 | 4, K64 | 4, K64 | 4),
        ("thp-v7", PMD, K64, 0, 0),
        ("thp-v9", PMD, K64, 0, 0),
        ("thp-v12", PMD, K64, 0, 0),
        ("testrun", PMD, K64, 0, 0),
    ],
)
def test_raw_and_effective(profile: str, allowed: int, requested: int, raw: int, effective: int):
    answer = decision(allowed, requested)
    assert answer.raw(profile) == raw
    assert answer.effective(profile) == effective


@pytest.mark.parametrize("profile", [p.name for p in profiles().values() if p.answers("thp")])
@pytest.mark.parametrize("requested", [0, 1, 4, PMD, PMD | K64, 0x3FC, 1 << 63])
@pytest.mark.parametrize("allowed", [0, 1, K64, PMD, n.ALL_ORDERS])
def test_no_kernel_gets_more_than_is_allowed(profile: str, requested: int, allowed: int):
    answer = decision(allowed, requested)
    assert answer.effective(profile) & ~answer.orders == 0


@pytest.mark.parametrize("profile", [p for p in profiles().values() if p.answers("thp")])
def test_the_runtime_encodes_as_the_compiler_does(profile: Profile):
    random = Random(1)
    masks = [0, 1, 2, 3, PMD, PMD | K64, 0x3FC, 1 << 63, n.ALL_ORDERS]
    for _ in range(400):
        requested, allowed = random.choice(masks), random.choice(masks) & random.getrandbits(64)
        answer = decision(allowed, requested)
        outcome = Outcome((), (), None, orders=answer.orders)
        outcome = replace(outcome, opinions=(None,))
        raw = raw_answer(profile, outcome, requested)
        assert answer.raw(profile.name) == raw
        assert answer.effective(profile.name) == effective_orders(profile, raw, requested)
        odd = random.choice([-1, 0, 1, 4, 9, 30, 63])
        encoding = answer.tables.profiles[profile.name]
        assert encoding.effective_orders(odd, requested) == effective_orders(
            profile, odd, requested
        )
        alone = Outcome((), (), None, orders=requested)
        untouched = encoding.raw_orders(requested, requested, has_opinion=False)
        assert untouched == raw_answer(profile, alone, requested)


def test_what_v7_makes_of_answers_that_policies_never_give():
    tables = decision(0, PMD).tables
    assert tables.profiles["thp-v7"].effective_orders(4, PMD) == K64
    assert tables.profiles["thp-v7"].effective_orders(9, K64) == K64
    assert tables.profiles["thp-v9"].effective_orders(4, PMD) == 0
    assert tables.profiles["thp-v9"].effective_orders(-1, PMD) == 0
    assert tables.profiles["thp-v12"].effective_orders(9, K64) == 0


def test_unknown_and_unfit_profiles():
    answer = decision(PMD, PMD)
    with pytest.raises(ValueError, match="unknown profile 'thp-v8'; did you mean 'thp-v"):
        answer.raw("thp-v8")
    with pytest.raises(ValueError, match="profile numab-rfc1 answers numa requests"):
        answer.effective("numab-rfc1")


def test_allowed_orders_are_numbers():
    assert decision(PMD | K64, 0x3FC).allowed_orders == (4, 9)
    assert decision(0, 0x3FC).allowed_orders == ()


def numa(combine: n.Combine, comm: str) -> NumaDecision:
    """Two blocks: everything is balanced at 300 ms, but below /db only postgres, at 200 ms."""
    compare = n.Compare(
        n.CompareOperator.EQUAL,
        n.Attribute(STRING, "task.comm"),
        n.Const(STRING, b"postgres"),
    )
    blocks = (
        n.Block(
            0,
            None,
            0,
            None,
            (n.Rule(0, None, n.Balance(True), "", 1, ""),),
            n.Const(DURATION, 300),
            1,
        ),
        n.Block(
            1,
            0,
            1,
            None,
            (
                n.Rule(1, compare, n.Balance(True), "", 2, ""),
                n.Rule(2, None, n.Balance(False), "", 3, ""),
            ),
            n.Const(DURATION, 200),
            2,
        ),
    )
    hook = n.HookPlan(n.HookName.NUMA, combine, blocks)
    plan = n.Plan("p", "p.thp", n.Target(), ("/db",), (), (), (), None, hook, ())
    return Policy(plan).decide(NumaRequest(cgroup="/db/x", task_comm=comm))


@pytest.mark.parametrize(
    ("combine", "comm", "on", "threshold", "rule"),
    [
        (n.Combine.MEET, "postgres", True, 200, 1),
        (n.Combine.MEET, "other", False, None, 2),
        (n.Combine.NEAREST, "postgres", True, 200, 1),
        (n.Combine.NEAREST, "other", False, None, 2),
        (n.Combine.OUTERMOST, "other", True, 300, 0),
    ],
)
def test_numa_combines(combine: n.Combine, comm: str, on: bool, threshold: int | None, rule: int):
    answer = numa(combine, comm)
    assert (answer.on, answer.hot_threshold) == (on, threshold)
    assert answer.rule is not None
    assert answer.rule.index == rule
    assert answer.raw("numab-rfc1") == on
    assert answer.effective("numab-rfc1") is on


def test_a_hook_without_a_block_leaves_requests_alone():
    answer = Policy(numa_only()).decide(ThpRequest(orders=0x3FC))
    assert answer.orders == 0x3FC
    assert not answer.has_opinion
    assert answer.rule is None
    assert Policy(numa_only()).thp_orders(ThpRequest(orders=0x3FC)) == 0x3FC


def numa_only() -> n.Plan:
    return n.Plan("p", "p.thp", n.Target(), (), (), (), (), None, None, ())
