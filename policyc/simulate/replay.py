"""Asks policies the requests of a trace, and counts what they answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from policyc.runtime.decisions import Decision, NumaDecision, Rule, ThpDecision
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.simulate.trace import Entry

if TYPE_CHECKING:
    from policyc.api import Policy

__all__ = [
    "OUTCOMES",
    "Answer",
    "Comparison",
    "Difference",
    "HookReport",
    "OrderCount",
    "Report",
    "compare",
    "replay",
]

#: What can become of a request, by hook. "as requested" is a decision, "no opinion" is none.
OUTCOMES = {
    "thp": ("as requested", "narrowed", "denied", "no opinion"),
    "numa": ("balanced", "off", "no opinion"),
}

#: An answer: the allowed orders (thp), or on or off with the hot threshold (numa).
Answer: TypeAlias = "int | tuple[bool, int | None]"

_Fired: TypeAlias = tuple[Rule | None, ...]


@dataclass(frozen=True, slots=True)
class OrderCount:
    """How many requests asked for an order, and how many of them may have it."""

    order: int
    requested: int
    allowed: int


@dataclass(slots=True)
class HookReport:
    """What became of the requests of one hook.

    `events` and `cgroups` count outcomes by the event and by the cgroup, None where there
    is none; numa requests have no events.
    """

    hook: str
    rules: tuple[Rule, ...]
    requests: int = 0
    events: Counter[tuple[str | None, str]] = field(default_factory=Counter[tuple[str | None, str]])
    cgroups: Counter[tuple[str | None, str]] = field(
        default_factory=Counter[tuple[str | None, str]]
    )
    thresholds: Counter[int | None] = field(default_factory=Counter[int | None])
    _masks: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])
    _paths: Counter[tuple[int | None, _Fired]] = field(
        default_factory=Counter[tuple[int | None, _Fired]]
    )

    def add(self, request: ThpRequest | NumaRequest, decision: Decision) -> None:
        """Count one decision."""
        self.requests += 1
        rule = decision.rule
        self._paths[None if rule is None else rule.index, decision.fired] += 1
        if isinstance(decision, ThpDecision) and isinstance(request, ThpRequest):
            requested, allowed = decision.requested, decision.orders
            self._masks[requested, allowed] += 1
            if rule is None:
                outcome = "no opinion"
            elif allowed == requested:
                outcome = "as requested"
            else:
                outcome = "narrowed" if allowed else "denied"
            self.events[request.event, outcome] += 1
        elif isinstance(decision, NumaDecision):
            outcome = "no opinion" if rule is None else "balanced" if decision.on else "off"
            if decision.on:
                self.thresholds[decision.hot_threshold] += 1
        else:
            raise TypeError(f"a decision of no known hook: {decision!r}")
        self.cgroups[request.cgroup, outcome] += 1

    @property
    def outcomes(self) -> dict[str, int]:
        """The number of requests by outcome."""
        counts = dict.fromkeys(OUTCOMES[self.hook], 0)
        for (_, outcome), count in self.cgroups.items():
            counts[outcome] += count
        return counts

    @property
    def decided(self) -> Counter[int | None]:
        """How many decisions each rule made, by its index; None: no block had an opinion."""
        counts: Counter[int | None] = Counter()
        for (index, _), count in self._paths.items():
            counts[index] += count
        return counts

    @property
    def applied(self) -> Counter[int]:
        """How often each rule was the first to hold in its block, by its index."""
        counts: Counter[int] = Counter()
        for (_, fired), count in self._paths.items():
            for rule in fired:
                if rule is not None:
                    counts[rule.index] += count
        return counts

    @property
    def orders(self) -> list[OrderCount]:
        """The orders that were requested, lowest first."""
        requested: Counter[int] = Counter()
        allowed: Counter[int] = Counter()
        for (asked, given), count in self._masks.items():
            for order in range(asked.bit_length()):
                requested[order] += count * (asked >> order & 1)
                allowed[order] += count * (given >> order & 1)
        return [
            OrderCount(order, requested[order], allowed[order])
            for order in sorted(requested)
            if requested[order]
        ]


@dataclass(slots=True)
class Report:
    """What a policy answered to a trace, by hook."""

    policy: str
    hooks: dict[str, HookReport]

    @property
    def requests(self) -> int:
        """The number of requests."""
        return sum(report.requests for report in self.hooks.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """A request to which two policies gave different answers, and the rules that did."""

    entry: Entry
    answers: tuple[Answer, Answer]
    rules: tuple[Rule | None, Rule | None]


@dataclass(slots=True)
class Comparison:
    """How two policies differ on a trace.

    `count` is the number of requests with different answers, `first` holds the first of
    them, and `pairs` counts them by hook and the indices of the rules on both sides.
    """

    reports: tuple[Report, Report]
    count: int = 0
    first: list[Difference] = field(default_factory=list[Difference])
    pairs: Counter[tuple[str, int | None, int | None]] = field(
        default_factory=Counter[tuple[str, int | None, int | None]]
    )


def _report(policy: Policy) -> Report:
    rules: dict[str, tuple[Rule, ...]] = {"thp": (), "numa": ()}
    for hook in policy.plan.hooks:
        rules[hook.hook.value] = tuple(
            Rule(rule.index, rule.label, policy.plan.file, rule.line, rule.text)
            for block in hook.blocks
            for rule in block.rules
        )
    return Report(policy.name, {hook: HookReport(hook, rules[hook]) for hook in rules})


def replay(policy: Policy, entries: Iterable[Entry]) -> Report:
    """Ask a policy every request of a trace."""
    report = _report(policy)
    decide, hooks = policy.decide, report.hooks
    for entry in entries:
        request = entry.request
        hooks[entry.hook].add(request, decide(request))
    return report


def compare(
    policy: Policy, other: Policy, entries: Iterable[Entry], *, keep: int = 10
) -> Comparison:
    """Ask two policies every request of a trace; `keep` differences are kept in full.

    Policies differ where what they allow differs; a different rule with the same answer is
    no difference.
    """
    comparison = Comparison((_report(policy), _report(other)))
    first, second = comparison.reports
    for entry in entries:
        request = entry.request
        ours, theirs = policy.decide(request), other.decide(request)
        first.hooks[entry.hook].add(request, ours)
        second.hooks[entry.hook].add(request, theirs)
        answers = (_answer(ours), _answer(theirs))
        if answers[0] == answers[1]:
            continue
        comparison.count += 1
        comparison.pairs[entry.hook, _index(ours), _index(theirs)] += 1
        if len(comparison.first) < keep:
            comparison.first.append(Difference(entry, answers, (ours.rule, theirs.rule)))
    return comparison


def _index(decision: Decision) -> int | None:
    return None if decision.rule is None else decision.rule.index


def _answer(decision: Decision) -> Answer:
    if isinstance(decision, ThpDecision):
        return decision.orders
    assert isinstance(decision, NumaDecision)
    return (decision.on, decision.hot_threshold)
