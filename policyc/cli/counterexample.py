"""Counterexamples as people read them: arguments of `policyc decide`, and the answer to them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import MISSING, NO, Failure, safe_number
from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State
from policyc.plan.promises import first_state, hook_of
from policyc.plan.types import Kind
from policyc.runtime.units import parse_value, spell_value
from policyc.simulate.explain import spell_mask
from policyc.simulate.values import parse_orders

if TYPE_CHECKING:
    from policyc.hooks.model import Profile
    from policyc.prove.witness import Witness

__all__ = [
    "answer_json",
    "answer_text",
    "arguments",
    "check_profiles",
    "deciding_rule",
    "fitting_profiles",
    "need_solver",
    "rule_json",
    "seconds_of",
    "witness_json",
]


def need_solver() -> None:
    """The end of the run, exit code 3, where z3 is not installed."""
    try:
        import policyc.prove.terms as _terms
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        raise Failure(
            "z3 is missing, which works out what holds for every request",
            MISSING,
            "pip install 'policyc[prove]'",
        ) from None
    assert _terms


def seconds_of(text: str) -> float:
    """The seconds of `--timeout`."""
    try:
        nanoseconds = parse_value("duration", text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None
    if not 1_000_000 <= nanoseconds <= 3_600_000_000_000_000:
        raise click.BadParameter("expected 1ms to 1000h", param_hint="--timeout")
    return nanoseconds / 1_000_000_000


def fitting_profiles(
    plans: Sequence[n.Plan], hook: n.HookName, chosen: Sequence[str]
) -> list[Profile]:
    """The interfaces that can run the policies: the chosen ones, or all of them.

    A chosen one that cannot is the end of the run.
    """
    from policyc.emit.uses import uses_of
    from policyc.hooks.loader import profiles

    rows = attributes()
    found: list[Profile] = []
    for profile in profiles().values():
        if not profile.answers(hook.value) or (chosen and profile.name not in chosen):
            continue
        if profile.attachment == "test-run":
            continue
        lacking = {
            name: plan.file
            for plan in plans
            for name in sorted(uses_of(plan, hook_of(plan, hook)).attributes)
            if name in rows and not profile.has(rows[name])
        }
        if not lacking:
            found.append(profile)
        elif chosen:
            raise Failure(
                f"{next(iter(lacking.values()))} cannot be compiled for {profile.name}, which "
                f"cannot supply {', '.join(lacking)}",
                NO,
                f"`policyc check --profile {profile.name}` shows where it is used",
            )
    return found


def check_profiles(plans: Sequence[n.Plan], chosen: Sequence[str]) -> None:
    """Refuse interfaces that none of the policies has an answer for."""
    from policyc.hooks.loader import profiles

    hooks = {hook.hook.value for plan in plans for hook in plan.hooks}
    for name in chosen:
        profile = profiles()[name]
        if profile.attachment == "test-run":
            raise click.UsageError(f"{name} is no kernel interface: nothing is to be proved of it")
        if profile.hook not in hooks:
            raise click.UsageError(f"{name} answers {profile.hook}, which the policy does not")


# -- the request and the state


def arguments(plans: Sequence[n.Plan], found: Witness) -> list[str]:
    """What `policyc decide` has to be given, each quoted for a shell."""
    target = plans[-1].target
    return [
        *(f"{name}={shlex.quote(_spelled(name, found, target))}" for name in found.stated),
        *_state_arguments(plans, found.state),
    ]


def _spelled(name: str, found: Witness, target: n.Target) -> str:
    value = found.values[name]
    kind = attributes()[name].type.kind if name in attributes() else Kind.INT
    if kind is Kind.ORDERS:
        return _orders(int(value or 0), target)
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, str):
        return value if kind is Kind.ENUM else _text(value.encode("utf-8", "surrogateescape"))
    return spell_value(kind.value, int(value or 0))


def _orders(mask: int, target: n.Target) -> str:
    """A mask in words where there are words for it."""
    spelled = spell_mask(mask, target)
    try:
        same = parse_orders(spelled, target) == mask
    except ValueError:
        same = False
    return spelled if same else f"{mask:#x}"


def _text(value: bytes) -> str:
    """A string, in quotes of the language where a shell or a terminal could change it."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and not set('"\\') & set(text) and (text or not value):
        return text
    return (
        '"'
        + "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\x{c:02x}" for c in value)
        + '"'
    )


