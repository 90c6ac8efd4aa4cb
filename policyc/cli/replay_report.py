"""How `policyc simulate --trace` shows what it counted, to people and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from policyc.cli.common import echo, emit_json, plural, safe_number, terminal
from policyc.cli.tables import Column, bar, count, share, table
from policyc.diagnostics.visible import visible
from policyc.plan.nodes import Plan, Target
from policyc.runtime.decisions import Rule
from policyc.runtime.units import spell_value
from policyc.simulate.explain import spell_mask, spell_size
from policyc.simulate.replay import (
    OUTCOMES,
    Answer,
    Comparison,
    Difference,
    HookReport,
    Report,
)

__all__ = ["Shown", "print_json", "print_text"]

_BAR = 24
_NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a report is about, and how much of it is wanted."""

    trace: str
    plan: Plan
    other: Plan | None
    target: Target
    top: int
    bad_lines: int


def print_text(shown: Shown, report: Report, comparison: Comparison | None) -> None:
    """The report for people."""
    if not report.requests:
        echo(visible(f"{shown.trace}: the trace is empty, nothing was asked"))
        return
    answered = {hook.hook.value for hook in shown.plan.hooks}
    asked = [hook for hook in report.hooks.values() if hook.requests]
    counts = ", ".join(f"{count(hook.requests)} {hook.hook}" for hook in asked)
    echo(visible(f"trace   {shown.trace}: {plural(report.requests, 'request')} ({counts})"))
    echo(visible(f"policy  {shown.plan.file} ({report.policy})"))
    if comparison is not None:
        _print_comparison(shown, comparison)
        return
    for hook in asked:
        echo()
        if hook.hook not in answered:
            number = count(hook.requests)
            echo(f"{hook.hook}: the policy has no such block, {number} requests are left alone")
            continue
        _print_hook(shown, hook)


def _print_hook(shown: Shown, hook: HookReport) -> None:
    place = terminal()
    parts = [
        f"{count(number)} {outcome} ({share(number, hook.requests)})"
        for outcome, number in hook.outcomes.items()
        if number
    ]
    echo(place.paint("1", f"{hook.hook}: {', '.join(parts)}"))
    echo()
    _print_rules(hook)
    if hook.events:
        echo()
        events = [(str(event), outcome) for event, outcome in hook.events]
        numbers = list(hook.events.values())
        merged = Counter[tuple[str, str]]()
        for key, number in zip(events, numbers, strict=True):
            merged[key] += number
        _print_outcomes("event", merged, hook, 1000)
    echo()
    cgroups = Counter(
        {(cgroup or _NONE, outcome): number for (cgroup, outcome), number in hook.cgroups.items()}
    )
    _print_outcomes("cgroup", cgroups, hook, shown.top)
    if hook.hook == "thp":
        echo()
        _print_orders(shown, hook)
    elif hook.thresholds:
        echo()
        rows = [
            [_threshold(threshold), count(number)]
            for threshold, number in hook.thresholds.most_common()
        ]
        echo(table([Column("hot threshold"), Column("balanced", right=True)], rows, place))


def _print_rules(hook: HookReport) -> None:
    decided, applied = hook.decided, hook.applied
    rows = [
        [
            count(decided[rule.index]),
            share(decided[rule.index], hook.requests),
            count(applied[rule.index]),
            str(rule.line),
            rule.text,
        ]
        for rule in hook.rules
    ]
    if decided[None]:
        rows.append(
            [count(decided[None]), share(decided[None], hook.requests), "", "", "(no opinion)"]
        )
    headings = ["decided", "share", "applied", "line"]
    columns = [*(Column(heading, right=True) for heading in headings), Column("rule")]
    echo(table(columns, rows, terminal()))


def _print_outcomes(
    what: str, counts: Counter[tuple[str, str]], hook: HookReport, top: int
) -> None:
    """How the requests of each event or cgroup came out, those with the most first."""
    totals: Counter[str] = Counter()
    for (name, _), number in counts.items():
        totals[name] += number
    outcomes = OUTCOMES[hook.hook]
    rows = [
        [count(number), *(count(counts[name, outcome]) for outcome in outcomes), name]
        for name, number in totals.most_common(top)
    ]
    heading = what if len(totals) <= top else f"{what} (the first {top} of {count(len(totals))})"
    numbers = [Column(text, right=True) for text in ("requests", *outcomes)]
    echo(table([*numbers, Column(heading)], rows, terminal()))


def _print_orders(shown: Shown, hook: HookReport) -> None:
    place = terminal()
    rows = [
        [
            str(item.order),
            spell_size(shown.target.page_size << item.order),
            count(item.requested),
            count(item.allowed),
            share(item.allowed, item.requested),
            bar(item.allowed, item.requested, _BAR, place),
        ]
        for item in hook.orders
    ]
    headings = ["order", "size", "requested", "allowed", "share"]
    columns = [*(Column(heading, right=True) for heading in headings), Column("")]
    echo(table(columns, rows, place))


def _threshold(value: int | None) -> str:
    return "that of the system" if value is None else spell_value("duration", value)


