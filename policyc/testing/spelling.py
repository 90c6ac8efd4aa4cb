"""Requests, states, answers and conditions as a policy and `policyc decide` write them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values
from policyc.plan.promises import first_state
from policyc.plan.types import Kind, Type
from policyc.runtime.units import spell_value
from policyc.simulate.explain import spell_mask
from policyc.syntax.printer import format_string

__all__ = [
    "decide_command",
    "spell_answer",
    "spell_expression",
    "spell_rule",
    "spell_state",
    "spell_values",
]

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@-]+")


def _spell(value: n.ConstValue, kind: Kind, target: n.Target) -> str:
    match kind:
        case Kind.ORDERS:
            return spell_mask(int(value), target) if value != target.large_orders else "all"
        case Kind.STRING if isinstance(value, bytes):
            return format_string(value)
        case Kind.CGROUP:
            text = str(value)
            quoted = format_string(text.encode("utf-8", "surrogateescape"))
            return text if quoted == f'"{text}"' else quoted
        case Kind.ENUM:
            return str(value)
        case _:
            return spell_value(kind.value, int(value))


def _kind(name: str) -> Kind:
    return attributes()[name].type.kind if name in attributes() else Kind.INT


def _spelled(
    plan: n.Plan, names: Iterable[str], values: Values
) -> Iterator[tuple[str, n.ConstValue, str]]:
    for name in names:
        value = values.get(name)
        if value is not None and name != "cgroup.depth":
            yield name, value, _spell(value, _kind(name), plan.target)


def spell_values(plan: n.Plan, names: Iterable[str], values: Values) -> list[str]:
    """A line for each of some attributes that are there: `vma.size = 8M`."""
    return [f"{name} = {text}" for name, _, text in _spelled(plan, names, values)]


def _changes(plan: n.Plan, state: State) -> tuple[list[n.ParamDefinition], list[n.SetDefinition]]:
    first = first_state(plan)
    params = [p for p in plan.params if state.params[p.name] != first.params[p.name]]
    return params, [s for s in plan.sets if state.sets[s.name] != first.sets[s.name]]


def _members(members: frozenset[bytes | str]) -> list[str]:
    return sorted(
        m if isinstance(m, str) else m.decode("utf-8", "surrogateescape") for m in members
    )


def spell_state(plan: n.Plan, state: State) -> list[str]:
    """A line for each set and parameter that is not as the policy says."""
    params, sets = _changes(plan, state)
    lines = [
        f"param {item.name} = {spell_value(item.type.kind.value, state.params[item.name])}"
        for item in params
    ]
    for item in sets:
        listed = ", ".join(
            format_string(member.encode("utf-8", "surrogateescape"))
            for member in _members(state.sets[item.name])
        )
        lines.append(f"set {item.name} = {{ {listed} }}" if listed else f"set {item.name} = {{}}")
    return lines


def decide_command(
    plan: n.Plan, hook: n.HookName, names: Iterable[str], values: Values, state: State
) -> str:
    """The command that explains the answer to a request, for a shell."""
    words = ["policyc", "decide", plan.file, "--hook", hook.value]
    if plan.target.page_size != n.Target().page_size:
        words += ["--page-size", f"{plan.target.page_size >> 10}K"]
    if plan.target.pmd_order != (plan.target.page_size // 8).bit_length() - 1:
        words += ["--pmd-order", str(plan.target.pmd_order)]
    params, sets = _changes(plan, state)
    for item in params:
        text = spell_value(item.type.kind.value, state.params[item.name])
        words += ["--param", f"{item.name}={text}"]
    for item in sets:
        for member in _members(state.sets[item.name]) or [""]:
            words += ["--set", f"{item.name}={member}"]
    for name, value, text in _spelled(plan, names, values):
        plain = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""
        words.append(f"{name}={plain if _PLAIN.fullmatch(plain) else text}")
    return shlex.join(words)


def spell_answer(plan: n.Plan, hook: n.HookName, values: Values, outcome: Outcome) -> str:
    """An answer as a rule or `policyc decide` would say it."""
    if hook is n.HookName.NUMA:
        if outcome.decided_by is None:
            return "pass (no block has an opinion: not balanced by this policy)"
        if not outcome.on:
            return "off"
        threshold = outcome.hot_threshold
        said = "that of the system" if threshold is None else spell_value("duration", threshold)
        return f"balance, hot_threshold = {said}"
    if outcome.decided_by is None:
        return "pass (no block has an opinion: left alone)"
    if not outcome.orders:
        return "deny"
    whole = " (all that was requested)" if outcome.orders == values.get("orders") else ""
    return f"allow {spell_mask(outcome.orders, plan.target)}{whole}"


def spell_rule(plan: n.Plan, rule: n.Rule | None) -> str:
    """The place and the text of the rule that decided."""
    if rule is None:
        return "no rule"
    label = f"  ({rule.label})" if rule.label else ""
    return f"{plan.file}:{rule.line}  {rule.text}{label}"


# -- conditions


def spell_expression(expr: n.Expr, plan: n.Plan) -> str:
    """An expression of the plan on one line; parts of it that are not simple in parentheses."""
    if _is_free(expr):
        return "memory.free"
    match expr:
        case n.Const(type, value):
            return _constant(value, type, plan.target)
        case n.Attribute(_, name) | n.Param(_, name) | n.Local(_, name):
            return name
        case n.Compare(operator, left, right) | n.Arithmetic(_, operator, left, right):
            return _binary(operator.value, left, right, plan)
        case n.Union(left, right):
            return _binary("|", left, right, plan)
        case n.Difference(left, right):
            return _binary("-", left, right, plan)
        case n.And(items):
            return " and ".join(_simple(item, plan) for item in items)
        case n.Or(items):
            return " or ".join(_simple(item, plan) for item in items)
        case n.Not(item):
            return f"not {_simple(item, plan)}"
        case n.Highest(orders):
            return f"highest({spell_expression(orders, plan)})"
        case n.Has(value):
            return f"has {_simple(value, plan)}"
        case _:
            return _test(expr, plan)


def _is_free(expr: n.Expr) -> bool:
    """Whether it is what `memory.free` stands for."""
    match expr:
        case n.Arithmetic(_, operator, n.Attribute(_, limit), n.Attribute(_, usage)):
            minus = operator is n.ArithmeticOperator.SUBTRACT
            return minus and (limit, usage) == ("memory.max", "memory.usage")
        case _:
            return False


_Test = n.InSet | n.InList | n.UnderSet | n.UnderPath | n.IsPath | n.Contains | n.Overlaps


def _test(expr: _Test, plan: n.Plan) -> str:
    match expr:
        case n.InSet(value, name):
            return f"{_simple(value, plan)} in {name}"
        case n.UnderSet(value, name):
            return f"{_simple(value, plan)} under {name}"
        case n.InList(value, members):
            listed = ", ".join(spell_expression(member, plan) for member in members)
            return f"{_simple(value, plan)} in {{ {listed} }}"
        case n.UnderPath(value, path):
            return f"{_simple(value, plan)} under {_path(plan, path)}"
        case n.IsPath(value, path):
            return f"{_simple(value, plan)} == {_path(plan, path)}"
        case n.Contains(left, right):
            return _binary("in", left, right, plan)
        case n.Overlaps(left, right):
            return _binary("overlaps", left, right, plan)


def _constant(value: n.ConstValue, type: Type, target: n.Target) -> str:
    if type.kind is not Kind.ORDERS:
        return _spell(value, type.kind, target)
    if value == n.ALL_ORDERS:
        return "all"
    text = spell_mask(int(value), target)
    return f"({text})" if "|" in text else text


def _path(plan: n.Plan, path: int) -> str:
    return format_string(plan.paths[path].encode("utf-8", "surrogateescape"))


def _binary(operator: str, left: n.Expr, right: n.Expr, plan: n.Plan) -> str:
    return f"{_simple(left, plan)} {operator} {_simple(right, plan)}"


def _simple(expr: n.Expr, plan: n.Plan) -> str:
    text = spell_expression(expr, plan)
    simple = isinstance(expr, n.Const | n.Attribute | n.Param | n.Local | n.Highest)
    simple = simple or _is_free(expr)
    return text if simple else f"({text})"
