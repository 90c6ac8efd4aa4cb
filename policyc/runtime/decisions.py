"""Decisions: what a policy answers, which rule says so, and what a kernel makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from policyc.runtime.checks import did_you_mean

__all__ = [
    "Decision",
    "NumaBlock",
    "NumaDecision",
    "NumaOpinion",
    "ProfileAnswer",
    "Rule",
    "Tables",
    "ThpBlock",
    "ThpDecision",
    "ThpOpinion",
    "numa_decision",
    "thp_decision",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the policy: where it stands and how it is written.

    `index` is unique in the policy; `label` is empty where the policy gives none.
    """

    index: int
    label: str
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class ProfileAnswer:
    """How a kernel interface takes answers, and what the kernel does with them.

    `kind` is "order", "mask" or "bool"; `leave` is the answer that leaves a request alone, None
    where there is none. The last three say what the kernel makes of an order that is negative,
    above the highest requested one, or below it and not requested; they are empty where the
    kernel takes an answer as it is.
    """

    name: str
    hook: str
    kind: str
    leave: int | None
    deny: int
    negative: str = ""
    above_highest: str = ""
    not_requested: str = ""

    def raw_orders(self, allowed: int, requested: int, has_opinion: bool) -> int:
        """The value that a compiled program returns to allow some of the requested orders."""
        if self.kind == "mask":
            return allowed
        untouched = not has_opinion or (allowed != 0 and allowed == requested)
        if self.leave is not None and untouched:
            return self.leave
        return allowed.bit_length() - 1 if allowed else self.deny

    def effective_orders(self, raw: int, requested: int) -> int:
        """The orders that are left after the kernel's own checks of the raw value.

        Order 0 is not among them where the answer is a single order: no later mask of the
        kernel contains it.
        """
        if self.kind == "mask":
            return raw
        kept = requested & ~1
        if raw < 0:
            return kept if self.negative == "keep" else 0
        if raw >= requested.bit_length():
            return kept if self.above_highest == "keep" else 0
        if requested >> raw & 1 or self.not_requested == "order":
            return 1 << raw & ~1
        return 0


@dataclass(frozen=True, slots=True)
class Tables:
    """What the decisions of a policy refer to: its rules by index, its profiles by name."""

    rules: Mapping[int, Rule]
    profiles: Mapping[str, ProfileAnswer]

    def profile(self, name: str, hook: str) -> ProfileAnswer:
        """The profile of that name; ValueError if there is none or it has not the hook."""
        found = self.profiles.get(name)
        if found is None:
            raise ValueError(f"unknown profile {name!r}{did_you_mean(name, self.profiles)}")
        if found.hook not in (hook, "any"):
            raise ValueError(f"profile {name} answers {found.hook} requests, this is a {hook} one")
        return found


@dataclass(frozen=True, slots=True)
class ThpOpinion:
    """What one block says: the requested orders that it allows. `block` counts from 0."""

    block: int
    rule: Rule
    orders: int


@dataclass(frozen=True, slots=True)
class NumaOpinion:
    """What one block says: balanced or not, and the hot threshold in nanoseconds."""

    block: int
    rule: Rule
    on: bool
    hot_threshold: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to one request.

    `rule` made the decision, None if no block has an opinion. `fired` has for each block,
    outermost scope first, the rule that applied there, None where the request is outside
    the scope or the rollout.
    """

    rule: Rule | None
    fired: tuple[Rule | None, ...]
    tables: Tables = field(repr=False, compare=False)

    @property
    def has_opinion(self) -> bool:
        """Whether any block says something; otherwise the request is left alone."""
        return self.rule is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThpDecision(Decision):
    """The orders that are allowed of those requested; both are masks, bit N for order N."""

    requested: int
    orders: int
    opinions: tuple[ThpOpinion, ...]

    @property
    def allowed_orders(self) -> tuple[int, ...]:
        """The allowed orders as numbers, lowest first."""
        return tuple(n for n in range(self.orders.bit_length()) if self.orders >> n & 1)

    def raw(self, profile: str) -> int:
        """The value that the program compiled for a profile returns."""
        answer = self.tables.profile(profile, "thp")
        return answer.raw_orders(self.orders, self.requested, self.has_opinion)

    def effective(self, profile: str) -> int:
        """The mask of orders that the kernel of a profile makes of the raw value."""
        answer = self.tables.profile(profile, "thp")
        return answer.effective_orders(self.raw(profile), self.requested)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaDecision(Decision):
    """NUMA balancing on or off; `hot_threshold` is in nanoseconds, None for the system's."""

    on: bool
    hot_threshold: int | None
    opinions: tuple[NumaOpinion, ...]

    def raw(self, profile: str) -> int:
        """The value that the program compiled for a profile returns."""
        answer = self.tables.profile(profile, "numa")
        return 1 if self.on else answer.deny

    def effective(self, profile: str) -> bool:
        """Whether the kernel of a profile balances the task."""
        self.tables.profile(profile, "numa")
        return self.on


#: What a block answers: the index of the rule that fired there, and the orders that it allows.
#: The orders are None where the rule passes, both are None where the block does not apply.
ThpBlock: TypeAlias = tuple[int | None, int | None]

#: The same for numa: the index of the rule, on or off, and the hot threshold.
NumaBlock: TypeAlias = tuple[int | None, bool | None, int | None]


def thp_decision(
    requested: int,
    combine: str,
    blocks: Sequence[ThpBlock],
    tables: Tables,
) -> ThpDecision:
    """One decision from what each block answers, outermost scope first."""
    opinions = tuple(
        ThpOpinion(index, tables.rules[fired], orders)
        for index, (fired, orders) in enumerate(blocks)
        if fired is not None and orders is not None
    )
    deciding = opinions[_deciding(combine)]
    orders = requested
    for opinion in deciding:
        orders &= opinion.orders
    exact = [opinion for opinion in deciding if opinion.orders == orders] or deciding
    return ThpDecision(
        rule=exact[-1].rule if exact else None,
        fired=_fired((fired for fired, _ in blocks), tables),
        tables=tables,
        requested=requested,
        orders=orders,
        opinions=opinions,
    )


def numa_decision(
    combine: str,
    blocks: Sequence[NumaBlock],
    tables: Tables,
) -> NumaDecision:
    """One decision from what each block answers, outermost scope first."""
    opinions = tuple(
        NumaOpinion(index, tables.rules[fired], on, threshold)
        for index, (fired, on, threshold) in enumerate(blocks)
        if fired is not None and on is not None
    )
    deciding = opinions[_deciding(combine)]
    on = bool(deciding) and all(opinion.on for opinion in deciding)
    thresholds = [o.hot_threshold for o in deciding if on and o.hot_threshold is not None]
    same = [opinion for opinion in deciding if opinion.on == on]
    return NumaDecision(
        rule=same[-1].rule if same else None,
        fired=_fired((fired for fired, _, _ in blocks), tables),
        tables=tables,
        on=on,
        hot_threshold=min(thresholds, default=None),
        opinions=opinions,
    )


def _deciding(combine: str) -> slice:
    """Which of the opinions, outermost first, count."""
    return {"meet": slice(None), "nearest": slice(-1, None), "outermost": slice(1)}[combine]


def _fired(indices: Iterable[int | None], tables: Tables) -> tuple[Rule | None, ...]:
    return tuple(None if index is None else tables.rules[index] for index in indices)
