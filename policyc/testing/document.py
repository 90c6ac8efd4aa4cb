"""Results as data for JSON; docs/reference/cli.md describes the document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from policyc.explain.spelling import spell_expression
from policyc.plan import nodes as n
from policyc.testing.coverage import Coverage
from policyc.testing.report import Failure, Report, Result, Verdict

__all__ = ["document"]

#: The name of a share in the document where it is not that of the kind.
_SHARES = {"conditions": "outcomes"}

_WORDS = (("true", True), ("false", False))


def document(
    reports: Sequence[Report], unusable: Iterable[str] = (), *, times: bool = True
) -> dict[str, Any]:
    """All results. `unusable` are files that could not be run; without `times` all times are 0."""
    results = [result for report in reports for result in report.results]
    return {
        "passed": _count(results, Verdict.PASSED),
        "failed": _count(results, Verdict.FAILED),
        "not_run": _count(results, Verdict.NOT_RUN),
        "unusable": list(unusable),
        "files": [_file(report, times=times) for report in reports],
    }


def _count(results: Sequence[Result], verdict: Verdict) -> int:
    return sum(result.verdict is verdict for result in results)


def _file(report: Report, *, times: bool) -> dict[str, Any]:
    return {
        "file": report.plan.file,
        "policy": report.plan.name,
        "results": [_result(report.plan, result, times=times) for result in report.results],
        "coverage": None if report.coverage is None else _coverage(report.coverage),
    }


def _result(plan: n.Plan, result: Result, *, times: bool) -> dict[str, Any]:
    return {
        "kind": result.kind.value,
        "name": result.name,
        "hook": result.hook.value,
        "line": result.line,
        "outcome": result.verdict.value,
        "checked": result.checked,
        "seconds": round(result.seconds, 6) if times else 0,
        "failures": [_failure(plan, failure) for failure in result.failures],
    }


def _failure(plan: n.Plan, failure: Failure) -> dict[str, Any]:
    return {
        "line": failure.line,
        "text": failure.text,
        "given": list(failure.given),
        "state": list(failure.state),
        "expected": failure.expected,
        "got": failure.got,
        "rule": _rule(plan, failure.rule),
        "command": failure.command,
    }


def _rule(plan: n.Plan, rule: n.Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {
        "index": rule.index,
        "label": rule.label or None,
        "file": plan.file,
        "line": rule.line,
        "text": rule.text,
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    plan, tally = coverage.plan, coverage.tally()
    return {
        "percent": round(tally.percent, 2),
        **{
            _SHARES.get(name, name): {"reached": share.reached, "all": share.whole}
            for name, share in tally.parts.items()
        },
        "rules_applied": [
            {
                **(_rule(plan, rule) or {}),
                "times": coverage.rules[rule.index].yes,
                "counts": rule.index in coverage.countable.rules,
            }
            for rule in plan.rules
        ],
        "conditions": [
            {
                "file": known.file,
                "line": known.line,
                "let": known.let or None,
                "rule": None if known.rule is None else known.rule.index,
                "text": spell_expression(known.expr, plan),
                "true": coverage.outcomes[place].yes,
                "false": coverage.outcomes[place].no,
                "counts": [word for word, value in _WORDS if value in known.possible],
            }
            for place, known in coverage.conditions.items()
        ],
        "blocks": [
            found
            for hook in plan.hooks
            for block in hook.blocks
            if (found := _block(coverage, hook, block)) is not None
        ],
        "opinions": [
            {
                "hook": hook.hook.value,
                "combine": hook.combine.value,
                "times": coverage.combined[hook.hook].yes,
                "counts": hook.hook in coverage.countable.combined,
            }
            for hook in plan.hooks
        ],
    }


def _block(coverage: Coverage, hook: n.HookPlan, block: n.Block) -> dict[str, Any] | None:
    """What became of the scope and the rollout of a block, None if it has neither."""
    where = (hook.hook, block.index)
    scope, rollout = coverage.scopes.get(where), coverage.rollouts.get(where)
    if scope is None and rollout is None:
        return None
    return {
        "hook": hook.hook.value,
        "line": block.line,
        "scope": None if block.scope is None else coverage.plan.paths[block.scope],
        "inside": None if scope is None else scope.yes,
        "outside": None if scope is None else scope.no,
        "admitted": None if rollout is None else rollout.yes,
        "refused": None if rollout is None else rollout.no,
    }
