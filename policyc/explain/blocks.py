"""What each block made of a request: its scope, its rollout, and every rule in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from policyc.explain.spelling import spell_expression, spell_orders
from policyc.explain.steps import Step, Stepper
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, cgroup_mix, value_of
from policyc.runtime.units import spell_value
from policyc.simulate.explain import BlockAccount, Explanation

__all__ = ["BlockSteps", "Found", "RuleSteps", "block_steps"]

#: A rule holds and decides its block, or does not, or stands behind one that decided.
Found = Literal["holds", "fails", "not reached"]


@dataclass(frozen=True, slots=True)
class RuleSteps:
    """A rule and what its condition and its answer come to.

    `would_hold` is the value of the condition, whether the rule was reached or not.
    `condition` is None for `otherwise`, `answer` where it is not an expression.
    """

    rule: n.Rule
    found: Found
    would_hold: bool
    condition: Step | None
    answer: Step | None


@dataclass(frozen=True, slots=True)
class BlockSteps:
    """A block: why it applies, a sentence each (or why not, in the account), and its rules.

    `answer` says how the answer of the rule that holds became that of the block.
    """

    account: BlockAccount
    applies: tuple[str, ...]
    rules: tuple[RuleSteps, ...]
    answer: str


def block_steps(explanation: Explanation) -> tuple[BlockSteps, ...]:
    """The blocks of an explanation, in the order of the plan, outermost first."""
    stepper = Stepper(explanation.plan, explanation.values, explanation.state)
    # What was reached comes first, so that lets are taken apart where they mattered.
    reached = {
        rule.index: _rule(explanation, account, rule, stepper.step)
        for account in explanation.blocks
        for rule in account.tested
    }
    others = {
        rule.index: _rule(explanation, account, rule, stepper.step)
        for account in explanation.blocks
        for rule in account.block.rules
        if rule.index not in reached
    }
    rules = reached | others
    return tuple(
        BlockSteps(
            account,
            () if account.outside else tuple(_applies(explanation, account)),
            tuple(rules[rule.index] for rule in account.block.rules),
            _answer(explanation, account),
        )
        for account in explanation.blocks
    )


def _rule(
    explanation: Explanation,
    account: BlockAccount,
    rule: n.Rule,
    step: Callable[[n.Expr], Step],
) -> RuleSteps:
    plan, values, state = explanation.plan, explanation.values, explanation.state
    condition = None if rule.condition is None else step(rule.condition)
    would_hold = rule.condition is None or value_of(plan, rule.condition, values, state) is True
    found: Found = "not reached"
    # The rules of a block that were tested are its first ones.
    if account.tested and rule.index <= account.tested[-1].index:
        found = "holds" if rule.index == account.tested[-1].index else "fails"
    allows = rule.action.orders if isinstance(rule.action, n.Allow) else None
    answer = None if allows is None or isinstance(allows, n.Const) else step(allows)
    return RuleSteps(rule, found, would_hold, condition, answer)


def _applies(explanation: Explanation, account: BlockAccount) -> list[str]:
    """Why a block applies."""
    values, rollout = explanation.values, account.block.rollout
    found: list[str] = []
    if account.scope is not None:
        found.append(f"{values['cgroup']} is in {account.scope}")
    if rollout is not None:
        cgroup_id = int(values["cgroup.id"] or 0)
        place = spell_value("percent", cgroup_mix(cgroup_id) % 10_000)
        share = _share(rollout, explanation.state)
        found.append(f"cgroup.id {cgroup_id} is in the rollout: its place is {place} of {share}")
    return found


def _share(rollout: n.Expr, state: State) -> str:
    match rollout:
        case n.Param(_, name):
            return f"{spell_value('percent', state.params[name])} ({name})"
        case n.Const(_, value):
            return spell_value("percent", int(value))
        case _:
            raise TypeError(f"not the share of a rollout: {rollout!r}")


def _answer(explanation: Explanation, account: BlockAccount) -> str:
    """How what a rule says became what its block says, empty if they are the same."""
    if not account.tested or account.opinion is None:
        return ""
    plan, values, opinion = explanation.plan, explanation.values, account.opinion
    action = account.tested[-1].action
    if not isinstance(action, n.Allow):
        return ""
    orders = value_of(plan, action.orders, values, explanation.state)
    if orders in (None, n.ALL_ORDERS, opinion.orders):
        return ""
    target = plan.target
    written, spelled = spell_expression(action.orders, plan), spell_orders(int(orders), target)
    allows = written if spelled == written else f"{written}, which is {spelled}"
    requested = spell_orders(int(values["orders"] or 0), target)
    left = spell_orders(opinion.orders, target)
    return f"the rule says {allows}, and of the requested {requested} that leaves {left}"
