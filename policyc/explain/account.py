"""Everything there is to say about one decision."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.explain.answers import AnswerReasons, answer_reasons
from policyc.explain.blocks import BlockSteps, block_steps
from policyc.explain.combine import Combination, combination
from policyc.explain.nearest import Nearest, nearest_changes
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values
from policyc.simulate.explain import Explanation, explain

__all__ = ["Account", "account_of"]


@dataclass(frozen=True, slots=True)
class Account:
    """A decision taken apart."""

    explanation: Explanation
    blocks: tuple[BlockSteps, ...]
    combination: Combination
    answers: tuple[AnswerReasons, ...]
    nearest: Nearest


def account_of(plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> Account:
    """The decision of the reference evaluator on a request, taken apart."""
    explanation = explain(plan, hook, values, state)
    return Account(
        explanation,
        block_steps(explanation),
        combination(explanation),
        answer_reasons(explanation),
        nearest_changes(plan, hook, values, state),
    )
