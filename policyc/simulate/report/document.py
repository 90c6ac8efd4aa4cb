"""The report as one JSON document; docs/reference/simulation.md describes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from policyc.simulate.figures import FIGURES, huge_bytes
from policyc.simulate.report.columns import Column, Report
from policyc.simulate.report.verdict import verdict
from policyc.simulate.results import COUNTERS, Figures, RuleCount, Run

__all__ = ["document", "figures_document"]

#: Numbers above this are not exact in every reader of JSON.
_SAFE = 1 << 53

#: Digits that a float is written with: what follows is noise of the arithmetic.
_DIGITS = 12

_BYTES = ("memory_bytes", "memory_peak_bytes", "memory_mean_bytes", "bloat_bytes", "swap_bytes")
_FLOATS = (
    "run_seconds",
    "cpu_seconds",
    "access_p50_seconds",
    "access_p99_seconds",
    "fault_p50_seconds",
    "fault_p99_seconds",
    "pressure_some",
    "pressure_full",
    "stall_seconds",
)


def document(report: Report) -> dict[str, Any]:
    """The document as data that json.dumps takes; the same runs give the same bytes."""
    return {
        "workload": {"name": report.workload, "description": report.description},
        "policy": _policy(report),
        "seeds": list(report.seeds),
        "sweeps": list(report.sweeps),
        "verdict": list(verdict(report)),
        "failed": list(report.failed),
        "runs": [
            _run(column, seed, run)
            for column in report.columns
            for seed, run in zip(column.seeds, column.runs, strict=True)
        ],
        "spreads": [_spread(column) for column in report.columns] if len(report.seeds) > 1 else [],
    }


def _policy(report: Report) -> dict[str, Any] | None:
    if not report.policy:
        return None
    return {"name": report.policy, "file": report.file, "profile": report.profile or None}


def _run(column: Column, seed: int, run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "policy": not column.baseline,
        "setting": dict(column.setting),
        "seed": seed,
        "total": figures_document(run.total),
        "cgroups": {path: figures_document(run.cgroups[path]) for path in sorted(run.cgroups)},
        "process_seconds": _floats(run.process_seconds),
        "rules": [_rule(rule) for rule in run.rules],
        "no_opinion": run.no_opinion,
        "notes": list(run.notes),
        "timeline": {
            "seconds": [number(value) for value in run.timeline.seconds],
            "series": {
                name: [number(value) for value in values]
                for name, values in sorted(run.timeline.series.items())
            },
        },
    }


def figures_document(figures: Figures) -> dict[str, Any]:
    """The figures of a cgroup or of the machine: sizes and times, then every counter."""
    found: dict[str, Any] = {name: number(getattr(figures, name)) for name in _BYTES}
    found["huge_bytes"] = number(huge_bytes(figures))
    found["huge_bytes_by_order"] = _by_order(figures.huge_bytes_by_order)
    found["bytes_by_node"] = [number(value) for value in figures.bytes_by_node]
    found["touches"] = number(figures.touches)
    found |= {name: number(getattr(figures, name)) for name in _FLOATS}
    found["faults_by_order"] = _by_order(figures.faults_by_order)
    others = sorted(set(figures.counters) - set(COUNTERS))
    found |= {name: number(figures.counters.get(name, 0)) for name in (*COUNTERS, *others)}
    return found


def _by_order(values: Mapping[int, int]) -> dict[str, Any]:
    return {str(order): number(values[order]) for order in sorted(values)}


def _floats(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: number(values[name]) for name in sorted(values)}


def _rule(rule: RuleCount) -> dict[str, Any]:
    return {
        "hook": rule.hook,
        "index": rule.index,
        "label": rule.label or None,
        "line": rule.line,
        "text": rule.text,
        "decisions": number(rule.decisions),
    }


def _spread(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, figure in FIGURES.items():
        values = [float(figure.read(figures)) for figures in column.figures()]
        found[name] = {
            "mean": number(column.mean(figure.read)),
            "deviation": number(column.deviation(figure.read)),
            "least": number(min(values)),
            "most": number(max(values)),
        }
    return {"name": column.first.name, "setting": dict(column.setting), "figures": found}


def number(value: float) -> float | int | str | None:
    """A number for JSON: a float with twelve digits, an int above 2^53 as text, None for NaN."""
    if isinstance(value, bool) or not isinstance(value, float):
        whole = int(value)
        return whole if abs(whole) < _SAFE else str(whole)
    if not math.isfinite(value):
        return None
    whole = value.is_integer() and abs(value) < _SAFE
    return value if whole else float(f"{value:.{_DIGITS}g}")
