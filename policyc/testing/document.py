"""Results as data for JSON; docs/reference/cli.md describes the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policyc.explain.spelling import spell_expression
from policyc.plan import nodes as n
from policyc.testing.coverage import Coverage
from policyc.testing.report import Failure, Report, Result, Verdict

__all__ = ["document"]


def document(
    reports: Sequence[Report], unusable: Sequence[str] = (), *, times: bool = True
) -> dict[str, Any]:
    """All results. `unusable` are files with errors; without `times` all times are 0."""
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
        "rules": {"reached": tally.rules, "all": tally.all_rules},
        "outcomes": {"reached": tally.outcomes, "all": tally.all_outcomes},
        "rules_applied": [
            {**(_rule(plan, rule) or {}), "times": coverage.rules[rule.index].yes}
            for rule in plan.rules
        ],
        "conditions": [
            {
                "line": condition.line,
                "let": condition.let or None,
                "rule": None if condition.rule is None else condition.rule.index,
                "text": spell_expression(condition.expr, plan),
                "true": coverage.outcomes[place].yes,
                "false": coverage.outcomes[place].no,
            }
            for place, condition in coverage.conditions.items()
        ],
    }
