"""What of a policy there is to reach, and what no request can reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from policyc.check.truth import Truth
from policyc.plan import nodes as n
from policyc.plan.operands import operands
from policyc.plan.paths import is_under
from policyc.plan.types import BOOL, CGROUP

__all__ = ["BOTH", "Condition", "Countable", "Place", "inner_conditions"]

#: Where a condition is: the rule or let that it belongs to, and the way down from there.
Place: TypeAlias = tuple[int | str, ...]

BOTH = frozenset({True, False})

_CGROUP = n.Attribute(CGROUP, "cgroup")
_WHOLE = 10_000

#: A let is looked at in so many of its uses; where there are more, everything in lets counts.
_MOST_USES = 200


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison or test; `let` is the name of the one it is in, `rule` else its rule.

    `file` is the one that it is written in, and `possible` the values that it can have.
    """

    expr: n.Expr
    line: int
    file: str
    rule: n.Rule | None = None
    let: str = ""
    possible: frozenset[bool] = BOTH


def inner_conditions(expr: n.Expr) -> Iterator[tuple[int, n.Expr]]:
    """The operands of a comparison that are conditions themselves, as in `(a > 1) == b`."""
    for number, operand in enumerate(operands(expr)):
        match operand:
            case n.Const() | n.Attribute() | n.Param() | n.Arithmetic() | n.Highest():
                pass
            case n.Union() | n.Difference():
                pass
            case n.Local(type, _) if type != BOOL:
                pass
            case _:
                yield number, operand


@dataclass(slots=True)
class Countable:
    """The rules by index, the conditions by place, and the outcomes of scopes and rollouts.

    Scopes and rollouts go by their hook and the index of their block. What cannot be reached
    is left out: a rule below one that always applies, a value that a condition never has.
    """

    plan: n.Plan
    rules: frozenset[int] = frozenset()
    conditions: dict[Place, Condition] = field(default_factory=dict[Place, Condition])
    scopes: dict[tuple[n.HookName, int], frozenset[bool]] = field(
        default_factory=dict[tuple[n.HookName, int], frozenset[bool]]
    )
    rollouts: dict[tuple[n.HookName, int], frozenset[bool]] = field(
        default_factory=dict[tuple[n.HookName, int], frozenset[bool]]
    )
    combined: tuple[n.HookName, ...] = ()

    def __post_init__(self) -> None:
        finder = _Finder(self.plan)
        for hook in self.plan.hooks:
            for block in hook.blocks:
                where = (hook.hook, block.index)
                if block.scope is not None:
                    self.scopes[where] = BOTH
                if block.rollout is not None:
                    self.rollouts[where] = finder.shares(block)
                finder.block(block)
        self.conditions = finder.conditions()
        self.rules = frozenset(finder.rules)
        self.combined = tuple(hook.hook for hook in self.plan.hooks if finder.meets(hook))


