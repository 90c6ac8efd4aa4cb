"""`policyc prove`: what holds for every request, or a request for which it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import (
    FINE,
    NO,
    checked_plan,
    echo,
    emit_json,
    plural,
    policy_file,
    profile_option,
    target_of,
    target_options,
    terminal,
)

if TYPE_CHECKING:
    from policyc.plan.nodes import Plan
    from policyc.prove.claims import Claim

__all__ = ["command"]

_VERDICTS = ("proved", "refuted", "unknown")


@click.command("prove", short_help="Prove what a policy promises, or refute it.")
@policy_file
@profile_option(
    "Prove what is promised to these kernel interfaces only; repeatable. "
    "Without it, to all that can run the policy."
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
    file: str,
    *,
    profiles: tuple[str, ...],
    timeout: str,
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Prove what a policy promises, for every request there is, or refute it.

    Claims are the properties of the policy and what every policy promises: an answer is within
    the request, every request is answered, what a compiled program returns is legal for each
    kernel interface, its kernel uses no order that the policy does not allow, and each rule
    decides something: none is dead, shadowed by others, or redundant. Sets may have any members
    and parameters any value of their range.

    A claim is proved, or refuted: by the smallest counterexample, which is shown as arguments of
    `policyc decide` after the evaluator has confirmed it, or by the rules that are in the way.
    What the solver cannot settle in its time is unknown, never proved.

    \b
    Examples:
      policyc prove fleet.thp
      policyc prove fleet.thp --profile thp-v9 --timeout 1min --json

    \b
    Exit codes:
      0  everything is proved
      1  something is refuted or unknown, or the policy has errors
      2  wrong usage, or a file that cannot be read
      3  z3 is missing
    """
    from policyc.cli.counterexample import (
        check_profiles,
        fitting_profiles,
        need_solver,
        seconds_of,
    )

    seconds = seconds_of(timeout)
    need_solver()
    from policyc.prove.claims import claims

    plan = checked_plan(file, target_of(page_size, pmd_order))
    check_profiles([plan], profiles)
    found = [
        claim
        for hook in plan.hooks
        for claim in claims(plan, hook.hook, fitting_profiles([plan], hook.hook, profiles), seconds)
    ]
    (_print_json if as_json else _print_text)(plan, found)
    return FINE if all(claim.verdict == "proved" for claim in found) else NO


def _print_text(plan: Plan, found: Sequence[Claim]) -> None:
    from policyc.cli.tables import Column, table

    place = terminal()
    echo(_quantified(plan))
    for hook in plan.hooks:
        of_hook = [claim for claim in found if claim.hook is hook.hook]
        echo()
        echo(place.paint("1", hook.hook.value))
        rows = [list(row) for row in _rows(plan, of_hook)]
        echo(table([Column(""), Column("")], rows, place, "  "))
        for claim in of_hook:
            if claim.counterexample is not None:
                _print_counterexample(plan, claim)
    counts = {verdict: sum(c.verdict == verdict for c in found) for verdict in _VERDICTS}
    echo()
    echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))


def _quantified(plan: Plan) -> str:
    """What the claims are about: everything that can be different."""
    parts = ["for every request"]
    if plan.sets:
        parts.append(f"all members of {', '.join(item.name for item in plan.sets)}")
    if plan.params:
        parts.append(f"all values of {', '.join(item.name for item in plan.params)}")
    return f"{plan.file}, " + ", ".join(parts)


def _rows(plan: Plan, found: Sequence[Claim]) -> list[tuple[str, str]]:
    """A line for each claim; those that are proved of each profile and each rule are one."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    proved_rules = sum(claim.subject == "rule" and claim.verdict == "proved" for claim in found)
    for claim in found:
        text = _text(plan, claim)
        if claim.rule is not None and claim.verdict == "proved":
            text = f"{plural(proved_rules, 'rule')}: each decides something"
        if claim.why:
            text += f"\n{claim.why}"
        text = "\n".join([text, *(f"  {plan.file}:{rule.line}  {rule.text}" for rule in claim.by)])
        names = rows.setdefault((claim.verdict, claim.subject, text), [])
        if claim.profile is not None:
            names.append(claim.profile.name)
    return [
        (verdict, f"{', '.join(names)}: {text}" if names else text)
        for (verdict, _, text), names in rows.items()
    ]


def _text(plan: Plan, claim: Claim) -> str:
    if claim.promise is not None:
        return f'property "{claim.text}" ({plan.file}:{claim.promise.line})'
    if claim.rule is not None:
        return f"{plan.file}:{claim.rule.line}  {claim.rule.text}"
    return claim.text


def _print_counterexample(plan: Plan, claim: Claim) -> None:
    from policyc.cli.counterexample import answer_text, arguments, deciding_rule
    from policyc.cli.tables import Column, table
    from policyc.diagnostics.visible import visible

    place = terminal()
    found, outcome = claim.counterexample, claim.outcome
    assert found is not None
    assert outcome is not None
    echo()
    echo(visible(f"  counterexample to {_text(plan, claim)}"))
    requested = int(found.values.get("orders") or 0)
    given = arguments([plan], found) or ["(a request with nothing but defaults)"]
    rows = [["request" if index == 0 else "", text] for index, text in enumerate(given)]
    rows.append(["answer", answer_text(plan, claim.hook, outcome, requested)])
    rows.append(["decided by", deciding_rule(plan, outcome.decided_by)])
    echo(table([Column(""), Column("")], rows, place, "    "))


def _print_json(plan: Plan, found: Sequence[Claim]) -> None:
    emit_json(
        {
            "policy": plan.name,
            "file": plan.file,
            "summary": {v: sum(claim.verdict == v for claim in found) for v in _VERDICTS},
            "claims": [_claim(plan, claim) for claim in found],
        }
    )


def _claim(plan: Plan, claim: Claim) -> dict[str, Any]:
    from policyc.cli.counterexample import answer_json, rule_json, witness_json

    example, outcome = claim.counterexample, claim.outcome
    return {
        "subject": claim.subject,
        "hook": claim.hook.value,
        "profile": None if claim.profile is None else claim.profile.name,
        "rule": rule_json(plan, claim.rule),
        "line": None if claim.promise is None else claim.promise.line,
        "text": claim.text,
        "verdict": claim.verdict,
        "why": claim.why or None,
        "shadowed_by": [rule_json(plan, rule) for rule in claim.by],
        "counterexample": None if example is None else witness_json([plan], example),
        "answer": None if outcome is None else answer_json(plan, claim.hook, outcome),
    }
