"""Random policies that the checker accepts: typed trees, printed by the formatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from policyc.hooks.loader import attributes, host_rows
from policyc.hooks.model import HostRow
from policyc.plan import nodes as n
from policyc.plan.types import (
    BOOL,
    CGROUP,
    DURATION,
    INT,
    PERCENT,
    SIZE,
    STRING,
    U64_MAX,
    Kind,
    Type,
)
from policyc.syntax import tree as t
from tests.strategies import trees as make
from tests.strategies.choices import Choices, DrawnChoices, SeededChoices
from tests.strategies.expressions import LET_TYPES, Declared, Expressions, Made, Scope
from tests.strategies.pools import COMMS, LABELS, NAMES, NUMBERS, PATHS, order_numbers

__all__ = ["TARGETS", "Generated", "policies", "policy", "policy_of_seed"]

TARGETS = (n.Target(), n.Target(16384, 11), n.Target(65536, 13))

_BOTH = frozenset({"thp", "numa"})
_MILLISECOND = 1_000_000
_MAX_MILLISECONDS = (1 << 32) - 1
_SCOPES = (None, None, b"/a", b"/a/b", b"/a/bc", b"/", *PATHS[5:])
_MODES = ("meet", "nearest", "outermost")


@dataclass(frozen=True, slots=True)
class Generated:
    """A policy and the memory geometry that it is written for."""

    file: t.PolicyFile
    target: n.Target


def policy_of_seed(seed: int) -> Generated:
    """The policy of a seed, always the same."""
    return policy(SeededChoices(seed))


@st.composite
def policies(draw: Any) -> Generated:
    """A policy that shrinks."""
    return policy(DrawnChoices(draw))


def policy(choices: Choices) -> Generated:
    """A policy made by some choices."""
    target = choices.pick(TARGETS) if choices.chance(20) else TARGETS[0]
    return Generated(_Maker(choices, target).file(), target)


class _Maker:
    def __init__(self, choices: Choices, target: n.Target) -> None:
        self.choices = choices
        self.target = target
        self.scope = Scope()
        self.names = list(NAMES)
        self.labels = list(LABELS)
        self.thresholds: list[str] = []
        self.rules_left = 25

    def file(self) -> t.PolicyFile:
        choices = self.choices
        name = self._name().text
        items: list[t.Item] = [self._set() for _ in range(choices.below(4))]
        items += [self._param() for _ in range(choices.below(5))]
        items += [self._let() for _ in range(choices.below(6))]
        hooks = choices.pick((["thp"], ["thp"], ["numa"], ["thp", "numa"]))
        for hook in hooks:
            items += self._hook(hook)
        if choices.chance(20):
            items.append(self._host())
        if choices.chance(15):
            items = choices.some(items, len(items), len(items))
        return make.policy_file(name, items)

    # -- declarations

    def _name(self) -> t.Name:
        return make.name(self.names.pop(self.choices.below(len(self.names))))

    def _set(self) -> t.SetItem:
        chosen = self.choices.pick((CGROUP, STRING))
        pool = PATHS if chosen == CGROUP else COMMS
        members = tuple(make.string(member) for member in self.choices.some(pool, 0, 6))
        name = self._name()
        self.scope.sets.append((name.text, chosen))
        return t.SetItem(name, make.name(chosen.kind.value), members, make.SPAN)

    def _param(self) -> t.ParamItem:
        chosen = self.choices.pick((PERCENT, SIZE, INT, BOOL, DURATION))
        name = self._name()
        self.scope.params.append(Declared(name.text, chosen, present=True))
        type_name = make.name(chosen.kind.value)
        if chosen == BOOL:
            default = make.name_expr(self.choices.pick(("false", "true")))
            return t.ParamItem(name, type_name, default, None, make.SPAN)
        bounds = sorted(self._bound(chosen) for _ in range(3))
        if chosen == DURATION and self.choices.chance(60):
            bounds = [self._milliseconds(value) for value in bounds]
            self.thresholds.append(name.text)
            ranged = True
        else:
            ranged = self.choices.chance(70)
        low, default, high = (self._constant(chosen, value) for value in bounds)
        return t.ParamItem(name, type_name, default, (low, high) if ranged else None, make.SPAN)

    def _bound(self, type: Type) -> int:
        value = self.choices.pick(NUMBERS[type])
        top = 10_000 if type == PERCENT else U64_MAX
        return min(value + self.choices.below(3), top)

    def _milliseconds(self, value: int) -> int:
        return min(max(value // _MILLISECOND, 1), _MAX_MILLISECONDS) * _MILLISECOND

    def _constant(self, type: Type, value: int) -> t.Literal:
        match type.kind:
            case Kind.INT:
                return make.integer(value)
            case Kind.SIZE:
                return t.SizeLiteral(value, make.SPAN)
            case Kind.DURATION:
                return t.DurationLiteral(value, make.SPAN)
            case _:
                return t.PercentLiteral(value, make.SPAN)

    def _let(self) -> t.LetItem:
        choices = self.choices
        hooks = _BOTH if choices.chance(40) else frozenset({"thp"})
        chosen = choices.pick(LET_TYPES)
        made = self._expressions(hooks).of_type(chosen, choices.below(4))
        name = self._name()
        declared = Declared(name.text, chosen, hooks, made.const, self._is_present(made))
        self.scope.lets.append(declared)
        return t.LetItem(name, made.node, make.SPAN)

    def _is_present(self, made: Made) -> bool:
        """Whether `has` of a let of this would be refused, because it is always there."""
        known = [*self.scope.params, *self.scope.lets]
        return made.const is not None or (
            isinstance(made.node, t.NameExpr)
            and any(item.name == made.node.text and item.present for item in known)
        )

    def _expressions(self, hooks: frozenset[str]) -> Expressions:
        return Expressions(self.choices, self.scope, self.target, hooks)

    # -- host settings

    def _host(self) -> t.HostItem:
        rows = self.choices.some(list(host_rows().values()), 0, 4)
        settings = [self._setting(row) for row in rows]
        return t.HostItem(tuple(settings), make.SPAN)

    def _setting(self, row: HostRow) -> t.Setting:
        argument = None
        if row.per_size:
            order = self.choices.pick(order_numbers(self.target))
            argument = t.SizeLiteral(self.target.page_size << order, make.SPAN)
        if row.values:
            value = t.Word(self.choices.pick(row.values), make.SPAN)
        elif row.type == BOOL:
            value = t.Word(self.choices.pick(("on", "off")), make.SPAN)
        else:
            high = row.high // row.scale * row.scale
            value = self._constant(row.type, self.choices.pick((row.low, high)))
        name = make.name(row.name.removesuffix("[]"))
        return t.Setting(name, argument, value, make.SPAN)

    # -- blocks

    def _hook(self, hook: str) -> list[t.Item]:
        choices = self.choices
        mode = choices.pick(_MODES) if choices.chance(60) else None
        default = "meet" if hook == "thp" else "nearest"
        scopes = choices.some(_SCOPES, 1, 5)
        if (mode or default) != "meet":
            scopes = list(dict.fromkeys(scopes))
        blocks: list[t.Item] = [self._block(hook, scope) for scope in scopes]
        if mode is None:
            return blocks
        item = t.CombineItem(make.name(hook), make.name(mode), make.SPAN)
        return [item, *blocks]

    def _block(self, hook: str, scope: bytes | None) -> t.BlockItem:
        choices = self.choices
        expressions = self._expressions(frozenset({hook}))
        count = min(choices.below(7), self.rules_left)
        self.rules_left -= count
        entries: list[t.Entry] = [self._rule(hook, expressions) for _ in range(count)]
        otherwise = self._action(hook, expressions)
        entries.append(t.RuleEntry(self._label(), otherwise, None, True, make.SPAN))
        if choices.chance(30):
            entries.insert(choices.below(len(entries)), self._rollout())
        if hook == "numa" and choices.chance(50):
            entries.insert(choices.below(len(entries) + 1), self._hot_threshold())
        return t.BlockItem(
            make.name(hook),
            None if scope is None else make.string(scope),
            tuple(entries),
            make.SPAN,
            make.SPAN,
            make.SPAN,
        )

    def _rule(self, hook: str, expressions: Expressions) -> t.RuleEntry:
        action = self._action(hook, expressions)
        condition = expressions.condition(self.choices.below(4)).node
        return t.RuleEntry(self._label(), action, condition, False, make.SPAN)

    def _label(self) -> t.Name | None:
        if not self.labels or not self.choices.chance(15):
            return None
        return make.name(self.labels.pop(self.choices.below(len(self.labels))))

    def _action(self, hook: str, expressions: Expressions) -> t.Action:
        words = ("pass", "balance", "off") if hook == "numa" else ("pass", "deny", "allow", "allow")
        word = self.choices.pick(words)
        orders = expressions.orders(self.choices.below(3)).node if word == "allow" else None
        return t.Action(word, orders, make.SPAN)

    def _rollout(self) -> t.RolloutEntry:
        names = [item.name for item in self.scope.params if item.type == PERCENT]
        if names and self.choices.chance(50):
            return t.RolloutEntry(make.name_expr(self.choices.pick(names)), make.SPAN)
        value = self.choices.pick((0, 1, 2500, 5000, 7550, 9999, 10_000))
        return t.RolloutEntry(t.PercentLiteral(value, make.SPAN), make.SPAN)

    def _hot_threshold(self) -> t.HotThresholdEntry:
        if self.thresholds and self.choices.chance(50):
            name = make.name_expr(self.choices.pick(self.thresholds))
            return t.HotThresholdEntry(name, make.SPAN)
        value = self.choices.pick((1, 200, 1000, _MAX_MILLISECONDS)) * _MILLISECOND
        return t.HotThresholdEntry(t.DurationLiteral(value, make.SPAN), make.SPAN)


assert not set(NAMES) & set(attributes()), "a name of the pool is an attribute"
