"""Policies of a few lines, and properties of them made of nodes."""

from __future__ import annotations

from dataclasses import replace

from policyc.check import check_text
from policyc.diagnostics.model import PolicyError
from policyc.plan import nodes as n
from policyc.plan.cases import RESULT, Property
from policyc.plan.types import ORDERS

__all__ = ["PMD", "RESULT_ORDERS", "condition_of", "implies", "plan_of", "promising"]

RESULT_ORDERS = n.Attribute(ORDERS, RESULT)
PMD = n.Const(ORDERS, 1 << 9)


def plan_of(text: str) -> n.Plan:
    """The plan of some blocks and declarations, or of the rules of one thp block."""
    if "{" not in text.replace("in {", "").replace("= {", ""):
        text = f"thp {{ {text} }}"
    result = check_text(f"policy small; {text}", "small.thp", profiles=["testrun"])
    if result.plan is None:
        raise PolicyError(result.diagnostics)
    return result.plan


def condition_of(plan: n.Plan, rule: int = 0) -> n.Expr:
    """The condition of a rule."""
    condition = plan.rules[rule].condition
    assert condition is not None
    return condition


def implies(premise: n.Expr, conclusion: n.Expr) -> n.Expr:
    """If the one, then the other."""
    return n.Or((n.Not(premise), conclusion))


def promising(plan: n.Plan, *conditions: n.Expr, hook: n.HookName = n.HookName.THP) -> n.Plan:
    """The policy with properties."""
    properties = [
        Property(f"promise {number}", hook, condition, 1, "...")
        for number, condition in enumerate(conditions)
    ]
    return replace(plan, properties=tuple(properties))
