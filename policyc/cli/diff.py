"""`policyc diff`: what was changed between two policies, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import (
    FINE,
    NO,
    Terminal,
    checked_plan_of,
    echo,
    emit_json,
    plural,
    profile_option,
    safe_number,
    target_of,
    target_options,
    terminal,
)

if TYPE_CHECKING:
    from policyc.plan.nodes import HookName, Plan
    from policyc.prove.differences import Comparison, Difference, ProfileComparison
    from policyc.prove.structure import Change

__all__ = ["command"]


@click.command("diff", short_help="Say where two policies differ.")
@click.argument("old", metavar="OLD", type=click.Path(path_type=str))
@click.argument("new", metavar="NEW", type=click.Path(path_type=str))
@profile_option(
    "Compare what these kernel interfaces make of the answers; repeatable. "
    "Without it, all that can run both policies."
)
@click.option(
    "--all", "every", is_flag=True, help="Show a request for each pair of rules that differ."
)
@click.option(
    "--timeout",
    metavar="DURATION",
    default="10s",
    show_default=True,
    help="How long the solver may think about one question.",
)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    old: str,
    new: str,
    *,
    profiles: tuple[str, ...],
    every: bool,
    timeout: str,
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Say what was changed between two policies, and what that changes.

    First come declarations and rules that were added, removed, moved or changed. Then, for each
    hook, the policies are proved to answer every request alike, or the smallest request is shown
    that they answer differently, as arguments of `policyc decide`, with both answers and the
    rules that gave them; and the same for what the kernel of each interface makes of the answers.

    Sets and parameters that both policies have are taken to be the same in both, whatever they
    are; if that makes no difference, the policies are compared as they are loaded, too.

    \b
    Examples:
      policyc diff fleet.thp new.thp
      policyc diff fleet.thp new.thp --all --profile thp-v9

    \b
    Exit codes:
      0  they answer alike and need the same settings of the machine
      1  they differ, or the solver does not know, or one of them has errors
      2  wrong usage, or a file that cannot be read
      3  z3 is missing
    """
    from policyc.cli.counterexample import (
        check_profiles,
        fitting_profiles,
        need_solver,
        seconds_of,
    )
    from policyc.cli.files import read_policy

    seconds = seconds_of(timeout)
    if old == new == "-":
        raise click.UsageError("only one of the policies can be standard input")
    need_solver()
    from policyc.prove.differences import compare
    from policyc.prove.structure import changes

    target = target_of(page_size, pmd_order)
    before, after = (checked_plan_of(*read_policy(file), target) for file in (old, new))
    plans = [before, after]
    check_profiles(plans, profiles)
    changed = changes(before, after)
    hooks = sorted({hook.hook for plan in plans for hook in plan.hooks}, reverse=True)
    compared = [
        compare(before, after, hook, fitting_profiles(plans, hook, profiles), seconds, every=every)
        for hook in hooks
    ]
    (_print_json if as_json else _print_text)(before, after, changed, compared)
    same = all(
        item.verdict == "equivalent"
        and all(profile.verdict == "equivalent" for profile in item.profiles)
        for item in compared
    )
    return FINE if same and not any(change.what == "host" for change in changed) else NO


# -- for people


def _print_text(
    old: Plan, new: Plan, changed: Sequence[Change], compared: Sequence[Comparison]
) -> None:
    from policyc.cli.tables import Column, table

    place = terminal()
    echo(place.paint("1", "changes"))
    rows = [
        [f"{change.what} {change.kind}", text]
        for change in changed
        for text in [_change(old, new, change)]
    ]
    echo(table([Column(""), Column("")], rows, place, "  ") if rows else "  none")
    for item in compared:
        echo()
        _print_comparison(old, new, item, place)


def _change(old: Plan, new: Plan, change: Change) -> str:
    """One change; a rule by its text, anything else by its name."""
    here = f"{new.file}:{change.new_line}" if change.new_line else f"{old.file}:{change.old_line}"
    if change.what == "rule":
        texts = [change.old, change.new]
        if change.kind == "moved":
            return f"{here}  {change.new}\nfrom line {change.old_line}"
        return f"{here}  " + "\n-> ".join(text for text in texts if text)
    texts = [text for text in (change.old, change.new) if text]
    return "\n-> ".join([f"{here}  {change.name}" + (f": {texts[0]}" if texts else ""), *texts[1:]])


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


def _print_json(
    old: Plan, new: Plan, changed: Sequence[Change], compared: Sequence[Comparison]
) -> None:
    emit_json(
        {
            "old": {"policy": old.name, "file": old.file},
            "new": {"policy": new.name, "file": new.file},
            "changes": [
                {
                    "what": change.what,
                    "kind": change.kind,
                    "name": change.name,
                    "old": {"text": change.old, "line": change.old_line}
                    if change.old_line
                    else None,
                    "new": {"text": change.new, "line": change.new_line}
                    if change.new_line
                    else None,
                }
                for change in changed
            ],
            "hooks": [_comparison(old, new, item) for item in compared],
        }
    )


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
