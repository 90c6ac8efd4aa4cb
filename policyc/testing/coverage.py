"""Which rules have applied, and which conditions have been both true and false.

A condition is one comparison or test between `and`, `or` and `not`. It counts when it is
looked at: `and` and `or` stop at the first operand that settles them. The conditions of a
`let` count where they are written, once, however many rules use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, value_of
from policyc.plan.types import BOOL

__all__ = ["Condition", "Coverage", "Seen", "Tally"]

#: Where a condition is: the rule or let that it belongs to, and the way down from there.
_Place: TypeAlias = tuple[int | str, ...]


@dataclass(slots=True)
class Seen:
    """How often a rule has applied (`yes`), or a condition has been true and false."""

    yes: int = 0
    no: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison or test; `let` is the name of the one it is in, `rule` else its rule."""

    expr: n.Expr
    line: int
    rule: n.Rule | None = None
    let: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of how many: rules, and outcomes, of which each condition has two."""

    rules: int
    all_rules: int
    outcomes: int
    all_outcomes: int

    @property
    def percent(self) -> float:
        """The share of both together, 100 where there is nothing to reach."""
        whole = self.all_rules + self.all_outcomes
        return 100 * (self.rules + self.outcomes) / whole if whole else 100.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.rules + other.rules,
            self.all_rules + other.all_rules,
            self.outcomes + other.outcomes,
            self.all_outcomes + other.all_outcomes,
        )


@dataclass(slots=True)
class Coverage:
    """What requests to a plan have reached, filled by `add`."""

    plan: n.Plan
    conditions: dict[_Place, Condition] = field(default_factory=dict[_Place, Condition])
    rules: dict[int, Seen] = field(default_factory=dict[int, Seen])
    outcomes: dict[_Place, Seen] = field(default_factory=dict[_Place, Seen])
    _lets: dict[str, n.LocalDefinition] = field(default_factory=dict[str, n.LocalDefinition])

    def __post_init__(self) -> None:
        self._lets = {definition.name: definition for definition in self.plan.locals}
        self.rules = {rule.index: Seen() for rule in self.plan.rules}
        for rule in self.plan.rules:
            if rule.condition is not None:
                found = self._find(rule.condition, (rule.index,), rule, rule.line, "")
                self.conditions.update(found)
        self.outcomes = {place: Seen() for place in self.conditions}

    def _find(
        self, expr: n.Expr, place: _Place, rule: n.Rule | None, line: int, let: str
    ) -> Iterator[tuple[_Place, Condition]]:
        match expr:
            case n.And(items) | n.Or(items):
                for number, item in enumerate(items):
                    yield from self._find(item, (*place, number), rule, line, let)
            case n.Not(item):
                yield from self._find(item, (*place, 0), rule, line, let)
            case n.Local(_, name):
                definition = self._lets[name]
                if not any(known.let == name for known in self.conditions.values()):
                    yield from self._find(definition.expr, (name,), None, definition.line, name)
            case n.Const():
                pass
            case _:
                yield place, Condition(expr, line, rule, let)

    # -- filling

    def add(self, hook: n.HookPlan, values: Values, state: State, outcome: Outcome) -> None:
        """Count what one request has reached."""
        for block, fired in zip(hook.blocks, outcome.fired, strict=True):
            if fired is None:
                continue
            self.rules[fired.index].yes += 1
            for rule in block.rules[: block.rules.index(fired) + 1]:
                if rule.condition is not None:
                    self._look(rule.condition, (rule.index,), values, state)

    def _look(self, expr: n.Expr, place: _Place, values: Values, state: State) -> bool:
        """The value of a condition; what it takes to know it is counted."""
        match expr:
            case n.And(items) | n.Or(items):
                settles = isinstance(expr, n.Or)
                for number, item in enumerate(items):
                    if self._look(item, (*place, number), values, state) is settles:
                        return settles
                return not settles
            case n.Not(item):
                return not self._look(item, (*place, 0), values, state)
            case n.Local(type, name) if type == BOOL:
                return self._look(self._lets[name].expr, (name,), values, state)
            case _:
                is_true = value_of(self.plan, expr, values, state) is True
                if place in self.outcomes:
                    seen = self.outcomes[place]
                    seen.yes, seen.no = seen.yes + is_true, seen.no + (not is_true)
                return is_true

    # -- telling

    def tally(self) -> Tally:
        """How much has been reached."""
        return Tally(
            sum(seen.yes > 0 for seen in self.rules.values()),
            len(self.rules),
            sum((seen.yes > 0) + (seen.no > 0) for seen in self.outcomes.values()),
            2 * len(self.outcomes),
        )

    def lacking(self) -> list[tuple[Condition, str]]:
        """The conditions that have not been both, and what they have not been."""
        words = {(False, False): "never looked at", (False, True): "never true"}
        return [
            (self.conditions[place], words.get((seen.yes > 0, seen.no > 0), "never false"))
            for place, seen in self.outcomes.items()
            if not (seen.yes and seen.no)
        ]
