"""Tests and properties: what they ask exists, has the right type, and can happen."""

from __future__ import annotations

import re

from policyc.check.blocks import ANSWERS
from policyc.check.declarations import check_constant, member_of
from policyc.check.expressions import Expressions
from policyc.check.literals import suggest, suggest_attribute
from policyc.check.model import Declarations, Typed
from policyc.check.words import EXAMPLES
from policyc.diagnostics.model import Label
from policyc.hooks.loader import attributes
from policyc.plan import cases as c
from policyc.plan import nodes as n
from policyc.plan.types import DURATION, INT, ORDERS, Kind, Type
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["check_promises"]

_SPACE = re.compile(r"\s+")
_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|#[^\n]*')

#: What rollouts use; no policy can ask for it.
_CGROUP_ID = "cgroup.id"


def check_promises(
    file: t.PolicyFile, declarations: Declarations, expressions: Expressions
) -> tuple[tuple[c.TestCase, ...], tuple[c.Property, ...]]:
    """The tests and properties of a policy; every mistake in them is reported."""
    hooks = {item.hook.text for item in file.items if isinstance(item, t.BlockItem)}
    checker = _Checker(declarations, expressions, hooks)
    tests: list[c.TestCase] = []
    properties: list[c.Property] = []
    for item in file.items:
        match item:
            case t.TestItem():
                tests.append(checker.test(item))
            case t.PropertyItem():
                properties += checker.property(item)
            case _:
                pass
    return tuple(tests), tuple(properties)


def _on_one_line(span: Span) -> str:
    text = _COMMENT.sub(lambda match: match[1] or "", span.text)
    return _SPACE.sub(" ", text).strip().rstrip(";")


def _title(name: t.StringLiteral) -> str:
    return name.value.decode("utf-8", "replace")


