"""One decision explained: what each block said, why, and what each kernel makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policyc.emit.uses import Uses, uses_of
from policyc.hooks.loader import attributes, profiles
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.evaluate import (
    Opinion,
    Outcome,
    State,
    Values,
    ancestors,
    cgroup_mix,
    evaluate,
)
from policyc.plan.types import Kind
from policyc.runtime.decisions import ProfileAnswer
from policyc.runtime.units import spell_value

__all__ = [
    "BlockAccount",
    "Explanation",
    "ProfileAccount",
    "explain",
    "spell_mask",
    "spell_size",
]


@dataclass(frozen=True, slots=True)
class BlockAccount:
    """What became of a request in one block.

    `scope` is None for a block without one. `outside` says why the block does not apply,
    empty if it does; then `tested` are its rules up to the one that holds.
    """

    block: n.Block
    scope: str | None
    outside: str
    tested: tuple[n.Rule, ...]
    opinion: Opinion | None


@dataclass(frozen=True, slots=True)
class ProfileAccount:
    """The value that a compiled program returns, and what the kernel goes on with.

    `lacking` are the attributes of the policy that the profile cannot supply; then the
    policy cannot be compiled for it. `effective` is a mask (thp) or 0 or 1 (numa).
    """

    profile: Profile
    lacking: tuple[str, ...]
    raw: int
    effective: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with everything that led to it.

    `looked_at` are the values that scopes, rollouts and tested rules asked for.
    """

    plan: n.Plan
    hook: n.HookPlan
    values: Values
    state: State
    outcome: Outcome
    blocks: tuple[BlockAccount, ...]
    profiles: tuple[ProfileAccount, ...]
    looked_at: Uses
    notes: tuple[str, ...]


def explain(plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> Explanation:
    """The decision of the reference evaluator on a request, explained."""
    outcome = evaluate(plan, hook, values, state)
    opinions = {opinion.block.index: opinion for opinion in outcome.opinions}
    blocks = tuple(
        _account(
            plan,
            block,
            fired,
            values=values,
            state=state,
            opinion=opinions.get(block.index),
        )
        for block, fired in zip(hook.blocks, outcome.fired, strict=True)
    )
    tested = tuple(replace(account.block, rules=account.tested) for account in blocks)
    return Explanation(
        plan,
        hook,
        values,
        state,
        outcome,
        blocks,
        _profiles(plan, hook, values, outcome),
        uses_of(plan, replace(hook, blocks=tested)),
        tuple(_notes(plan, blocks, values)),
    )


def _account(
    plan: n.Plan,
    block: n.Block,
    fired: n.Rule | None,
    *,
    values: Values,
    state: State,
    opinion: Opinion | None,
) -> BlockAccount:
    scope = None if block.scope is None else plan.paths[block.scope]
    if fired is None:
        return BlockAccount(block, scope, _outside(block, scope, values, state), (), None)
    end = block.rules.index(fired) + 1
    return BlockAccount(block, scope, "", block.rules[:end], opinion)


def _outside(block: n.Block, scope: str | None, values: Values, state: State) -> str:
    """Why a block does not apply."""
    cgroup = values.get("cgroup")
    if scope is not None and cgroup is None:
        return "the request has no cgroup"
    if scope is not None and scope not in ancestors(str(cgroup)):
        return f"{cgroup} is not in {scope}"
    cgroup_id = values.get("cgroup.id")
    if cgroup_id is None:
        return "it has a rollout, and the request has no cgroup.id"
    place = spell_value("percent", cgroup_mix(int(cgroup_id)) % 10_000)
    share = spell_value("percent", _share(block.rollout, state))
    return f"cgroup.id {cgroup_id} is outside the rollout: its place is {place}, and {share} are in"


def _share(rollout: n.Expr | None, state: State) -> int:
    match rollout:
        case n.Const(_, value):
            return int(value)
        case n.Param(_, name):
            return state.params[name]
        case _:
            raise TypeError(f"not the share of a rollout: {rollout!r}")


def _notes(plan: n.Plan, blocks: Sequence[BlockAccount], values: Values) -> Sequence[str]:
    if values.get("cgroup.id") is not None:
        return ()
    return [
        f"line {account.block.line}: without cgroup.id the request is outside every rollout; "
        "give cgroup.id=N, the inode number of the cgroup's directory"
        for account in blocks
        if account.block.rollout is not None and account.outside.startswith("it has a rollout")
    ]


def _profiles(
    plan: n.Plan, hook: n.HookPlan, values: Values, outcome: Outcome
) -> tuple[ProfileAccount, ...]:
    rows = attributes()
    used = sorted(uses_of(plan, hook).attributes)
    accounts: list[ProfileAccount] = []
    for profile in profiles().values():
        if not profile.answers(hook.hook.value) or profile.attachment == "test-run":
            continue
        lacking = tuple(name for name in used if name in rows and not profile.has(rows[name]))
        if hook.hook is n.HookName.NUMA:
            accounts.append(ProfileAccount(profile, lacking, int(outcome.on), int(outcome.on)))
            continue
        answer, requested = _answer(profile), int(values["orders"] or 0)
        has_opinion = outcome.decided_by is not None
        raw = answer.raw_orders(outcome.orders, requested, has_opinion)
        effective = answer.effective_orders(raw, requested)
        accounts.append(ProfileAccount(profile, lacking, raw, effective))
    return tuple(accounts)


def _answer(profile: Profile) -> ProfileAnswer:
    clamp = profile.kernel
    kernel = (clamp.negative, clamp.above_highest, clamp.not_requested) if clamp else ()
    return ProfileAnswer(
        profile.name, profile.hook, profile.answer, profile.leave, profile.deny, *kernel
    )


def spell_size(size: int) -> str:
    """A size in the largest unit that it is a whole number of, `B` only where it must be."""
    return spell_value(Kind.SIZE.value, size)


def spell_mask(mask: int, target: n.Target) -> str:
    """A set of orders as a policy would write it, such as `16K..64K | 2M`; `none` if empty."""
    runs: list[str] = []
    order = 0
    while mask >> order:
        if not mask >> order & 1:
            order += 1
            continue
        first = order
        while mask >> order & 1:
            order += 1
        sizes = [spell_size(target.page_size << end) for end in (first, order - 1)]
        runs.append(sizes[0] if first == order - 1 else "..".join(sizes))
    return " | ".join(runs) or "none"
