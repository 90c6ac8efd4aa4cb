"""What requests have reached of a policy.

What counts, each once:

- a rule, that it has applied;
- a condition, that it has been true, and that it has been false. A condition is one comparison
  or test between `and`, `or` and `not`. It counts when it is looked at: `and` and `or` stop at
  the first operand that settles them. The conditions of a `let` count where they are written,
  however many rules use it; those of a `let` that no rule uses do not count;
- a scope (`for cgroup`), that a request was inside of it, and that one was outside;
- a rollout, that it has admitted a request, and that it has refused one, inside the scope;
- `combine`, for each hook, that two blocks have had an opinion on one request.

What the checker's analysis knows to be impossible does not count: a rule below one that always
applies, the value that a condition never has where it stands, the refusals of a rollout of 100 %.
`combine` counts only where an answer of each of two blocks is sure to be possible at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, ancestors, value_of
from policyc.plan.types import BOOL
from policyc.testing.countable import Condition, Countable, Place, inner_conditions

__all__ = ["Condition", "Coverage", "Lack", "Seen", "Share", "Tally"]

_BlockPlace: TypeAlias = tuple[n.HookName, int]
_Where = TypeVar("_Where")


@dataclass(slots=True)
class Seen:
    """How often something was so (`yes`), and how often not."""

    yes: int = 0
    no: int = 0

    def count(self, *, is_so: bool) -> None:
        """Count one more."""
        if is_so:
            self.yes += 1
        else:
            self.no += 1

    def reached(self, possible: Iterable[bool]) -> int:
        """How many of the outcomes that count have been seen."""
        return sum((self.yes if outcome else self.no) > 0 for outcome in possible)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    reached: int = 0
    whole: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.reached + other.reached, self.whole + other.whole)

    def __str__(self) -> str:
        return f"{self.reached}/{self.whole}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How much of each kind: rules, and the outcomes of conditions, scopes and so on."""

    rules: Share = Share()
    conditions: Share = Share()
    scopes: Share = Share()
    rollouts: Share = Share()
    combined: Share = Share()

    @property
    def parts(self) -> dict[str, Share]:
        """The shares by the name of their kind."""
        return {
            "rules": self.rules,
            "conditions": self.conditions,
            "scopes": self.scopes,
            "rollouts": self.rollouts,
            "combined": self.combined,
        }

    @property
    def percent(self) -> float:
        """The share of all kinds together, 100 where there is nothing to reach."""
        together = sum(self.parts.values(), Share())
        return 100 * together.reached / together.whole if together.whole else 100.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.rules + other.rules,
            self.conditions + other.conditions,
            self.scopes + other.scopes,
            self.rollouts + other.rollouts,
            self.combined + other.combined,
        )


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that was not reached: where it is written, and what to say of it."""

    file: str
    line: int
    what: str
    condition: Condition | None = None


@dataclass(slots=True)
class Coverage:
    """What requests to a plan have reached, filled by `add`.

    `combined` says for each hook how many requests two blocks had an opinion on.
    """

    plan: n.Plan
    countable: Countable = field(init=False)
    rules: dict[int, Seen] = field(init=False)
    outcomes: dict[Place, Seen] = field(init=False)
    scopes: dict[_BlockPlace, Seen] = field(init=False)
    rollouts: dict[_BlockPlace, Seen] = field(init=False)
    combined: dict[n.HookName, Seen] = field(init=False)

    def __post_init__(self) -> None:
        self.countable = Countable(self.plan)
        self.rules = {rule.index: Seen() for rule in self.plan.rules}
        self.outcomes = {place: Seen() for place in self.countable.conditions}
        self.scopes = {where: Seen() for where in self.countable.scopes}
        self.rollouts = {where: Seen() for where in self.countable.rollouts}
        self.combined = {hook.hook: Seen() for hook in self.plan.hooks}

    @property
    def conditions(self) -> Mapping[Place, Condition]:
        """The conditions by their places."""
        return self.countable.conditions

    # -- filling

    def add(self, hook: n.HookPlan, values: Values, state: State, outcome: Outcome) -> None:
        """Count what one request has reached."""
        look = _Look(self, values, state)
        for block, fired in zip(hook.blocks, outcome.fired, strict=True):
            where = (hook.hook, block.index)
            is_inside = block.scope is None or self._is_inside(block.scope, values)
            if block.scope is not None:
                self.scopes[where].count(is_so=is_inside)
            if block.rollout is not None and is_inside:
                self.rollouts[where].count(is_so=fired is not None)
            if fired is None:
                continue
            self.rules[fired.index].yes += 1
            for rule in block.rules[: block.rules.index(fired) + 1]:
                if rule.condition is not None:
                    look.at(rule.condition, (rule.index,))
        if len(outcome.opinions) > 1:
            self.combined[hook.hook].yes += 1

    def _is_inside(self, scope: int, values: Values) -> bool:
        cgroup = values.get("cgroup")
        return cgroup is not None and self.plan.paths[scope] in ancestors(str(cgroup))

    # -- telling

    def tally(self) -> Tally:
        """How much has been reached."""
        countable = self.countable
        possible = {place: known.possible for place, known in self.conditions.items()}
        together = [self.combined[hook].yes > 0 for hook in countable.combined]
        return Tally(
            Share(sum(self.rules[i].yes > 0 for i in countable.rules), len(countable.rules)),
            _share(self.outcomes, possible),
            _share(self.scopes, countable.scopes),
            _share(self.rollouts, countable.rollouts),
            Share(sum(together), len(together)),
        )

    def lacking(self) -> list[Lack]:
        """What was not reached besides rules, by file and line, the policy's own first."""
        found = [*self._lacking_blocks(), *self._lacking_conditions()]
        return sorted(found, key=lambda lack: (lack.file != self.plan.file, lack.file, lack.line))

    def _lacking_blocks(self) -> Iterable[Lack]:
        file = self.plan.file
        for hook in self.plan.hooks:
            for block in hook.blocks:
                where = (hook.hook, block.index)
                for said in _lacks(self.scopes, self.countable.scopes, where, _SCOPE):
                    yield Lack(file, block.line, said)
                for said in _lacks(self.rollouts, self.countable.rollouts, where, _ROLLOUT):
                    yield Lack(file, block.line, said)
            if hook.hook in self.countable.combined and not self.combined[hook.hook].yes:
                said = f"never two blocks with an opinion to combine by {hook.combine.value}"
                yield Lack(file, hook.blocks[-1].line, said)

    def _lacking_conditions(self) -> Iterable[Lack]:
        for place, known in self.conditions.items():
            seen = self.outcomes[place]
            if seen.reached(known.possible) == len(known.possible):
                continue
            if not seen.yes and not seen.no:
                what = "never looked at"
            else:
                what = "never false" if seen.yes else "never true"
            yield Lack(known.file, known.line, what, known)


