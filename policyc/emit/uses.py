"""What a hook of a plan uses: its attributes, parameters, sets and lets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policyc.plan import nodes as n
from policyc.plan.operands import block_roots, operands, reachable, rule_roots

__all__ = ["Uses", "expressions", "uses_of"]


@dataclass(frozen=True, slots=True)
class Uses:
    """Names that the rules of a hook refer to, directly or through a let.

    `paths` says whether a condition or a scope asks for a path of the plan.
    """

    attributes: frozenset[str]
    params: frozenset[str]
    sets: frozenset[str]
    locals: frozenset[str]
    enums: frozenset[str]
    paths: bool


def uses_of(plan: n.Plan, hook: n.HookPlan) -> Uses:
    """Everything that deciding a request of the hook can look at."""
    attributes: set[str] = {"orders"} if hook.hook is n.HookName.THP else set()
    params: set[str] = set()
    sets: set[str] = set()
    lets: set[str] = set()
    enums: set[str] = set()
    paths = any(block.scope is not None for block in hook.blocks)
    if paths or any(block.rollout is not None for block in hook.blocks):
        attributes.add("cgroup")
    for expr in reachable(plan, _roots(hook)):
        match expr:
            case n.Attribute(_, name):
                attributes.add(name)
            case n.Const(type, _):
                enums.add(type.enum)
            case n.Param(_, name):
                params.add(name)
            case n.InSet(_, name) | n.UnderSet(_, name):
                sets.add(name)
            case n.UnderPath() | n.IsPath():
                paths = True
            case n.Local(_, name):
                lets.add(name)
            case _:
                pass
    return Uses(
        frozenset(attributes),
        frozenset(params),
        frozenset(sets),
        frozenset(lets),
        frozenset(enums),
        paths,
    )


def expressions(plan: n.Plan) -> Iterator[n.Expr]:
    """Every expression of the plan and every part of one, in the order of the plan."""
    pending = [root for hook in plan.hooks for root in _roots(hook)]
    pending += [definition.expr for definition in plan.locals]
    pending.reverse()
    while pending:
        expr = pending.pop()
        yield expr
        pending.extend(reversed(operands(expr)))


def _roots(hook: n.HookPlan) -> Iterator[n.Expr]:
    for block in hook.blocks:
        yield from block_roots(block)
        for rule in block.rules:
            yield from rule_roots(rule)
