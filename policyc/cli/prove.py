"""`policyc prove`: what holds for every request, or a request for which it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import (
    FINE,
    NO,
    USAGE,
    Failure,
    echo,
    emit_json,
    plural,
    profile_option,
    target_of,
    target_options,
    terminal,
)
from policyc.cli.places import PolicyText, policy_files, read_checked, read_or_tell, usable
from policyc.cli.telling import told
from policyc.diagnostics.visible import visible

if TYPE_CHECKING:
    from policyc.plan.nodes import Plan
    from policyc.prove.claims import Claim

__all__ = ["command"]

_VERDICTS = ("proved", "refuted", "unknown")


@click.command("prove", short_help="Prove what a policy promises, or refute it.")
@click.argument(
    "places", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(path_type=str)
)
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
    places: tuple[str, ...],
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

    A directory stands for all policies (*.thp) below it. A file of definitions for others to
    import has nothing to prove.

    \b
    Examples:
      policyc prove fleet.thp
      policyc prove policies/
      policyc prove fleet.thp --profile thp-v9 --timeout 1min --json

    \b
    Exit codes:
      0  everything is proved
      1  something is refuted or unknown, or a policy has errors
      2  wrong usage, or a file that cannot be read
      3  z3 is missing
    """
    from policyc.cli.counterexample import check_profiles, need_solver, seconds_of

    seconds = seconds_of(timeout)
    need_solver()
    target = target_of(page_size, pmd_order)
    several = len(places) > 1 or any(Path(place).is_dir() for place in places)
    files = policy_files(places)
    if several:
        read = [read_or_tell(file, target) for file in files]
    else:
        read = [usable(read_checked(file, target)) for file in files]
    plans = [policy.plan for policy in read if policy.plan is not None]
    if plans:
        check_profiles(plans, profiles)
    done: list[_Proof] = []
    for policy in read:
        proof = _proof(policy, profiles, seconds, several=several)
        if not as_json and not proof.failed:
            if not all(before.failed for before in done):
                echo()
            _print_text(proof)
        done.append(proof)
    if as_json:
        _print_json(done, several=several)
    elif several:
        echo()
        echo(_summary(done))
    if not all(policy.is_readable for policy in read):
        return USAGE
    return FINE if all(proof.is_fine for proof in done) else NO


@dataclass(frozen=True, slots=True)
class _Proof:
    """What was found out of a file; it has no plan if it `failed`, or has definitions only."""

    file: str
    plan: Plan | None
    failed: bool
    found: Sequence[Claim]

    @property
    def is_fine(self) -> bool:
        """Whether everything is proved, and there are no errors."""
        return not self.failed and all(claim.verdict == "proved" for claim in self.found)

    def counts(self) -> dict[str, int]:
        """How many claims there are of each verdict."""
        return {v: sum(claim.verdict == v for claim in self.found) for v in _VERDICTS}


def _proof(policy: PolicyText, profiles: Sequence[str], seconds: float, *, several: bool) -> _Proof:
    """What becomes of a file; one of several that cannot be used does not end the run."""
    if policy.plan is None:
        return _Proof(policy.file, None, policy.failed, ())
    try:
        return _Proof(policy.file, policy.plan, False, _proved(policy.plan, profiles, seconds))
    except Failure as failure:
        if not several:
            raise
        failure.show()
        return _Proof(policy.file, None, True, ())


def _proved(plan: Plan, chosen: Sequence[str], seconds: float) -> list[Claim]:
    """Every claim about a policy; a terminal sees how far it is."""
    from policyc.cli.counterexample import fitting_profiles
    from policyc.prove.claims import claims

    fitting = [(hook.hook, fitting_profiles([plan], hook.hook, chosen)) for hook in plan.hooks]
    found: list[Claim] = []
    rules = 0
    with told(f"proving {plan.file}") as tell:
        for hook, profiles in fitting:
            for claim in claims(plan, hook, profiles, seconds):
                found.append(claim)
                rules += claim.rule is not None
                tell(f"{rules:,} of {plural(len(plan.rules), 'rule')}")
    return found


# -- for people


def _summary(done: Sequence[_Proof]) -> str:
    """What became of all files."""
    counts = [proof.counts() for proof in done]
    totals = {verdict: sum(count[verdict] for count in counts) for verdict in _VERDICTS}
    policies = sum(proof.plan is not None for proof in done)
    unusable = sum(proof.failed for proof in done)
    parts = [f"{count:,} {verdict}" for verdict, count in totals.items() if count]
    text = f"{policies:,} {'policy' if policies == 1 else 'policies'}"
    text += f": {', '.join(parts)}" if parts else ""
    others = len(done) - policies - unusable
    if others:
        text += f"; {plural(others, 'file')} with definitions only"
    return text + (f"; {plural(unusable, 'file')} that cannot be used" if unusable else "")


def _print_text(proof: _Proof) -> None:
    from policyc.cli.tables import Column, table

    plan, found, place = proof.plan, proof.found, terminal()
    if plan is None:
        echo(f"{visible(proof.file)}: definitions only, nothing to prove")
        return
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
    echo()
    echo(", ".join(f"{count} {v}" for v, count in proof.counts().items() if count))


def _quantified(plan: Plan) -> str:
    """What the claims are about: everything that can be different."""
    parts = ["for every request"]
    if plan.sets:
        parts.append(f"all members of {', '.join(item.name for item in plan.sets)}")
    if plan.params:
        parts.append(f"all values of {', '.join(item.name for item in plan.params)}")
    return f"{visible(plan.file)}, " + ", ".join(parts)


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


# -- for programs


def _print_json(done: Sequence[_Proof], *, several: bool) -> None:
    files = [_document(proof) for proof in done if not proof.failed]
    if not several:
        emit_json(files[0])
        return
    totals = {v: sum(file["summary"][v] for file in files) for v in _VERDICTS}
    unusable = [proof.file for proof in done if proof.failed]
    emit_json({"summary": totals, "unusable": unusable, "files": files})


def _document(proof: _Proof) -> dict[str, Any]:
    plan = proof.plan
    return {
        "policy": None if plan is None else plan.name,
        "file": proof.file,
        "summary": proof.counts(),
        "claims": [] if plan is None else [_claim(plan, claim) for claim in proof.found],
    }


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