def _print_comparison(shown: Shown, comparison: Comparison) -> None:
    assert shown.other is not None
    place = terminal()
    total = comparison.reports[0].requests
    echo(visible(f"against {shown.other.file} ({shown.other.name})"))
    echo()
    if not comparison.count:
        echo(f"the policies agree on all {count(total)} requests")
        return
    part = share(comparison.count, total)
    echo(place.paint("1", f"the policies differ on {plural(comparison.count, 'request')} ({part})"))
    echo()
    first = {
        rule.index: rule for hook in comparison.reports[0].hooks.values() for rule in hook.rules
    }
    second = {
        rule.index: rule for hook in comparison.reports[1].hooks.values() for rule in hook.rules
    }
    rows = [
        [
            count(number),
            hook,
            _place(None if ours is None else first[ours]),
            _place(None if theirs is None else second[theirs]),
        ]
        for (hook, ours, theirs), number in comparison.pairs.most_common(max(shown.top, 1))
    ]
    columns = [
        Column("requests", right=True),
        Column("hook"),
        Column("decided here by"),
        Column("there by"),
    ]
    echo(table(columns, rows, place))
    for difference in comparison.first:
        echo()
        _print_difference(shown, difference)


def _place(rule: Rule | None) -> str:
    return "no opinion" if rule is None else f"{rule.file}:{rule.line}"


def _print_difference(shown: Shown, difference: Difference) -> None:
    entry = difference.entry
    said = ", ".join(
        f"{name} {text}" for name, text in _given(entry.request.values(), shown.target)
    )
    echo(visible(f"{shown.trace}:{entry.line}: {entry.hook}: {said}"))
    rows = [
        ["", _spell(answer, shown.target), _place(rule), "" if rule is None else rule.text]
        for answer, rule in zip(difference.answers, difference.rules, strict=True)
    ]
    echo(table([Column("")] * 4, rows, terminal()))


def _given(values: dict[str, Any], target: Target) -> list[tuple[str, str]]:
    """The values of a request that say something: not absent, not false."""
    shown: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        if name == "orders":
            shown.append((name, spell_mask(value, target)))
        elif ".psi." in f".{name}":
            shown.append((name, spell_value("percent", value)))
        elif name.startswith(("memory.", "mm.")) or name == "vma.size":
            shown.append((name, spell_size(value)))
        elif isinstance(value, bytes):
            shown.append((name, value.decode("utf-8", "surrogateescape")))
        else:
            shown.append((name, str(value)))
    return shown


def _spell(answer: Answer, target: Target) -> str:
    if isinstance(answer, int):
        return f"allow {spell_mask(answer, target)}" if answer else "deny"
    on, threshold = answer
    return f"balance, {_threshold(threshold)}" if on else "off"


def print_json(shown: Shown, report: Report, comparison: Comparison | None) -> None:
    """The same as data."""
    document: dict[str, Any] = {
        "trace": shown.trace,
        "policy": {"name": report.policy, "file": shown.plan.file},
        "requests": report.requests,
        "bad_lines": shown.bad_lines,
        "hooks": {name: _hook(shown, hook) for name, hook in report.hooks.items() if hook.requests},
    }
    if comparison is not None and shown.other is not None:
        document["against"] = {
            "policy": {"name": shown.other.name, "file": shown.other.file},
            "differences": comparison.count,
            "rules": [
                {"requests": number, "hook": hook, "rule": ours, "other_rule": theirs}
                for (hook, ours, theirs), number in comparison.pairs.most_common()
            ],
            "first": [_difference(difference) for difference in comparison.first],
        }
    emit_json(document)


def _hook(shown: Shown, hook: HookReport) -> dict[str, Any]:
    decided, applied = hook.decided, hook.applied
    return {
        "requests": hook.requests,
        "outcomes": hook.outcomes,
        "no_opinion": decided[None],
        "rules": [
            {
                **_rule(rule),
                "decided": decided[rule.index],
                "applied": applied[rule.index],
            }
            for rule in hook.rules
        ],
        "events": _nested(hook.events),
        "cgroup_count": len({cgroup for cgroup, _ in hook.cgroups}),
        "cgroups": [
            {"cgroup": cgroup, "requests": sum(outcomes.values()), "outcomes": outcomes}
            for cgroup, outcomes in _by_total(hook.cgroups)[: shown.top]
        ],
        "orders": [
            {"order": item.order, "requested": item.requested, "allowed": item.allowed}
            for item in hook.orders
        ],
        "hot_thresholds": [
            {"hot_threshold": threshold, "balanced": number}
            for threshold, number in hook.thresholds.most_common()
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "index": rule.index,
        "label": rule.label or None,
        "file": rule.file,
        "line": rule.line,
        "text": rule.text,
    }


def _nested(counts: Counter[tuple[str | None, str]]) -> dict[str, dict[str, int]]:
    return {str(name): outcomes for name, outcomes in _by_total(counts)}


def _by_total(
    counts: Counter[tuple[str | None, str]],
) -> list[tuple[str | None, dict[str, int]]]:
    """The outcomes of each event or cgroup, those with the most requests first."""
    nested: dict[str | None, dict[str, int]] = {}
    for (name, outcome), number in counts.items():
        nested.setdefault(name, {})[outcome] = number
    return sorted(nested.items(), key=lambda item: -sum(item[1].values()))


def _difference(difference: Difference) -> dict[str, Any]:
    entry = difference.entry
    return {
        "line": entry.line,
        "hook": entry.hook,
        "request": {
            name: _json_value(value)
            for name, value in entry.request.values().items()
            if value is not None
        },
        "answer": _json_answer(difference.answers[0]),
        "other_answer": _json_answer(difference.answers[1]),
        "rule": None if difference.rules[0] is None else _rule(difference.rules[0]),
        "other_rule": None if difference.rules[1] is None else _rule(difference.rules[1]),
    }


def _json_value(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, int) and not isinstance(value, bool):
        return safe_number(value)
    return value


def _json_answer(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, int):
        return {"orders": safe_number(answer)}
    return {"on": answer[0], "hot_threshold": answer[1]}