class _Checker:
    def __init__(
        self, declarations: Declarations, expressions: Expressions, hooks: set[str]
    ) -> None:
        self.declarations = declarations
        self.diagnostics = declarations.diagnostics
        self.expressions = expressions
        self.hooks = hooks
        self.titles: dict[tuple[type, str], Span] = {}

    def _begin(self, item: t.TestItem | t.PropertyItem) -> n.HookName:
        """What tests and properties have in common: their name and their hook."""
        what = "test" if isinstance(item, t.TestItem) else "property"
        key = (type(item), _title(item.name))
        if key in self.titles:
            self.diagnostics.add(
                "PC0202",
                f"there are two of the {what} {item.name.span.text}",
                item.name.span,
                related=(Label(self.titles[key], "the other one"),),
                help="reports tell them apart by their names; rename one",
            )
        self.titles.setdefault(key, item.name.span)
        if item.hook.text not in self.hooks and self.hooks:
            self.diagnostics.add(
                "PC0807",
                f"this {what} is about {item.hook.text}, and the policy has no "
                f"{item.hook.text} block",
                item.hook.span,
                help=f"add a {item.hook.text} block, or remove the {what}",
            )
        return n.HookName(item.hook.text)

    # -- properties

    def property(self, item: t.PropertyItem) -> list[c.Property]:
        """The property, or nothing if there is a mistake in it."""
        hook = self._begin(item)
        self.expressions.result = hook
        typed = self.expressions.condition(item.condition)
        self.expressions.result = None
        self._check_hook(hook)
        if typed is None:
            return []
        # The span of an expression ends before the parentheses that close around its end.
        source, start = item.span.source, item.hook.span.end
        text = _on_one_line(Span(source, start, item.span.end)).lstrip(": ")
        return [c.Property(_title(item.name), hook, typed.expr, item.span.line, text)]

    def _check_hook(self, hook: n.HookName) -> None:
        """What was asked for must be in the requests of the hook."""
        reported: set[str] = set()
        for use in self.expressions.uses:
            if hook.value not in use.row.hooks and use.row.name not in reported:
                reported.add(use.row.name)
                related = (Label(use.through, "used here"),) if use.through else ()
                self._not_of_hook(use.row.name, use.span, hook, related)
        self.expressions.uses = []

    def _not_of_hook(
        self, name: str, span: Span, hook: n.HookName, related: tuple[Label, ...] = ()
    ) -> None:
        hooks = ", ".join(sorted(attributes()[name].hooks))
        self.diagnostics.add(
            "PC0205",
            f"`{name}` does not exist in {hook.value} requests",
            span,
            f"only in {hooks}",
            related=related,
            help=f"`policyc attributes` lists what {hook.value} requests have",
        )

    # -- tests

    def test(self, item: t.TestItem) -> c.TestCase:
        """The test, without the steps that have a mistake."""
        hook = self._begin(item)
        steps: list[c.Step | None] = []
        has_request = False
        for step in item.steps:
            match step:
                case t.GivenStep():
                    steps.append(self._given(step, hook))
                    has_request = True
                case t.ExpectStep():
                    if not has_request:
                        self._without_request(step)
                    steps.append(self._expect(step, hook))
                case t.SetStep():
                    steps.append(self._set(step))
                case t.ParamStep():
                    steps.append(self._param(step))
        if not any(isinstance(step, t.ExpectStep) for step in item.steps):
            self.diagnostics.add(
                "PC0804",
                "this test expects nothing",
                item.header,
                help="write what the answer is, as in `expect deny;`",
            )
        kept = tuple(step for step in steps if step is not None)
        return c.TestCase(_title(item.name), hook, kept, item.span.line)

    def _without_request(self, step: t.ExpectStep) -> None:
        self.diagnostics.add(
            "PC0803",
            "there is no request yet to which this could be the answer",
            step.span,
            help="write `given ATTRIBUTE = VALUE, ...;` above it",
        )

    def _given(self, step: t.GivenStep, hook: n.HookName) -> c.Given | None:
        values: dict[str, n.ConstValue] = {}
        first: dict[str, Span] = {}
        failed = False
        for assignment in step.assignments:
            name = assignment.name.text
            if name in first:
                self.diagnostics.add(
                    "PC0506",
                    f"`{name}` is given twice",
                    assignment.name.span,
                    related=(Label(first[name], "given here first"),),
                    help="keep one of them",
                )
            first.setdefault(name, assignment.name.span)
            value = self._value(assignment, hook)
            if value is None:
                failed = True
            else:
                values[name] = value
        request = None if failed else self._request(values, step, hook)
        if request is None:
            return None
        return c.Given(
            tuple(request.items()), tuple(values), step.span.line, _on_one_line(step.span)
        )

    def _value(self, assignment: t.Assignment, hook: n.HookName) -> n.ConstValue | None:
        name = assignment.name
        row = attributes().get(name.text)
        if row is None and name.text != _CGROUP_ID:
            self.diagnostics.add(
                "PC0201",
                f"requests have nothing that is called `{name.text}`",
                name.span,
                "no attribute",
                help=suggest_attribute(name.text)
                or suggest(name.text, attributes())
                or "`policyc attributes` lists the attributes",
            )
            return None
        if row is not None and hook.value not in row.hooks:
            self._not_of_hook(row.name, name.span, hook)
            return None
        wanted = INT if row is None else row.type
        value = self._constant(assignment.value, wanted, name.text)
        if value is not None and wanted == ORDERS:
            every = self.declarations.target.large_orders
            mask = int(value)
            return mask & every if mask >> (self.declarations.target.pmd_order + 1) else mask
        return value

    def _constant(self, node: t.Expr, wanted: Type, what: str) -> n.ConstValue | None:
        """The constant that an expression is, None (reported) if it is of another type."""
        typed = self.expressions.check(node, wanted)
        self.expressions.uses = []
        if typed is None:
            return None
        if typed.type == wanted and isinstance(typed.expr, n.Const):
            return typed.expr.value
        self._not_constant(typed, wanted, what)
        return None

    def _not_constant(self, typed: Typed, wanted: Type, what: str) -> None:
        examples = {
            Kind.BOOL: "`true` or `false`",
            Kind.ORDERS: "an order set such as `all`, `pmd` or `16K..64K`",
            **EXAMPLES,
        }
        same = typed.type == wanted
        self.diagnostics.add(
            "PC0801",
            f"`{what}` is a constant of type {wanted}, and this "
            + (
                "changes with the request or the parameters" if same else f"is of type {typed.type}"
            ),
            typed.span,
            "not a constant" if same else f"of type {typed.type}",
            help=f"write {examples[wanted.kind]}" if wanted.kind in examples else "",
        )

    def _request(
        self, values: dict[str, n.ConstValue], step: t.GivenStep, hook: n.HookName
    ) -> dict[str, n.ConstValue | None] | None:
        """All values of the request, None (reported) if these contradict each other."""
        from policyc.runtime.completion import completed
        from policyc.runtime.requests import NumaRequest, ThpRequest

        kind = ThpRequest if hook is n.HookName.THP else NumaRequest
        names = {item.field: item.name for item in kind.attributes}
        names["memory_free"] = "memory.free"
        fields = {name: field for field, name in names.items()}
        if hook is n.HookName.THP:
            values = {"orders": self.declarations.target.large_orders, **values}
        try:
            known = completed({fields[name]: value for name, value in values.items()})
            request = kind.from_values({names[field]: value for field, value in known.items()})
        except ValueError as error:
            self.diagnostics.add(
                "PC0805",
                f"there is no such request: {error}",
                step.span,
                help="leave out what follows from the others",
            )
            return None
        return request.values()

    def _expect(self, step: t.ExpectStep, hook: n.HookName) -> c.Expectation | None:
        word = step.action.word
        if word not in ANSWERS[hook]:
            answers = ", ".join(f"`{answer}`" for answer in ANSWERS[hook])
            self.diagnostics.add(
                "PC0510",
                f"`{word}` is not an answer to {hook.value}",
                step.action.span,
                help=f"the answers are {answers}",
            )
            return None
        threshold = None
        if step.hot_threshold is not None:
            if word != "balance":
                self.diagnostics.add(
                    "PC0511",
                    "a hot threshold belongs to `expect balance`",
                    step.hot_threshold.span,
                    help="leave it out",
                )
                return None
            threshold = self._constant(step.hot_threshold, DURATION, "hot_threshold")
            if threshold is None:
                return None
        expected = self._expected(step, None if threshold is None else int(threshold))
        if expected is None:
            return None
        return c.Expectation(expected, step.span.line, _on_one_line(step.span))

    def _expected(self, step: t.ExpectStep, threshold: int | None) -> c.Expected | None:
        match step.action.word:
            case "allow":
                assert step.action.orders is not None
                orders = self._constant(step.action.orders, ORDERS, "allow")
                return None if orders is None else c.ExpectOrders(int(orders))
            case "deny":
                return c.ExpectOrders(0)
            case "pass":
                return c.ExpectNoOpinion()
            case word:
                return c.ExpectBalance(word == "balance", threshold)

    # -- changes of sets and parameters

    def _unknown(self, name: t.Name, what: str, known: dict[str, object]) -> None:
        if name.text in self.declarations.broken:
            return
        self.diagnostics.add(
            "PC0201",
            f"no {what} is called `{name.text}`",
            name.span,
            help=suggest(name.text, self.declarations.known(known)),
        )

    def _set(self, step: t.SetStep) -> c.SetMembers | None:
        name = step.name.text
        if name not in self.declarations.sets:
            self._unknown(step.name, "set", dict(self.declarations.sets))
            return None
        set_type = self.declarations.set_types.get(name)
        if set_type is None:
            return None
        members = [member_of(set_type, member, self.diagnostics) for member in step.members]
        kept = tuple(dict.fromkeys(member for member in members if member is not None))
        return c.SetMembers(name, kept, step.span.line, _on_one_line(step.span))

    def _param(self, step: t.ParamStep) -> c.SetParam | None:
        name = step.name.text
        if name not in self.declarations.params:
            self._unknown(step.name, "parameter", dict(self.declarations.params))
            return None
        definition = self.declarations.checked_params.get(name)
        if definition is None:
            return None
        value = check_constant(step.value, definition.type, self.diagnostics)
        if value is None:
            return None
        if not definition.low <= value <= definition.high:
            self.diagnostics.add(
                "PC0802",
                f"`{step.name.span.text}` cannot have this value, which is outside its range",
                step.value.span,
                "this is outside",
                related=(Label(self.declarations.params[name].span, "the parameter"),),
                help="a running policy refuses it too; choose a value of the range",
            )
            return None
        return c.SetParam(name, value, step.span.line, _on_one_line(step.span))
