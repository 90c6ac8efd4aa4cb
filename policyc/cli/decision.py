"""How `policyc decide` shows a decision, to people and as JSON."""

from __future__ import annotations

from typing import Any

from policyc.cli.common import Terminal, echo, emit_json, safe_number, terminal, visible_lines
from policyc.cli.tables import Column, mark, table
from policyc.diagnostics.visible import visible
from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import Opinion
from policyc.plan.types import Kind
from policyc.runtime.units import spell_value
from policyc.simulate.explain import (
    BlockAccount,
    Explanation,
    ProfileAccount,
    spell_mask,
)

__all__ = [
    "block_document",
    "decision_document",
    "looked_at_rows",
    "print_decision",
    "print_json",
    "print_text",
    "profile_row",
    "rule_document",
    "spell_said",
    "verdict",
]


def print_text(explanation: Explanation) -> None:
    """The decision, the blocks, the values that were looked at, and the kernels."""
    place = terminal()
    print_decision(explanation, place)
    echo()
    combine = explanation.hook.combine.value
    several = f", outermost first, combined by {combine}" if len(explanation.blocks) > 1 else ""
    echo(place.paint("1", f"blocks{several}"))
    for account in explanation.blocks:
        _print_block(explanation, account, place)
    echo()
    echo(place.paint("1", "what they looked at"))
    rows = [[name, text] for name, text in looked_at_rows(explanation)]
    echo(table([Column(""), Column("")], rows, place, "  "))
    echo()
    headings = [Column("profile"), Column("raw", right=True), Column("effective")]
    rows = [profile_row(explanation, account) for account in explanation.profiles]
    echo(table(headings, rows, place))
    for note in explanation.notes:
        echo()
        echo(f"note: {visible_lines(note)}")


def print_decision(explanation: Explanation, place: Terminal) -> None:
    """The answer, and the rule that made it."""
    outcome, hook = explanation.outcome, explanation.hook.hook.value
    echo(place.paint("1", f"{hook}: {verdict(explanation)}"))
    rule = outcome.decided_by
    if rule is None:
        echo("  no block has an opinion")
    else:
        label = f"  ({rule.label})" if rule.label else ""
        echo(visible(f"  decided by {explanation.plan.file}:{rule.line}  {rule.text}{label}"))
    if explanation.hook.hook is n.HookName.THP:
        requested = int(explanation.values["orders"] or 0)
        echo(f"  requested  {_orders(requested, explanation)}")
        echo(f"  allowed    {_orders(outcome.orders, explanation)}")
    elif outcome.on:
        echo(f"  hot threshold  {_threshold(outcome.hot_threshold)}")


def verdict(explanation: Explanation) -> str:
    """The decision in a few words."""
    outcome = explanation.outcome
    if explanation.hook.hook is n.HookName.NUMA:
        if outcome.decided_by is None:
            return "not balanced by this policy"
        return "balance" if outcome.on else "off"
    if outcome.decided_by is None:
        return "left alone"
    if not outcome.orders:
        return "deny"
    if outcome.orders == explanation.values["orders"]:
        return "allow all that was requested"
    return f"allow {spell_mask(outcome.orders, explanation.plan.target)}"


def _orders(mask: int, explanation: Explanation) -> str:
    numbers = [order for order in range(mask.bit_length()) if mask >> order & 1]
    if not numbers:
        return "none"
    word = "order" if len(numbers) == 1 else "orders"
    listed = ", ".join(map(str, numbers))
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        listed = f"{numbers[0]} to {numbers[-1]}"
    return f"{spell_mask(mask, explanation.plan.target)}  ({word} {listed})"


def _threshold(value: int | None) -> str:
    return "that of the system" if value is None else spell_value("duration", value)


def _print_block(explanation: Explanation, account: BlockAccount, place: Terminal) -> None:
    hook = explanation.hook.hook.value
    scope = "" if account.scope is None else f' for cgroup "{account.scope}"'
    echo(visible(f"  {hook}{scope}  (line {account.block.line})"))
    if account.outside:
        echo(visible(f"    does not apply: {account.outside}"))
        return
    rows = [
        [mark(rule is account.tested[-1], place), str(rule.line), rule.text]
        for rule in account.tested
    ]
    columns = [Column(""), Column("", right=True), Column("")]
    echo(table(columns, rows, place, "    "))
    echo(f"    says: {spell_said(explanation, account.opinion)}")


def spell_said(explanation: Explanation, opinion: Opinion | None) -> str:
    """What a block says, in a few words."""
    if opinion is None:
        return "no opinion"
    if explanation.hook.hook is n.HookName.NUMA:
        if not opinion.on:
            return "off"
        return f"balance, hot threshold {_threshold(opinion.hot_threshold)}"
    if not opinion.orders:
        return "deny"
    return f"allow {spell_mask(opinion.orders, explanation.plan.target)}"


