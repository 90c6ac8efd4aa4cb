"""How `policyc explain` shows a decision that was taken apart, to people and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from policyc.cli.common import Terminal, echo, emit_json, safe_number, terminal, visible_lines
from policyc.cli.decision import (
    block_document,
    decision_document,
    looked_at_rows,
    print_decision,
    profile_row,
    rule_document,
    spell_said,
    verdict,
)
from policyc.cli.tables import Column, table
from policyc.diagnostics.visible import cell_width, visible
from policyc.explain.account import Account
from policyc.explain.blocks import BlockSteps, RuleSteps
from policyc.explain.nearest import Change
from policyc.explain.spelling import spell_constant
from policyc.explain.steps import Step
from policyc.plan import nodes as n
from policyc.runtime.units import spell_value
from policyc.simulate.values import Value

__all__ = ["print_json", "print_text"]

#: How many changes are shown to people; JSON has them all.
_SHOWN = 6

#: However narrow the place, each side of a step has this many cells.
_LEAST = 24


def print_text(account: Account, *, everything: bool) -> None:
    """The decision, the blocks with their rules, how they combined, the kernels, the changes."""
    place, explanation = terminal(), account.explanation
    print_decision(explanation, place)
    for block in account.blocks:
        echo()
        _print_block(account, block, place, everything=everything)
    echo()
    echo(place.paint("1", f"combined by {explanation.hook.combine.value}"))
    for sentence in account.combination.sentences:
        echo(_filled(sentence, "  ", place))
    echo()
    echo(place.paint("1", "what they looked at"))
    rows = [[name, text] for name, text in looked_at_rows(explanation)]
    echo(table([Column(""), Column("")], rows, place, "  "))
    echo()
    _print_profiles(account, place)
    echo()
    _print_nearest(account, place)
    for note in explanation.notes:
        echo()
        echo(f"note: {visible_lines(note)}")


# -- blocks


def _print_block(account: Account, block: BlockSteps, place: Terminal, *, everything: bool) -> None:
    explanation, shown = account.explanation, block.account
    scope = "" if shown.scope is None else f' for cgroup "{shown.scope}"'
    heading = f"{explanation.hook.hook.value}{scope}  (line {shown.block.line})"
    echo(place.paint("1", visible(heading)))
    if shown.outside:
        echo(_filled(f"does not apply: {shown.outside}", "  ", place))
        if not everything:
            return
    for sentence in block.applies:
        echo(_filled(f"applies: {sentence}", "  ", place))
    width = max(len(str(steps.rule.line)) for steps in block.rules)
    for steps in block.rules:
        _print_rule(steps, width, place, everything=everything)
    if shown.outside:
        return
    said = spell_said(explanation, shown.opinion)
    echo(_filled(f"says: {said}" + (f"  ({block.answer})" if block.answer else ""), "  ", place))


def _print_rule(steps: RuleSteps, width: int, place: Terminal, *, everything: bool) -> None:
    unread = steps.found == "not reached"
    found = f"{steps.found:<11}"
    indent = " " * (2 + width + 2 + len(found) + 2)
    would = "  (would hold)" if unread and steps.would_hold and steps.condition else ""
    lines = _filled(f"{steps.rule.text}{would}", indent, place).lstrip()
    painted = place.paint("32", found) if steps.found == "holds" else found
    echo(f"  {steps.rule.line:>{width}}  {painted}  {lines}")
    if unread and not everything:
        return
    rows = [*_rows(steps.condition, 0)] if steps.condition else []
    if steps.answer is not None and steps.found != "fails":
        rows += _rows(steps.answer, 0)
    if rows:
        echo(_columns(rows, " " * (2 + width + 4), place))


def _rows(step: Step, depth: int) -> Iterator[tuple[str, str]]:
    """A step and the parts of it that say more, as the two sides of an equation."""
    yield "  " * depth + _label(step), _right(step)
    for part in step.parts:
        if _says_more(step, part):
            yield from _rows(part, depth + 1)


def _label(step: Step) -> str:
    match step.expr:
        case n.And():
            return "all of"
        case n.Or():
            return "any of"
        case n.Not(n.And() | n.Or()):
            return "not"
        case _:
            return step.text


def _right(step: Step) -> str:
    working = f"= {step.working} " if step.working else ""
    return f"{working}= {step.spelled}" + (f"  ({step.note})" if step.note else "")


def _says_more(step: Step, part: Step) -> bool:
    """Whether a part has something to say that is not in the line of the whole."""
    match part.expr:
        case n.Const():
            return False
        case n.Attribute() | n.Param() | n.Has():
            return isinstance(step.expr, n.And | n.Or)
        case n.Local():
            return bool(part.parts) or isinstance(step.expr, n.And | n.Or)
        case _:
            return True


def _columns(rows: Sequence[tuple[str, str]], indent: str, place: Terminal) -> str:
    """Equations with their right sides below each other, and below the left where it is long."""
    safe = [(visible(left), visible(right)) for left, right in rows]
    room = max(place.width - len(indent), 2 * _LEAST)
    limit = max(room // 2, _LEAST)
    fitting = [cell_width(left) for left, _ in safe if cell_width(left) <= limit]
    width = max(fitting, default=0)
    lines: list[str] = []
    for left, right in safe:
        wrapped = textwrap.wrap(right, room - width - 1, break_on_hyphens=False) or [""]
        if cell_width(left) <= limit:
            lines.append(f"{indent}{left}{' ' * (width - cell_width(left))} {wrapped[0]}")
            wrapped = wrapped[1:]
        else:
            step = " " * (len(left) - len(left.lstrip()))
            lines += textwrap.wrap(
                left,
                len(indent) + room,
                initial_indent=indent,
                subsequent_indent=f"{indent}{step}  ",
                break_on_hyphens=False,
            )
        lines += [f"{indent}{' ' * width} {text}" for text in wrapped]
    return "\n".join(lines)


def _filled(text: str, indent: str, place: Terminal) -> str:
    """Text wrapped to the place, all lines indented."""
    room = max(place.width - len(indent), _LEAST)
    lines = textwrap.wrap(visible(text), room, break_on_hyphens=False)
    return "\n".join(indent + line for line in lines or [""])


# -- kernels and changes


def _print_profiles(account: Account, place: Terminal) -> None:
    rows: list[list[str]] = []
    for reasons in account.answers:
        shown = profile_row(account.explanation, reasons.account)
        why = "; ".join(text for text in (reasons.encoding, reasons.kernel) if text)
        rows.append([*shown, why] if why else [*shown[:2], "-", shown[2]])
    columns = [Column("profile"), Column("raw", right=True), Column("effective"), Column("why")]
    echo(table(columns, rows, place))


def _print_nearest(account: Account, place: Terminal) -> None:
    nearest = account.nearest
    if not nearest.changes:
        echo(place.paint("1", "no nearest change"))
        ended = "" if nearest.complete else " before the search was given up"
        text = "no change of one attribute, parameter or member of a set gives another answer"
        echo(_filled(f"{text}; {nearest.tried:,} were tried{ended}", "  ", place))
        return
    others = ", then those of other things" if len(nearest.changes) > 1 else ""
    echo(place.paint("1", f"nearest change that gives another answer{others}"))
    target = account.explanation.plan.target
    rows = [
        [_name(change), *_values(change, target), *_after(account, change)]
        for change in nearest.changes[:_SHOWN]
    ]
    columns = [Column(""), *(Column(text) for text in ("now", "then", "answer", "decided by"))]
    echo(table(columns, rows, place, "  "))
    if len(nearest.changes) > _SHOWN:
        echo(f"  and {len(nearest.changes) - _SHOWN} more, which --json has")
    if not nearest.complete:
        echo(
            f"  the search was given up after {nearest.tried:,} changes; there may be farther ones"
        )


def _name(change: Change) -> str:
    match change.kind:
        case "attribute":
            return change.name
        case "parameter":
            return f"param {change.name}"
        case "set":
            return f"set {change.name}"


def _values(change: Change, target: n.Target) -> tuple[str, str]:
    def spelled(value: Value) -> str:
        return spell_constant(value, change.type, target)

    if change.kind != "set":
        return spelled(change.before), spelled(change.after)
    if change.before is None:
        return "", f"+= {spelled(change.after)}"
    return "", f"-= {spelled(change.before)}"


def _after(account: Account, change: Change) -> tuple[str, str]:
    """The answer after a change, and what decides it."""
    then = replace(account.explanation, outcome=change.outcome, values=change.values)
    rule = change.outcome.decided_by
    if rule is None:
        return verdict(then), "no opinion"
    label = f"{rule.label}, " if rule.label else ""
    threshold = change.outcome.hot_threshold
    stated = "" if threshold is None else f" ({spell_value('duration', threshold)})"
    return verdict(then) + stated, f"{label}line {rule.line}"


# -- data


def print_json(account: Account) -> None:
    """The same as data: what `decide` has, and more of each part."""
    document = decision_document(account.explanation)
    document["blocks"] = [_block_document(account, block) for block in account.blocks]
    combined = account.combination
    document["combination"] = {
        "counted": [opinion.rule.index for opinion in combined.counted],
        "ignored": [opinion.rule.index for opinion in combined.ignored],
        "sentences": list(combined.sentences),
    }
    for profile, reasons in zip(document["profiles"], account.answers, strict=True):
        profile |= {"encoding": reasons.encoding or None, "kernel": reasons.kernel or None}
    document["nearest"] = {
        "changes": [_change_document(account, change) for change in account.nearest.changes],
        "tried": account.nearest.tried,
        "complete": account.nearest.complete,
    }
    emit_json(document)


def _block_document(account: Account, block: BlockSteps) -> dict[str, Any]:
    plan = account.explanation.plan
    document = block_document(account.explanation, block.account)
    del document["tested"]
    return document | {
        "why": list(block.applies),
        "rules": [
            {
                **(rule_document(plan, steps.rule) or {}),
                "found": steps.found,
                "would_hold": steps.would_hold,
                "condition": None if steps.condition is None else _step_document(steps.condition),
                "answer": None if steps.answer is None else _step_document(steps.answer),
            }
            for steps in block.rules
        ],
        "answer": block.answer or None,
    }


def _step_document(step: Step) -> dict[str, Any]:
    return {
        "text": step.text,
        "value": _plain(step.value),
        "spelled": step.spelled,
        "working": step.working or None,
        "note": step.note or None,
        "parts": [_step_document(part) for part in step.parts],
    }


def _change_document(account: Account, change: Change) -> dict[str, Any]:
    outcome, plan = change.outcome, account.explanation.plan
    decision: dict[str, Any] = {"rule": rule_document(plan, outcome.decided_by)}
    if account.explanation.hook.hook is n.HookName.THP:
        decision["requested"] = _plain(change.values["orders"])
        decision["orders"] = safe_number(outcome.orders)
    else:
        decision |= {"on": outcome.on, "hot_threshold": _plain(outcome.hot_threshold)}
    return {
        "kind": change.kind,
        "name": change.name,
        "before": _plain(change.before),
        "after": _plain(change.after),
        "distance": round(change.distance, 9),
        "decision": decision,
    }


def _plain(value: Value) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, int) and not isinstance(value, bool):
        return safe_number(value)
    return value