def _state_arguments(plans: Sequence[n.Plan], state: State) -> list[str]:
    firsts = [first_state(plan) for plan in plans]
    found: list[str] = []
    for name, value in state.params.items():
        if any(first.params[name] != value for first in firsts):
            kind = next(item.type.kind for item in plans[-1].params if item.name == name)
            found.append(f"--param {name}={spell_value(kind.value, value)}")
    for name, members in state.sets.items():
        declared = {first.sets[name] for first in firsts}
        if declared == {members}:
            continue
        texts = sorted(_member(item) for item in members)
        if len(declared) > 1:
            found += [f"--set {name}={shlex.quote(text)}" for text in texts or [""]]
            continue
        before = {_member(item) for item in next(iter(declared))}
        found += [f"--set {name}-={shlex.quote(text)}" for text in sorted(before - {*texts})]
        found += [f"--set {name}+={shlex.quote(text)}" for text in texts if text not in before]
    return found


def _member(member: bytes | str) -> str:
    return member if isinstance(member, str) else member.decode("utf-8", "surrogateescape")


def witness_json(plans: Sequence[n.Plan], found: Witness) -> dict[str, Any]:
    """A request and a state as data."""
    return {
        "arguments": arguments(plans, found),
        "request": {name: _json(found.values[name]) for name in found.stated},
        "params": {name: _json(value) for name, value in sorted(found.state.params.items())},
        "sets": {
            name: sorted(_member(item) for item in members)
            for name, members in sorted(found.state.sets.items())
        },
    }


def _json(value: n.ConstValue | None) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return safe_number(value) if type(value) is int else value


# -- the answer


def answer_text(plan: n.Plan, hook: n.HookName, outcome: Outcome, requested: int) -> str:
    """An answer in a few words."""
    if hook is n.HookName.NUMA:
        if outcome.decided_by is None:
            return "not balanced by this policy"
        if not outcome.on:
            return "off"
        threshold = outcome.hot_threshold
        if threshold is None:
            return "balance"
        return f"balance, hot threshold {spell_value('duration', threshold)}"
    if outcome.decided_by is None:
        return "left alone"
    if not outcome.orders:
        return "deny"
    if outcome.orders == requested:
        return "allow all that was requested"
    return f"allow {spell_mask(outcome.orders, plan.target)}"


def deciding_rule(plan: n.Plan, rule: n.Rule | None) -> str:
    """Where the rule is that made a decision, and what it says."""
    return "no block has an opinion" if rule is None else f"{plan.file}:{rule.line}  {rule.text}"


def rule_json(plan: n.Plan, rule: n.Rule | None) -> dict[str, Any] | None:
    """A rule as data."""
    if rule is None:
        return None
    return {
        "index": rule.index,
        "label": rule.label or None,
        "file": plan.file,
        "line": rule.line,
        "text": rule.text,
    }


def answer_json(plan: n.Plan, hook: n.HookName, outcome: Outcome) -> dict[str, Any]:
    """An answer as data, with the rule that made it."""
    answer: dict[str, Any] = {"rule": rule_json(plan, outcome.decided_by)}
    if hook is n.HookName.NUMA:
        threshold = outcome.hot_threshold
        return answer | {
            "on": outcome.on,
            "hot_threshold": None if threshold is None else safe_number(threshold),
        }
    return answer | {"orders": safe_number(outcome.orders)}
