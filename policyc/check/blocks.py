"""thp and numa blocks: rules, answers, reachability, rollout and hot threshold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from policyc.check.declarations import check_name
from policyc.check.expressions import Expressions
from policyc.check.literals import cgroup_path
from policyc.check.model import AttributeUse, Declarations
from policyc.check.truth import Truth
from policyc.diagnostics.model import Fix, Label
from policyc.plan import nodes as n
from policyc.plan.types import CGROUP, DURATION, ORDERS, PERCENT, Type
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["ANSWERS", "CheckedBlock", "CheckedRule", "check_block"]

#: The answers to each hook.
ANSWERS = {
    n.HookName.THP: ("allow", "deny", "pass"),
    n.HookName.NUMA: ("balance", "off", "pass"),
}
_MILLISECOND = 1_000_000
_MAX_MILLISECONDS = (1 << 32) - 1
#: After these, the values in conditions are not those of the text.
_CLAMPED = ("PC0108", "PC0406")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """A rule as the plan will have it, and where it stands."""

    condition: n.Expr | None
    action: n.Action
    label: str
    text: str
    span: Span
    answer_span: Span


@dataclass(slots=True)
class CheckedBlock:
    """A block as the plan will have it, with what the profile checks need to know."""

    hook: n.HookName
    item: t.BlockItem
    scope: str | None
    rules: list[CheckedRule] = field(default_factory=list[CheckedRule])
    rollout: n.Expr | None = None
    hot_threshold: n.Expr | None = None
    hot_threshold_span: Span | None = None
    uses: list[AttributeUse] = field(default_factory=list[AttributeUse])


def check_block(
    item: t.BlockItem,
    declarations: Declarations,
    expressions: Expressions,
    truth: Truth,
    labels: dict[str, Span],
) -> CheckedBlock:
    """Check one block; every mistake in it is reported."""
    checker = _BlockChecker(item, declarations, expressions, truth, labels)
    checker.check()
    return checker.block


class _BlockChecker:
    def __init__(
        self,
        item: t.BlockItem,
        declarations: Declarations,
        expressions: Expressions,
        truth: Truth,
        labels: dict[str, Span],
    ) -> None:
        self.item = item
        self.declarations = declarations
        self.diagnostics = declarations.diagnostics
        self.expressions = expressions
        self.labels = labels
        self.truth = truth
        scope = cgroup_path(item.scope, self.diagnostics) if item.scope else None
        self.block = CheckedBlock(n.HookName(item.hook.text), item, scope)

    def check(self) -> None:
        self.expressions.uses = []
        if self.block.scope is not None:
            self.declarations.path(self.block.scope)
        rules: list[tuple[t.RuleEntry, CheckedRule]] = []
        otherwise: t.RuleEntry | None = None
        for entry in self.item.entries:
            match entry:
                case t.RuleEntry():
                    checked = self._rule(entry)
                    if otherwise is not None:
                        self._after_otherwise(entry, otherwise)
                    elif checked is not None:
                        rules.append((entry, checked))
                    otherwise = otherwise or (entry if entry.otherwise else None)
                case t.RolloutEntry():
                    self._rollout(entry)
                case t.HotThresholdEntry():
                    self._hot_threshold(entry)
        if otherwise is None:
            self._no_otherwise()
        self.block.rules = [rule for _, rule in rules]
        self.block.uses = self.expressions.uses
        self.expressions.uses = []
        if not any(item.code in _CLAMPED for item in self.diagnostics.items):
            _Reachability(self.expressions, self.truth, self.block).check()

    # -- rules

    def _rule(self, entry: t.RuleEntry) -> CheckedRule | None:
        action = self._action(entry.action)
        condition = None
        if entry.condition is not None:
            condition = self.expressions.condition(entry.condition)
        elif not entry.otherwise:
            self._without_when(entry)
            return None
        label = self._label(entry)
        if action is None or (entry.condition is not None and condition is None):
            return None
        return CheckedRule(
            condition.expr if condition else None,
            action,
            label,
            _SPACE.sub(" ", _without_comments(entry.span.text)).strip(),
            entry.condition.span if entry.condition else entry.span,
            entry.action.span,
        )

    def _label(self, entry: t.RuleEntry) -> str:
        if entry.label is None:
            return ""
        name = entry.label
        if name.text in self.labels:
            self.diagnostics.add(
                "PC0202",
                f"two rules are labelled `{name.text}`",
                name.span,
                related=(Label(self.labels[name.text], "first used here"),),
                help="labels tell rules apart in counters and reports; rename one",
            )
        elif check_name(name, "rule", self.diagnostics):
            self.labels[name.text] = name.span
        return name.text

    def _action(self, action: t.Action) -> n.Action | None:
        if action.word not in ANSWERS[self.block.hook]:
            answers = ", ".join(f"`{word}`" for word in ANSWERS[self.block.hook])
            self.diagnostics.add(
                "PC0510",
                f"`{action.word}` is not an answer to {self.block.hook.value}",
                action.span,
                help=f"the answers are {answers}",
            )
            return None
        if action.word == "allow":
            return self._allow(action)
        match action.word:
            case "deny":
                return n.Allow(n.Const(ORDERS, 0))
            case "pass":
                return n.Pass()
            case _:
                return n.Balance(action.word == "balance")

    def _allow(self, action: t.Action) -> n.Action | None:
        assert action.orders is not None
        orders = self.expressions.orders(action.orders)
        if orders is None:
            return None
        if isinstance(orders.expr, n.Const) and orders.expr.value == 0:
            self.diagnostics.add(
                "PC0509",
                "this allows no order at all",
                action.span,
                help="write `deny`",
                fix=Fix(action.span, "deny"),
            )
        if orders.expr == n.Attribute(ORDERS, "orders"):
            return n.Allow(n.Const(ORDERS, n.ALL_ORDERS))
        return n.Allow(orders.expr)

    def _without_when(self, entry: t.RuleEntry) -> None:
        last = entry is self.item.entries[-1]
        self.diagnostics.add(
            "PC0505",
            "a rule has a condition, or is the last and says `otherwise`",
            entry.span,
            help="write `otherwise` in front of it" if last else "add `when CONDITION`",
            fix=Fix(
                Span(entry.span.source, entry.action.span.start, entry.action.span.start),
                "otherwise ",
            )
            if last
            else None,
        )

    def _after_otherwise(self, entry: t.RuleEntry, otherwise: t.RuleEntry) -> None:
        self.diagnostics.add(
            "PC0502",
            "no request reaches this rule",
            entry.span,
            related=(Label(otherwise.span, "this answers every request that is left"),),
            help="move it above `otherwise`, or remove it",
        )

    def _no_otherwise(self) -> None:
        if self.item.entries and _lacks_only_the_word(self.item.entries[-1]):
            return
        self.diagnostics.add(
            "PC0501",
            f"this {self.block.hook.value} block does not say what happens otherwise",
            self.item.close,
            "`otherwise` is missing here",
            related=(Label(self.item.header, "the block"),),
            help="end it with `otherwise pass;` (no opinion) or with an answer",
        )

    # -- the other entries

    def _rollout(self, entry: t.RolloutEntry) -> None:
        if self.block.rollout is not None:
            self._twice("rollout", entry.span)
        typed = self.expressions.check(entry.share)
        if typed is None:
            return
        if not self._is_plain(typed.expr) or typed.type != PERCENT:
            self._wants("rollout", "a percent", entry.share, typed.type, "`rollout 5% by cgroup`")
            return
        self.block.rollout = typed.expr

    def _hot_threshold(self, entry: t.HotThresholdEntry) -> None:
        if self.block.hook is not n.HookName.NUMA:
            self.diagnostics.add(
                "PC0511",
                "a hot threshold belongs to a numa block",
                entry.span,
                help="move it to `numa for cgroup ... { }`",
            )
            return
        if self.block.hot_threshold is not None:
            self._twice("hot_threshold", entry.span)
        typed = self.expressions.check(entry.value)
        if typed is None:
            return
        if not self._is_plain(typed.expr) or typed.type != DURATION:
            self._wants("hot_threshold", "a duration", entry.value, typed.type, "`200ms`")
            return
        if isinstance(typed.expr, n.Const):
            self._check_milliseconds([int(typed.expr.value)], entry)
        elif isinstance(typed.expr, n.Param):
            definition = self.declarations.checked_params[typed.expr.name]
            assert definition is not None
            self._check_milliseconds([definition.low, definition.high], entry)
        self.block.hot_threshold = typed.expr
        self.block.hot_threshold_span = entry.span

    def _is_plain(self, expr: n.Expr) -> bool:
        return isinstance(expr, n.Const | n.Param)

    def _check_milliseconds(self, values: list[int], entry: t.HotThresholdEntry) -> None:
        for value in values:
            milliseconds, rest = divmod(value, _MILLISECOND)
            if rest or not 1 <= milliseconds <= _MAX_MILLISECONDS:
                self.diagnostics.add(
                    "PC0411",
                    "the kernel takes whole milliseconds, from 1 to 4294967295",
                    entry.value.span,
                    help="leave hot_threshold out for the system's own"
                    if value == 0
                    else "the range of the parameter has to keep to that"
                    if len(values) > 1
                    else "write whole milliseconds",
                )
                return

    def _twice(self, what: str, span: Span) -> None:
        self.diagnostics.add(
            "PC0506", f"{what} is given twice in one block", span, help="keep one of them"
        )

    def _wants(self, what: str, kind: str, node: t.Expr, found: Type, example: str) -> None:
        right_type = found in (PERCENT, DURATION)
        self.diagnostics.add(
            "PC0309",
            f"{what} is {kind}, or a parameter of that type; this is "
            + ("neither" if right_type else f"of type {found}"),
            node.span,
            "changes with each request" if right_type else f"of type {found}",
            help=f"write for example {example}, or the name of a parameter",
        )


def _lacks_only_the_word(entry: t.Entry) -> bool:
    """Whether the block ends with a rule that was already told to say `otherwise`."""
    return isinstance(entry, t.RuleEntry) and entry.condition is None and not entry.otherwise


def _without_comments(text: str) -> str:
    if "#" not in text:
        return text
    return re.sub(r'("(?:[^"\\\n]|\\.)*")|#[^\n]*', lambda m: m[1] or "", text)


class _Reachability:
    """Finds rules that nothing reaches, and conditions that are always the same."""

    def __init__(self, expressions: Expressions, truth: Truth, block: CheckedBlock) -> None:
        self.diagnostics = expressions.diagnostics
        self.expressions = expressions
        self.truth = truth
        self.block = block
        self.scope: list[tuple[n.Expr, bool]] = []
        if block.scope is not None:
            path = expressions.declarations.path(block.scope)
            self.scope.append((n.UnderPath(n.Attribute(CGROUP, "cgroup"), path), True))

    def check(self) -> None:
        """Go through the rules, with what is known when each of them is asked."""
        exhausted: CheckedRule | None = None
        with self.truth.assuming(*self.scope):
            for rule in self.block.rules:
                if rule.condition is None:
                    continue
                if exhausted is not None:
                    self._unreachable(rule, exhausted)
                    continue
                if self.truth.first_constant(rule.condition) is not None:
                    self._report(rule, rule.condition)
                    if self.truth.of(rule.condition) is True:
                        exhausted = rule
                self.truth.assume(rule.condition, False)

    def _report(self, rule: CheckedRule, condition: n.Expr) -> None:
        """Something is constant here; say whether by itself, or because of the rules above."""
        alone = self.truth.fresh()
        with alone.assuming(*self.scope):
            if alone.of(condition) is True:
                self._constant(rule, (condition, True))
            elif (constant := alone.first_constant(condition)) is not None:
                self._constant(rule, constant)
            elif self.truth.of(condition) is False:
                self._unreachable(rule, self._same_condition(rule))

    def _same_condition(self, rule: CheckedRule) -> CheckedRule | None:
        for other in self.block.rules:
            if other is rule:
                return None
            if other.condition == rule.condition:
                return other
        return None

    def _constant(self, rule: CheckedRule, constant: tuple[n.Expr, bool]) -> None:
        expr, value = constant
        whole = expr is rule.condition
        word = "true" if value else "false"
        what = "the condition" if whole else "this part of the condition"
        if whole:
            advice = "write `otherwise`, and remove the rules below" if value else "remove the rule"
        else:
            advice = "remove it" if value else "it cannot hold where it stands; correct it"
        self.diagnostics.add(
            "PC0503" if value else "PC0504",
            f"{what} is always {word}",
            self.expressions.span_of(expr) or rule.span,
            f"always {word}",
            help=advice,
        )

    def _unreachable(self, rule: CheckedRule, because: CheckedRule | None) -> None:
        related = (Label(because.span, "this rule answers first"),) if because else ()
        self.diagnostics.add(
            "PC0502",
            "no request reaches this rule",
            rule.span,
            "the rules above answer every request for which this holds",
            related=related,
            help="remove it, or move it up",
        )
