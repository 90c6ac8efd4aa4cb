"""What the rules of the linter look at, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from policyc.check.blocks import CheckedBlock, CheckedRule
from policyc.check.truth import Truth
from policyc.diagnostics.model import Diagnostic, Fix, Label
from policyc.hooks.loader import attributes, enumerations
from policyc.hooks.loader import profiles as known_profiles
from policyc.hooks.model import Profile
from policyc.lint.expressions import changed_by_tests, parts
from policyc.plan import nodes as n
from policyc.plan.types import ORDERS, SIZE, format_size
from policyc.source import Source, Span
from policyc.syntax import tree as t

__all__ = ["EVENT", "Finding", "LintRule", "Outside", "Statement", "Subject", "Text", "TextRule"]

EVENT = n.Attribute(attributes()["event"].type, "event")
_ORDERS = n.Attribute(ORDERS, "orders")


class Finding(NamedTuple):
    """What a rule has found; which rule it was is added by the caller."""

    span: Span
    message: str
    label: str = ""
    related: tuple[Label, ...] = ()
    help: str = ""
    fix: Fix | None = None


class LintRule(NamedTuple):
    """A rule by its code; `fixes` says that it has a safe fix at least for some findings."""

    code: str
    find: Callable[[Subject], Iterator[Finding]]
    fixes: bool = False


class TextRule(NamedTuple):
    """A rule that can judge a file of definitions too."""

    code: str
    find: Callable[[Text], Iterator[Finding]]
    fixes: bool = False


@dataclass(frozen=True, slots=True)
class Outside:
    """What other files need of one: definitions by name, and comments by place and code.

    With `unknown` nobody knows which definitions they need.
    """

    names: frozenset[str] = frozenset()
    comments: frozenset[tuple[int, str]] = frozenset()
    unknown: bool = False


class Statement(NamedTuple):
    """A rule of the policy: its block, how it is written, and what it means."""

    block: CheckedBlock
    entry: t.RuleEntry
    rule: CheckedRule


@dataclass
class Text:
    """A file without errors, a policy or definitions, as text and as tree.

    `linked` has the definitions of the files that it imports too, by their names in the plan,
    and `used` are the names that something refers to; `diagnostics` is what the checker said,
    `outside` what other files need of this one.
    """

    source: Source
    file: t.PolicyFile
    linked: t.PolicyFile
    used: frozenset[str]
    target: n.Target
    diagnostics: Sequence[Diagnostic]
    outside: Outside

    @cached_property
    def others(self) -> list[t.SetItem | t.ParamItem | t.LetItem]:
        """The definitions of other files that this one uses."""
        return [
            item
            for item in self.linked.items
            if isinstance(item, t.SetItem | t.ParamItem | t.LetItem)
            and item.span.source is not self.source
            and item.name.text in self.used
        ]

    @cached_property
    def tested(self) -> frozenset[str]:
        """The sets and parameters that tests change, as they write them."""
        return changed_by_tests(self.file)


@dataclass
class Subject(Text):
    """A policy without errors, and its plan.

    `named` are the kernel interfaces that the user named, none if he named none.
    """

    plan: n.Plan
    blocks: Sequence[CheckedBlock]
    named: Sequence[str] = ()

    _events: dict[int, frozenset[str]] = field(default_factory=dict[int, frozenset[str]])

    # -- the parts of the policy

    @cached_property
    def statements(self) -> list[Statement]:
        """Every rule that can be reached past `otherwise`, in the order of the text."""
        return [
            Statement(block, entry, rule)
            for block in self.blocks
            for entry, rule in zip(
                (entry for entry in block.item.entries if isinstance(entry, t.RuleEntry)),
                block.rules,
                strict=False,  # what follows `otherwise` is not in the plan
            )
        ]

    def of_hook(self, hook: n.HookName) -> list[Statement]:
        """The rules of one hook."""
        return [statement for statement in self.statements if statement.block.hook is hook]

    def by_block(self, hook: n.HookName | None = None) -> list[list[Statement]]:
        """The rules of each block, of one hook or of both."""
        groups: dict[int, list[Statement]] = {id(block): [] for block in self.blocks}
        for statement in self.statements:
            if hook in (None, statement.block.hook):
                groups[id(statement.block)].append(statement)
        return list(groups.values())

    def has(self, hook: n.HookName) -> bool:
        """Whether the policy has a block for the hook."""
        return any(block.hook is hook for block in self.blocks)

    @cached_property
    def lets(self) -> Mapping[str, n.Expr]:
        """The expressions of the lets."""
        return {local.name: local.expr for local in self.plan.locals}

    @cached_property
    def truth(self) -> Truth:
        """What can be said of conditions without a request."""
        params = {param.name: param for param in self.plan.params}
        return Truth(params, self.lets, self.plan.paths.__getitem__)

    def profiles(self, hook: n.HookName) -> tuple[list[Profile], bool]:
        """The kernel interfaces of a hook to judge by, and whether the user named them."""
        able = [
            profile
            for profile in known_profiles().values()
            if profile.answers(hook.value) and profile.attachment != "test-run"
        ]
        chosen = [profile for profile in able if profile.name in self.named]
        return (chosen, True) if self.named else (able, False)

    # -- the host block

    @cached_property
    def settings(self) -> list[tuple[n.HostSetting, t.Setting]]:
        """The settings of the machine, with where they are written."""
        written = [
            setting
            for item in self.file.items
            if isinstance(item, t.HostItem)
            for setting in item.settings
        ]
        return list(zip(self.plan.host, written, strict=False))

    def setting(self, name: str) -> tuple[n.HostSetting, t.Setting] | None:
        """A setting that is not per size."""
        return next((pair for pair in self.settings if pair[0].name == name), None)

    def sizes(self, *names: str) -> dict[int, tuple[n.HostSetting, t.Setting]]:
        """The settings per size of these names that switch an order on, by the order."""
        return {
            setting.argument: (setting, written)
            for setting, written in self.settings
            if setting.name in names and setting.argument is not None and setting.value != "never"
        }

    # -- orders and events

    @property
    def pmd(self) -> int:
        """The PMD order as a mask."""
        return 1 << self.plan.target.pmd_order

    @property
    def smaller(self) -> int:
        """The orders of large folios below the PMD order, as a mask."""
        return (self.pmd - 1) & ~0b11

    def sizes_of(self, mask: int) -> list[str]:
        """The page sizes of a mask of orders, the smallest first."""
        shift = self.plan.target.page_shift
        top = self.plan.target.pmd_order
        return [format_size(1 << (order + shift)) for order in range(top + 1) if mask >> order & 1]

    def most(self, expr: n.Expr) -> int:
        """The orders that an order set can have at most."""
        match expr:
            case n.Const(_, value):
                return int(value)
            case n.Local(_, name):
                return self.most(self.lets[name])
            case n.Union(left, right):
                return self.most(left) | self.most(right)
            case n.Difference(left, n.Const(_, value)):
                return self.most(left) & ~int(value)
            case n.Difference(left, _):
                return self.most(left)
            case _:
                return n.ALL_ORDERS

    def allowed(self, rule: CheckedRule) -> int:
        """The orders that a rule can allow at most; all of them if it passes."""
        return self.most(rule.action.orders) if isinstance(rule.action, n.Allow) else n.ALL_ORDERS

    def may_hold(self, rule: CheckedRule, *facts: tuple[n.Expr, bool]) -> bool:
        """Whether the condition of a rule can hold while these facts do."""
        if rule.condition is None:
            return True
        with self.truth.assuming(*facts):
            return self.truth.of(rule.condition) is not False

    def events(self, rule: CheckedRule) -> frozenset[str]:
        """The events for which a thp rule can answer."""
        events = self._events.get(id(rule))
        if events is None:
            names = [member.name for member in enumerations()["event"].members]
            if self._asks_the_event(rule):
                events = frozenset(m for m in names if self.may_hold(rule, (is_event(m), True)))
            else:
                events = frozenset(names if self.may_hold(rule) else ())
            self._events[id(rule)] = events
        return events

    def answers_only(self, rule: CheckedRule, event: str) -> bool:
        """Whether a thp rule asks for the event, and can answer for this one and no other."""
        if not self._asks_the_event(rule):
            return False
        others = (m.name for m in enumerations()["event"].members if m.name != event)
        if any(self.may_hold(rule, (is_event(other), True)) for other in others):
            return False
        return self.may_hold(rule, (is_event(event), True))

    def _asks_the_event(self, rule: CheckedRule) -> bool:
        condition = rule.condition
        return condition is not None and any(
            isinstance(part, n.Attribute) and part.name == EVENT.name
            for part in parts(condition, self.lets)
        )

    @property
    def small_query(self) -> tuple[tuple[n.Expr, bool], ...]:
        """What holds when a fault asks for the orders below the PMD order."""
        pmd = n.Const(ORDERS, self.pmd)
        size = n.Const(SIZE, self.plan.target.pmd_size)
        return (
            (n.Contains(pmd, _ORDERS), False),
            (n.Overlaps(pmd, _ORDERS), False),
            (n.Overlaps(_ORDERS, pmd), False),
            (n.Compare(n.CompareOperator.EQUAL, _ORDERS, pmd), False),
            (n.Compare(n.CompareOperator.LESS, n.Highest(_ORDERS), size), True),
            (is_event("pagefault"), True),
        )


def is_event(name: str) -> n.Compare:
    """`event is NAME`."""
    return n.Compare(n.CompareOperator.EQUAL, EVENT, n.Const(EVENT.type, name))
