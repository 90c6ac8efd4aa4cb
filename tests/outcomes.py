"""Decisions in the terms of the reference evaluator, so that the two can be compared."""

from __future__ import annotations

from policyc.plan import nodes as n
from policyc.plan.evaluate import Opinion, Outcome
from policyc.plan.evaluate import State as PlanState
from policyc.runtime.decisions import Decision, NumaDecision, Rule, ThpDecision
from policyc.runtime.state import State

__all__ = ["outcome_of", "plan_state"]


def plan_state(state: State) -> PlanState:
    """The present members and values, as the reference evaluator takes them."""
    return PlanState(
        sets={name: members.members for name, members in state.sets.items()},
        params={name: int(value) for name, value in state.params.items()},
    )


def outcome_of(plan: n.Plan, decision: Decision) -> Outcome:
    """The outcome that the reference evaluator must have for the same request."""
    rules = {rule.index: rule for rule in plan.rules}

    def planned(rule: Rule | None) -> n.Rule | None:
        return None if rule is None else rules[rule.index]

    fired = tuple(map(planned, decision.fired))
    match decision:
        case ThpDecision(opinions=opinions) if plan.thp is not None:
            blocks = plan.thp.blocks
            said = tuple(
                Opinion(blocks[o.block], rules[o.rule.index], orders=o.orders) for o in opinions
            )
            return Outcome(fired, said, planned(decision.rule), orders=decision.orders)
        case NumaDecision(opinions=opinions) if plan.numa is not None:
            blocks = plan.numa.blocks
            said = tuple(
                Opinion(
                    blocks[o.block],
                    rules[o.rule.index],
                    on=o.on,
                    hot_threshold=o.hot_threshold,
                )
                for o in opinions
            )
            return Outcome(
                fired,
                said,
                planned(decision.rule),
                on=decision.on,
                hot_threshold=decision.hot_threshold,
            )
        case _:
            raise ValueError("the decision is not one of this plan")
