"""One comparison of two policies, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from policyc.cli.common import Terminal, echo, plural, safe_number, terminal

if TYPE_CHECKING:
    from policyc.plan.nodes import HookName, Plan
    from policyc.prove.differences import Comparison, Difference, ProfileComparison
    from policyc.prove.structure import Change

__all__ = ["Pair", "Verdict", "compared", "document", "print_pair"]

Verdict = Literal["equivalent", "differ", "unknown"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two policies, what was changed between them, and what became of each hook."""

    old: Plan
    new: Plan
    changed: Sequence[Change]
    hooks: Sequence[Comparison]

    @property
    def verdict(self) -> Verdict:
        """Whether they answer alike and need the same settings of the machine."""
        verdicts = {item.verdict for item in self.hooks}
        verdicts |= {profile.verdict for item in self.hooks for profile in item.profiles}
        if "differ" in verdicts or any(change.what == "host" for change in self.changed):
            return "differ"
        return "unknown" if "unknown" in verdicts else "equivalent"


def compared(old: Plan, new: Plan, profiles: Sequence[str], seconds: float, *, every: bool) -> Pair:
    """Compare two policies, for the chosen interfaces or all that can run both."""
    from policyc.cli.counterexample import fitting_profiles
    from policyc.prove.differences import compare
    from policyc.prove.structure import changes

    plans = [old, new]
    hooks = sorted({hook.hook for plan in plans for hook in plan.hooks}, reverse=True)
    fitting = [(hook, fitting_profiles(plans, hook, profiles)) for hook in hooks]
    return Pair(
        old,
        new,
        _with_lets(old, new, changes(old, new)),
        [compare(old, new, hook, names, seconds, every=every) for hook, names in fitting],
    )


# -- for people


def print_pair(pair: Pair) -> None:
    """Print the changes, and what they change."""
    from policyc.cli.tables import Column, table

    old, new, place = pair.old, pair.new, terminal()
    echo(place.paint("1", "changes"))
    rows = [
        [f"{change.what} {change.kind}", text]
        for change in pair.changed
        for text in [_change(old, new, change)]
    ]
    echo(table([Column(""), Column("")], rows, place, "  ") if rows else "  none")
    for item in pair.hooks:
        echo()
        _print_comparison(old, new, item, place)


def _change(old: Plan, new: Plan, change: Change) -> str:
    """One change; a rule by its text, anything else by its name."""
    here = f"{new.file}:{change.new_line}" if change.new_line else f"{old.file}:{change.old_line}"
    if change.what == "let":
        here = _let_place(new if change.new_line else old, change.name)
    if change.what == "rule":
        texts = [change.old, change.new]
        if change.kind == "moved":
            return f"{here}  {change.new}\nfrom line {change.old_line}"
        return f"{here}  " + "\n-> ".join(text for text in texts if text)
    texts = [text for text in (change.old, change.new) if text]
    return "\n-> ".join([f"{here}  {change.name}" + (f": {texts[0]}" if texts else ""), *texts[1:]])


def _let_place(plan: Plan, name: str) -> str:
    """Where a let is written, which may be in a file that the policy imports."""
    [item] = [item for item in plan.locals if item.name == name]
    file, line = item.origin or (plan.file, item.line)
    return f"{file}:{line}"


def _with_lets(old: Plan, new: Plan, changed: Sequence[Change]) -> tuple[Change, ...]:
    """The changes, with the expressions of lets for their texts."""
    from policyc.explain.spelling import spell_expression

    texts = [{item.name: spell_expression(item.expr, p) for item in p.locals} for p in (old, new)]
    return tuple(
        replace(change, old=texts[0].get(change.name, ""), new=texts[1].get(change.name, ""))
        if change.what == "let"
        else change
        for change in changed
    )


def _print_comparison(old: Plan, new: Plan, item: Comparison, place: Terminal) -> None:
    from policyc.cli.tables import Column, table

    state = ""
    if item.loaded:
        state = " as they are loaded; with the same sets and parameters they are equivalent"
    words = {
        "equivalent": "equivalent: every request has the same answer",
        "differ": f"differ{state}",
        "unknown": "unknown: the solver did not settle it within the time limit",
    }
    echo(place.paint("1", f"{item.hook.value}: {words[item.verdict]}"))
    for number, difference in enumerate(item.differences, 1):
        if len(item.differences) > 1:
            echo(f"  {number} of {plural(len(item.differences), 'pair')} of rules")
        echo(table([Column("")] * 2, _difference(old, new, item.hook, difference), place, "  "))
    if len(item.differences) > 1 and not item.complete:
        echo("  there may be more: the solver did not settle it within the time limit")
    if item.profiles:
        echo()
        rows = [_profile_row(old, new, item, profile) for profile in item.profiles]
        echo(table([Column("profile"), Column(""), Column("")], rows, place, "  "))


