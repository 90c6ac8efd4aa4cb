"""What `decide` and `explain` are asked: a request, and a policy with changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from policyc.cli.common import did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from policyc.plan.evaluate import State, Values
    from policyc.plan.nodes import HookPlan, Plan, Target

__all__ = ["hook_of", "pairs", "request_options", "state_of", "values_of"]

_CHANGE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+=|-=|=)(.*)", re.ASCII | re.DOTALL)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _complete_keys(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The attributes of the hook, and the members of an enumeration after the `=`."""
    from click.shell_completion import CompletionItem

    from policyc.simulate.values import attribute_fields

    hook = ctx.params.get("hook") or "thp"
    fields = attribute_fields(hook)
    name, equals, value = incomplete.partition("=")
    if equals and name in fields:
        field = fields[name]
        words = field.members or {"bool": ("true", "false"), "orders": ("all", "pmd")}.get(
            field.kind, ()
        )
        return [CompletionItem(f"{name}={word}") for word in words if word.startswith(value)]
    return [CompletionItem(f"{key}=") for key in fields if key.startswith(incomplete)]


def request_options(function: _Function) -> _Function:
    """The arguments and options that say what is asked: assignments, hook, params and sets."""
    assignments = click.argument(
        "assignments", metavar="[KEY=VALUE]...", nargs=-1, shell_complete=_complete_keys
    )
    hook = click.option(
        "--hook",
        type=click.Choice(["thp", "numa"]),
        help="The question that is asked; needed if the policy answers both.",
    )
    params = click.option(
        "--param",
        "params",
        metavar="NAME=VALUE",
        multiple=True,
        help="Give a parameter of the policy another value; repeatable.",
    )
    sets = click.option(
        "--set",
        "sets",
        metavar="NAME[+|-]=MEMBER",
        multiple=True,
        help="Add a member to a set (+=), take one out (-=), or make the members named with `=` "
        "the only ones; repeatable.",
    )
    return assignments(hook(params(sets(function))))


def pairs(assignments: Sequence[str]) -> dict[str, str]:
    """The texts of `KEY=VALUE` by their keys."""
    found: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise click.UsageError(f"expected KEY=VALUE, such as event=khugepaged: {assignment!r}")
        if key in found:
            raise click.UsageError(f"{key} is given twice")
        found[key] = value
    return found


def hook_of(plan: Plan, name: str | None) -> HookPlan:
    """The hook that was asked for, or the only one of the policy."""
    hooks = {hook.hook.value: hook for hook in plan.hooks}
    if name is None and len(hooks) > 1:
        raise click.UsageError("the policy answers thp and numa; say which with --hook")
    if name is not None and name not in hooks:
        raise click.UsageError(
            f"policy {plan.name} has no {name} block, so it has no opinion; "
            f"it answers {', '.join(hooks)}"
        )
    return hooks[name] if name else next(iter(hooks.values()))


def values_of(hook: str, given: dict[str, str], target: Target) -> Values:
    """All values of the request; what is not given has its default or is absent."""
    from policyc.simulate.values import (
        REQUESTS,
        Value,
        attribute_fields,
        completed,
        every_order,
        parse_text,
    )

    fields = attribute_fields(hook)
    values: dict[str, Value] = {"orders": every_order(target)} if hook == "thp" else {}
    for key, text in given.items():
        if key not in fields:
            raise click.UsageError(f"unknown attribute {key!r}; {_advice(hook, key)}")
        try:
            values[fields[key].field] = parse_text(fields[key], text, target)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    try:
        known = {field.field: name for name, field in fields.items()}
        named = {known[field]: value for field, value in completed(values).items()}
        return REQUESTS[hook].from_values(named).values()
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _advice(hook: str, key: str) -> str:
    from policyc.simulate.values import REQUESTS, attribute_fields

    for other in REQUESTS:
        if other != hook and key in attribute_fields(other):
            return f"{other} requests have it, {hook} requests do not"
    names = list(attribute_fields(hook))
    advice = did_you_mean(key, names)
    return advice if advice.startswith("did") else "`policyc attributes` lists them"


def state_of(plan: Plan, params: Sequence[str], sets: Sequence[str]) -> State:
    """The initial state of the policy with the changes that the options ask for."""
    from types import SimpleNamespace

    from policyc.plan import evaluate
    from policyc.runtime.state import ParamField, SetField, State, StateError

    state = State(
        SimpleNamespace(),
        [SetField(d.name, d.type.kind.value, d.members, f"set_{d.name}") for d in plan.sets],
        [
            ParamField(d.name, d.type.kind.value, d.default, d.low, d.high, f"param_{d.name}")
            for d in plan.params
        ],
    )
    try:
        for option in params:
            _set_param(plan, state, option)
        _change_sets(state, sets)
    except StateError as error:
        raise click.UsageError(str(error)) from None
    return evaluate.State(
        {name: members.members for name, members in state.sets.items()},
        {name: int(state.params[name]) for name in state.params},
    )


def _set_param(plan: Plan, state: object, option: str) -> None:
    from policyc.runtime.request import AttributeField
    from policyc.runtime.state import State
    from policyc.simulate.values import parse_text

    assert isinstance(state, State)
    name, equals, text = option.partition("=")
    if not equals:
        raise click.UsageError(f"expected --param NAME=VALUE, got {option!r}")
    definition = next((d for d in plan.params if d.name == name), None)
    if definition is None:
        known = [d.name for d in plan.params]
        advice = did_you_mean(name, known) if known else "the policy has none"
        raise click.UsageError(f"unknown parameter {name!r}; {advice}")
    field = AttributeField(f"param {name}", name, definition.type.kind.value, False)
    try:
        number = parse_text(field, text, plan.target)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    state.params[name] = int(number or 0)


def _change_sets(state: object, options: Sequence[str]) -> None:
    from policyc.runtime.state import State

    assert isinstance(state, State)
    replaced: set[str] = set()
    for option in options:
        match = _CHANGE.fullmatch(option)
        if match is None:
            raise click.UsageError(
                f"expected --set NAME+=MEMBER, NAME-=MEMBER or NAME=MEMBER, got {option!r}"
            )
        name, operator, member = match[1], match[2], match[3]
        if name not in state.sets:
            known = list(state.sets)
            advice = did_you_mean(name, known) if known else "the policy has none"
            raise click.UsageError(f"unknown set {name!r}; {advice}")
        if operator == "-=":
            state.sets[name].discard(member)
            continue
        if operator == "=" and name not in replaced:
            replaced.add(name)
            state.sets[name].replace([])
        if operator == "+=" or member:
            state.sets[name].add(member)