_SCOPE = {True: "never inside the scope", False: "never outside the scope"}
_ROLLOUT = {True: "never admitted by the rollout", False: "never refused by the rollout"}


def _lacks(
    seen: Mapping[_BlockPlace, Seen],
    possible: Mapping[_BlockPlace, frozenset[bool]],
    where: _BlockPlace,
    words: Mapping[bool, str],
) -> Iterable[str]:
    for outcome, said in words.items():
        if outcome in possible.get(where, ()) and not seen[where].reached((outcome,)):
            yield said


def _share(seen: Mapping[_Where, Seen], possible: Mapping[_Where, frozenset[bool]]) -> Share:
    outcomes = [(seen[where], values) for where, values in possible.items()]
    return Share(
        sum(item.reached(values) for item, values in outcomes),
        sum(len(values) for _, values in outcomes),
    )


class _Look:
    """Goes through conditions for one request as the evaluator does; a let is asked once."""

    def __init__(self, coverage: Coverage, values: Values, state: State) -> None:
        self._coverage = coverage
        self._values = values
        self._state = state
        self._lets = {item.name: item.expr for item in coverage.plan.locals}
        self._known: dict[str, bool] = {}

    def at(self, expr: n.Expr, place: Place) -> bool:
        """The value of a condition; what it takes to know it is counted."""
        match expr:
            case n.And(items) | n.Or(items):
                settles = isinstance(expr, n.Or)
                for number, item in enumerate(items):
                    if self.at(item, (*place, number)) is settles:
                        return settles
                return not settles
            case n.Not(item):
                return not self.at(item, (*place, 0))
            case n.Local(type, name) if type == BOOL:
                if name not in self._known:
                    self._known[name] = self.at(self._lets[name], (name,))
                return self._known[name]
            case _:
                return self._at_condition(expr, place)

    def _at_condition(self, expr: n.Expr, place: Place) -> bool:
        for number, operand in inner_conditions(expr):
            self.at(operand, (*place, number))
        is_true = value_of(self._coverage.plan, expr, self._values, self._state) is True
        if place in self._coverage.outcomes:
            self._coverage.outcomes[place].count(is_so=is_true)
        return is_true
