"""`policyc decide`: one decision, explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from policyc.cli.common import (
    FINE,
    checked_plan,
    did_you_mean,
    policy_file,
    target_of,
    target_options,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from policyc.plan.evaluate import State, Values
    from policyc.plan.nodes import HookPlan, Plan, Target

__all__ = ["command"]

_CHANGE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+=|-=|=)(.*)", re.ASCII | re.DOTALL)


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


@click.command("decide", short_help="Explain one decision.")
@policy_file
@click.argument("assignments", metavar="[KEY=VALUE]...", nargs=-1, shell_complete=_complete_keys)
@click.option(
    "--hook",
    type=click.Choice(["thp", "numa"]),
    help="The question that is asked; needed if the policy answers both.",
)
@click.option(
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    help="Give a parameter of the policy another value; repeatable.",
)
@click.option(
    "--set",
    "sets",
    metavar="NAME[+|-]=MEMBER",
    multiple=True,
    help="Add a member to a set (+=), take one out (-=), or make the members named with `=` "
    "the only ones; repeatable.",
)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str,
    assignments: tuple[str, ...],
    *,
    hook: str | None,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Explain one decision of a policy.

    Says what the answer to a request is, which rule made it, what each block said and why,
    and what each kernel interface makes of it: the value that the compiled program returns
    (raw), and what the kernel goes on with (effective).

    KEY is an attribute (see `policyc attributes`) or cgroup.id, which rollouts use. VALUE
    is written as in a policy: 8M, 12.5%, true, khugepaged, postgres, /kubepods/java; `orders`
    takes an order set such as all, pmd or 16K..64K | 2M. Sizes may be plain bytes. Strings and
    paths need no quotes of the language.

    What is not given is absent, but for these: orders=all, event=pagefault, vma.advice=none,
    vma.kind=anon, vma.size=2M, vma.stack, vma.locked and vma.exec false, node.count=1, node.id=0.
    `all` is every order of large anonymous folios, 16K to 2M with 4K pages. cgroup.depth follows
    from cgroup. Of memory.max, memory.usage and memory.free two give the third, and memory.free
    alone is that of an unused cgroup.

    \b
    Examples:
      policyc decide fleet.thp --hook thp cgroup=/kubepods/java/web-1 event=khugepaged
      policyc decide fleet.thp --hook thp cgroup=/kubepods/batch/7 cgroup.id=4711 \\
          memory.free=8G orders='16K..64K | pmd' cgroup.psi.memory.full.avg10=12.5%
      policyc decide fleet.thp --hook numa cgroup=/kubepods/db/1 task.comm=postgres
      policyc decide fleet.thp --hook thp --param ceiling=50% --set java+=/kubepods/jvm

    \b
    Exit codes:
      0  decided, whatever the decision is
      1  the policy has errors
      2  wrong usage, or a file that cannot be read
    """
    from policyc.cli.decision import print_json, print_text
    from policyc.simulate.explain import explain

    target = target_of(page_size, pmd_order)
    given = _pairs(assignments)
    plan = checked_plan(file, target)
    asked = _hook(plan, hook)
    values = _values(asked.hook.value, given, target)
    explanation = explain(plan, asked, values, _state(plan, params, sets))
    (print_json if as_json else print_text)(explanation)
    return FINE


def _pairs(assignments: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise click.UsageError(f"expected KEY=VALUE, such as event=khugepaged: {assignment!r}")
        if key in pairs:
            raise click.UsageError(f"{key} is given twice")
        pairs[key] = value
    return pairs


def _hook(plan: Plan, name: str | None) -> HookPlan:
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


def _values(hook: str, given: dict[str, str], target: Target) -> Values:
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


def _state(plan: Plan, params: Sequence[str], sets: Sequence[str]) -> State:
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
