"""Rules are looked at one at a time; the whole policy, asked at once, has to say the same."""

from __future__ import annotations

import pytest

pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")

from benchmarks.bench_check import policy
from policyc.plan import nodes as n
from policyc.prove import rules as searching
from policyc.prove.claims import claims
from policyc.prove.encode import Encoding
from policyc.prove.inputs import Inputs
from policyc.prove.questions import Questions
from policyc.prove.rules import Fate, RuleSearch
from tests.differential.compare import checked_plan
from tests.prove.policies import plan_of
from tests.strategies.policies import policy_of_seed

THP = n.HookName.THP


def agrees(plan: n.Plan, hook: n.HookName) -> int:
    """Compare what is found of each rule with what the solver says of all at once."""
    inputs = Inputs([plan], hook)
    encoding = Encoding(plan, inputs)
    answer = encoding.answer()
    search = RuleSearch(plan, inputs, encoding, 10)
    questions = Questions(inputs.constraints, 2)
    settled = 0
    for block in encoding.blocks:
        for place, rule in enumerate(block.block.rules):
            fate = search.fate(block, place)
            reached = questions.ask(block.fires[place])
            if fate.decides or fate.reached:
                assert reached != "no", rule.text
            if fate.behind is not None:
                assert not fate.decides
                assert not fate.reached
                assert reached != "yes", rule.text
            if fate.decides and rule.condition is not None:
                without = encoding.answer({block.block.index: block.says[place + 1]})
                found = questions.ask(block.fires[place], answer.differs(without))
                assert found != "no", rule.text
            settled += fate != Fate()
    return settled


@pytest.mark.parametrize("seed", range(16))
def test_the_whole_policy_says_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to know which rule fires, for policies of all kinds."""
    _, plan = checked_plan(policy_of_seed(seed))
    monkeypatch.setattr(searching, "LONG", 60 if seed % 2 else 0)
    for hook in plan.hooks:
        assert agrees(plan, hook.hook)


def test_rules_of_a_long_policy_are_settled_one_at_a_time() -> None:
    plan = plan_of(policy(150).partition(";")[2])
    assert plan.thp is not None
    assert agrees(plan, THP) == len(plan.thp.blocks[0].rules)


def test_a_rule_that_says_what_the_rest_says_decides_by_what_is_between() -> None:
    """Only requests that another rule would allow show what the first is for."""
    text = "deny when vma.stack; {0} otherwise deny;"
    between = "".join(f"deny when task.uid == {number};" for number in range(80))
    allowed = "allow pmd when vma.size == 12345B;"
    for middle, verdict in ((between + allowed, "proved"), (between, "refuted")):
        plan = plan_of(text.format(middle))
        first = next(c for c in claims(plan, THP, [], 10) if c.subject == "rule")
        assert (first.verdict, "redundant" in first.why) == (verdict, verdict == "refuted")


def test_what_shadows_a_rule_is_what_answers_in_its_place() -> None:
    text = "deny when vma.size > 1M; deny when vma.size > 2M; deny when vma.size > 3M;"
    found = [c for c in claims(plan_of(text + "otherwise pass;"), THP, [], 10) if c.by]
    assert [[rule.index for rule in claim.by] for claim in found] == [[0], [0]]


def test_a_property_of_a_long_policy_is_proved_of_its_interfaces() -> None:
    from policyc.hooks.loader import profiles

    plan = plan_of(policy(110).partition(";")[2])
    names = ("thp-v7", "thp-v9", "thp-v12")
    found = list(claims(plan, THP, [profiles()[name] for name in names], 10))
    verdicts = {c.verdict for c in found if c.subject in ("legal", "kernel")}
    assert verdicts == {"proved"}
    assert sum(c.subject in ("legal", "kernel") for c in found) == 6