def looked_at_rows(explanation: Explanation) -> list[tuple[str, str]]:
    """The names of everything that rules, scopes and rollouts asked for, with its value."""
    plan, state, used = explanation.plan, explanation.state, explanation.looked_at
    names = [name for name in attributes() if name in used.attributes]
    derived = [part for name in names for part in attributes()[name].derived]
    names += [name for name in derived if name not in names]
    if any(account.block.rollout is not None for account in explanation.blocks):
        names.append("cgroup.id")
    rows = [(name, _spelled(name, explanation)) for name in names]
    for param in plan.params:
        if param.name in used.params:
            spelled = spell_value(param.type.kind.value, state.params[param.name])
            rows.append((f"param {param.name}", spelled))
    for definition in plan.sets:
        if definition.name in used.sets:
            rows.append((f"set {definition.name}", _members(state.sets[definition.name])))
    return rows


def _spelled(name: str, explanation: Explanation) -> str:
    value = explanation.values.get(name)
    if value is None:
        return "absent"
    kind = attributes()[name].type.kind if name in attributes() else Kind.INT
    if kind is Kind.ORDERS:
        return spell_mask(int(value), explanation.plan.target)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return f'"{value.decode("utf-8", "surrogateescape")}"'
    return spell_value(kind.value, int(value))


def _members(members: frozenset[bytes | str]) -> str:
    shown = sorted(
        m if isinstance(m, str) else m.decode("utf-8", "surrogateescape") for m in members
    )
    if len(shown) > 5:
        return f"{', '.join(shown[:5])} and {len(shown) - 5} more"
    return ", ".join(shown) or "empty"


def profile_row(explanation: Explanation, account: ProfileAccount) -> list[str]:
    """The name of a profile, its raw value, and what its kernel makes of that."""
    name = account.profile.name
    if account.lacking:
        return [name, "-", f"cannot supply {', '.join(account.lacking)}"]
    if explanation.hook.hook is n.HookName.NUMA:
        return [name, str(account.raw), "balanced" if account.effective else "not balanced"]
    target = explanation.plan.target
    effective = spell_mask(account.effective, target)
    # Order 0, the ordinary page, is not the kernel's to lose.
    if (account.effective ^ explanation.outcome.orders) & ~1:
        effective += f"  (the policy allows {spell_mask(explanation.outcome.orders, target)})"
    raw = f"{account.raw:#x}" if account.profile.answer == "mask" else str(account.raw)
    return [name, raw, effective]


def print_json(explanation: Explanation) -> None:
    """The same as data."""
    emit_json(decision_document(explanation))


def decision_document(explanation: Explanation) -> dict[str, Any]:
    """A decision with everything that led to it, as data."""
    outcome, plan = explanation.outcome, explanation.plan
    thp = explanation.hook.hook is n.HookName.THP
    decision: dict[str, Any] = {"rule": rule_document(plan, outcome.decided_by)}
    if thp:
        requested = int(explanation.values["orders"] or 0)
        decision |= {"requested": safe_number(requested), "orders": safe_number(outcome.orders)}
    else:
        decision |= {"on": outcome.on, "hot_threshold": _number(outcome.hot_threshold)}
    return {
        "policy": plan.name,
        "file": plan.file,
        "hook": explanation.hook.hook.value,
        "combine": explanation.hook.combine.value,
        "page_size": plan.target.page_size,
        "decision": decision,
        "blocks": [block_document(explanation, account) for account in explanation.blocks],
        "values": {name: _value(explanation, name) for name in _names(explanation)},
        "params": {
            name: _number(explanation.state.params[name])
            for name in sorted(explanation.looked_at.params)
        },
        "profiles": [
            {
                "name": account.profile.name,
                "raw": None if account.lacking else safe_number(account.raw),
                "effective": None if account.lacking else _effective(account, thp=thp),
                "cannot_supply": list(account.lacking),
            }
            for account in explanation.profiles
        ],
        "notes": list(explanation.notes),
    }


def _names(explanation: Explanation) -> list[str]:
    return [name for name, _ in looked_at_rows(explanation) if " " not in name]


def _effective(account: ProfileAccount, *, thp: bool) -> int | str | bool:
    return safe_number(account.effective) if thp else bool(account.effective)


def _number(value: int | None) -> int | str | None:
    return None if value is None else safe_number(value)


def _value(explanation: Explanation, name: str) -> object:
    value = explanation.values.get(name)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, int) and not isinstance(value, bool):
        return safe_number(value)
    return value


def rule_document(plan: n.Plan, rule: n.Rule | None) -> dict[str, Any] | None:
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


def block_document(explanation: Explanation, account: BlockAccount) -> dict[str, Any]:
    """What became of a request in a block, as data."""
    opinion, plan = account.opinion, explanation.plan
    said: dict[str, Any] | None = None
    if opinion is not None:
        said = {"rule": rule_document(plan, opinion.rule)}
        if explanation.hook.hook is n.HookName.THP:
            said["orders"] = safe_number(opinion.orders)
        else:
            said |= {"on": opinion.on, "hot_threshold": _number(opinion.hot_threshold)}
    return {
        "scope": account.scope,
        "line": account.block.line,
        "applies": not account.outside,
        "why_not": account.outside or None,
        "tested": [
            {**(rule_document(plan, rule) or {}), "holds": rule is account.tested[-1]}
            for rule in account.tested
        ],
        "opinion": said,
    }