def _difference(old: Plan, new: Plan, hook: HookName, found: Difference) -> list[list[str]]:
    from policyc.cli.counterexample import answer_text, arguments, deciding_rule

    requested = int(found.witness.values.get("orders") or 0)
    given = arguments([old, new], found.witness) or ["(nothing but defaults)"]
    rows = [["request", "\n".join(given)]]
    for word, plan, outcome in (("old", old, found.old), ("new", new, found.new)):
        answer = answer_text(plan, hook, outcome, requested)
        rows.append([word, f"{answer}\n{deciding_rule(plan, outcome.decided_by)}"])
    return rows


def _profile_row(old: Plan, new: Plan, item: Comparison, profile: ProfileComparison) -> list[str]:
    from policyc.cli.counterexample import arguments

    found = profile.difference
    if found is None:
        return [profile.profile.name, profile.verdict, ""]
    if item.differences and found is item.differences[0]:
        request = "the same request"
    else:
        request = " ".join(arguments([old, new], found.witness)) or "nothing but defaults"
    texts = [_effective_text(old, profile, found, new=False)]
    texts.append(_effective_text(new, profile, found, new=True))
    return [profile.profile.name, "differ", f"{request}: {' -> '.join(texts)}"]


def _effective(profile: ProfileComparison, found: Difference, *, new: bool) -> int:
    from policyc.plan.encode import effective_orders, raw_answer

    requested = int(found.witness.values.get("orders") or 0)
    outcome = found.new if new else found.old
    raw = raw_answer(profile.profile, outcome, requested)
    return effective_orders(profile.profile, raw, requested)


def _effective_text(plan: Plan, profile: ProfileComparison, found: Difference, *, new: bool) -> str:
    from policyc.cli.counterexample import answer_text
    from policyc.simulate.explain import spell_mask

    outcome = found.new if new else found.old
    if profile.profile.answer == "bool":
        return answer_text(plan, found.witness.hook, outcome, 0)
    return spell_mask(_effective(profile, found, new=new), plan.target)


# -- for programs


def document(pair: Pair) -> dict[str, Any]:
    """The comparison as data; docs/reference/cli.md describes the document."""
    old, new = pair.old, pair.new
    return {
        "old": {"policy": old.name, "file": old.file},
        "new": {"policy": new.name, "file": new.file},
        "changes": [_changed(change) for change in pair.changed],
        "hooks": [_comparison(old, new, item) for item in pair.hooks],
    }


def _changed(change: Change) -> dict[str, Any]:
    old = {"text": change.old, "line": change.old_line} if change.old_line else None
    new = {"text": change.new, "line": change.new_line} if change.new_line else None
    return {"what": change.what, "kind": change.kind, "name": change.name, "old": old, "new": new}


def _comparison(old: Plan, new: Plan, item: Comparison) -> dict[str, Any]:
    return {
        "hook": item.hook.value,
        "verdict": item.verdict,
        "only_as_loaded": item.loaded and item.verdict == "differ",
        "differences": [_difference_json(old, new, d) for d in item.differences],
        "complete": item.complete,
        "profiles": [
            {
                "name": profile.profile.name,
                "verdict": profile.verdict,
                "difference": None
                if profile.difference is None
                else _difference_json(old, new, profile.difference)
                | {
                    "effective": [
                        safe_number(_effective(profile, profile.difference, new=side))
                        for side in (False, True)
                    ]
                },
            }
            for profile in item.profiles
        ],
    }


def _difference_json(old: Plan, new: Plan, found: Difference) -> dict[str, Any]:
    from policyc.cli.counterexample import answer_json, witness_json

    hook = found.witness.hook
    return {
        **witness_json([old, new], found.witness),
        "old": answer_json(old, hook, found.old),
        "new": answer_json(new, hook, found.new),
    }
