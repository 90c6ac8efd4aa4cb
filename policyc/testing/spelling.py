"""Requests, states and answers as a policy and `policyc decide` write them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values
from policyc.plan.promises import first_state
from policyc.plan.types import Kind
from policyc.runtime.units import spell_value
from policyc.simulate.explain import spell_mask
from policyc.syntax.printer import format_string

__all__ = [
    "decide_command",
    "spell_answer",
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
    file = "-" if plan.file == "<stdin>" else plan.file
    words = ["policyc", "decide", file, "--hook", hook.value]
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