class _Finder:
    """Goes through the rules with what is known where each of them is asked."""

    def __init__(self, plan: n.Plan) -> None:
        self.plan = plan
        self.rules: list[int] = []
        self._found: dict[Place, Condition] = {}
        self._possible: dict[Place, set[bool]] = {}
        self._lets = {definition.name: definition for definition in plan.locals}
        self._params = {param.name: param for param in plan.params}
        self._uses: dict[str, int] = {}
        self._truth = Truth(
            self._params,
            {name: definition.expr for name, definition in self._lets.items()},
            plan.paths.__getitem__,
        )

    def conditions(self) -> dict[Place, Condition]:
        """All that were met, with the values that each of them can have."""
        some_left_out = any(uses > _MOST_USES for uses in self._uses.values())
        return {
            place: Condition(
                known.expr,
                known.line,
                known.file,
                known.rule,
                known.let,
                BOTH if known.let and some_left_out else frozenset(self._possible.get(place, ())),
            )
            for place, known in self._found.items()
        }

    def block(self, block: n.Block) -> None:
        """Meet the conditions of a block."""
        known: list[tuple[n.Expr, bool]] = []
        if block.rollout is not None:
            known.append((n.Has(_CGROUP), True))
        if block.scope is not None:
            known.append((n.UnderPath(_CGROUP, block.scope), True))
        is_reached = block.rollout is None or True in self.shares(block)
        with self._truth.assuming(*known):
            for rule in block.rules:
                if rule.condition is None:
                    self.rules += [rule.index] if is_reached else []
                    continue
                self._meet(rule.condition, (rule.index,), rule, is_reached=is_reached)
                holds = self._truth.of(rule.condition)
                if is_reached and holds is not False:
                    self.rules.append(rule.index)
                is_reached = is_reached and holds is not True
                self._truth.assume(rule.condition, False)

    def _meet(
        self, expr: n.Expr, place: Place, rule: n.Rule | None, *, is_reached: bool, let: str = ""
    ) -> None:
        match expr:
            case n.And(items) | n.Or(items):
                goes_on = isinstance(expr, n.And)
                with self._truth.assuming():
                    for number, item in enumerate(items):
                        self._meet(item, (*place, number), rule, is_reached=is_reached, let=let)
                        is_reached = is_reached and self._truth.of(item) is not (not goes_on)
                        self._truth.assume(item, goes_on)
            case n.Not(item):
                self._meet(item, (*place, 0), rule, is_reached=is_reached, let=let)
            case n.Local(_, name):
                self._uses[name] = self._uses.get(name, 0) + 1
                if self._uses[name] <= _MOST_USES:
                    inner = self._lets[name].expr
                    self._meet(inner, (name,), None, is_reached=is_reached, let=name)
            case n.Const():
                pass
            case _:
                self._condition(expr, place, rule, is_reached=is_reached, let=let)

    def _condition(
        self, expr: n.Expr, place: Place, rule: n.Rule | None, *, is_reached: bool, let: str
    ) -> None:
        if place not in self._found:
            file, line = self.plan.file, rule.line if rule is not None else self._lets[let].line
            if let:
                file, line = self._lets[let].origin or (file, line)
            self._found[place] = Condition(expr, line, file, rule, let)
        if is_reached:
            value = self._truth.of(expr)
            self._possible.setdefault(place, set()).update(BOTH if value is None else {value})
        for number, operand in inner_conditions(expr):
            self._meet(operand, (*place, number), rule, is_reached=is_reached, let=let)

    def shares(self, block: n.Block) -> frozenset[bool]:
        """Whether a rollout can admit a cgroup, and whether it can refuse a request.

        A request without a cgroup is refused by every rollout, but is in no scope.
        """
        match block.rollout:
            case n.Param(_, name):
                low, high = self._params[name].low, self._params[name].high
            case n.Const(_, value):
                low = high = int(value)
            case _:
                return BOTH
        refuses = low < _WHOLE or block.scope is None
        return frozenset(outcome for outcome in BOTH if (high > 0 if outcome else refuses))

    # -- opinions

    def meets(self, hook: n.HookPlan) -> bool:
        """Whether two blocks surely have an opinion on one request.

        That is certain where their scopes have cgroups in common, each has an answer, and
        one of them never passes.
        """
        blocks = [block for block in hook.blocks if self._answers(block)]
        return any(
            self._overlap(one, other) and (_always_answers(one) or _always_answers(other))
            for place, one in enumerate(blocks)
            for other in blocks[:place]
        )

    def _answers(self, block: n.Block) -> bool:
        return any(
            rule.index in self.rules and not isinstance(rule.action, n.Pass) for rule in block.rules
        )

    def _overlap(self, one: n.Block, other: n.Block) -> bool:
        if one.scope is None or other.scope is None:
            return True
        paths = self.plan.paths[one.scope], self.plan.paths[other.scope]
        return is_under(*paths) or is_under(*reversed(paths))


def _always_answers(block: n.Block) -> bool:
    return not any(isinstance(rule.action, n.Pass) for rule in block.rules)
