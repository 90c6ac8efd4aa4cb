"""The report as one HTML page that works offline, with timelines to hover and zoom."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from policyc.resources import resource_path
from policyc.simulate.figures import FIGURES, Figure
from policyc.simulate.report.columns import Column, Report
from policyc.simulate.report.document import number
from policyc.simulate.report.rows import groups, kept
from policyc.simulate.report.verdict import verdict
from policyc.simulate.spelling import spell_order

__all__ = ["page"]

#: Cgroups with a table of their own; thousands would make the page too large to open.
_MOST_CGROUPS = 50

#: Cgroups in a chart; the script draws as many.
_MOST_LINES = 8

#: Samples of a timeline that a screen can show; of more, every n-th is taken.
_MOST_SAMPLES = 2000


@cache
def _environment() -> Environment:
    """HTML is escaped here, unlike in the templates of programs."""
    return Environment(
        loader=FileSystemLoader(resource_path("templates") / "report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def page(report: Report) -> str:
    """The page. It loads nothing from anywhere, and its policy for content forbids it to."""
    directory = resource_path("templates") / "report"
    script = (directory / "simulation.js").read_text("utf-8")
    style = (directory / "simulation.css").read_text("utf-8")
    # The hash is that of the text between the tags.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("simulation.html.j2")
        .render(
            report=report,
            verdict=verdict(report),
            tables=[_table(report, None)],
            cgroups=[(path, _table(report, path)) for path in report.cgroups()[:_MOST_CGROUPS]],
            more_cgroups=max(len(report.cgroups()) - _MOST_CGROUPS, 0),
            rules=[_rules(column) for column in report.policies if column.first.rules],
            notes=_notes(report),
            data=_embedded(_data(report)),
            # Files of ours.
            script=Markup(script),
            style=Markup(style),
            digest=digest,
        )
    )


def _table(report: Report, cgroup: str | None) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Groups of rows, each a label and its cells; labels keep their indentation."""
    return [
        (
            group.title,
            [
                (row.label, [row.cell(column, cgroup) for column in report.columns])
                for row in kept(report, group, cgroup)
            ],
        )
        for group in groups(report)
    ]


def _rules(column: Column) -> dict[str, Any]:
    run = column.first
    asked = run.no_opinion + sum(rule.decisions for rule in run.rules)
    rows = [(rule.hook, str(rule.line), rule.text, rule.decisions) for rule in run.rules]
    rows.append(("", "", "(no opinion)", run.no_opinion))
    return {
        "title": column.title,
        "asked": f"{asked:,}",
        "rows": [
            {
                "hook": hook,
                "line": line,
                "text": text,
                "decisions": f"{decisions:,}",
                "share": f"{100 * decisions / asked if asked else 0:.1f}",
                "idle": not decisions and bool(line),
            }
            for hook, line, text, decisions in rows
        ],
    }


def _notes(report: Report) -> list[tuple[str, str]]:
    """Each note once, with the runs that it is about."""
    found: dict[str, list[str]] = {}
    for column in report.columns:
        for note in dict.fromkeys(note for run in column.runs for note in run.notes):
            found.setdefault(note, []).append(column.title)
    return [(", ".join(titles), note) for note, titles in found.items()]


def _data(report: Report) -> dict[str, Any]:
    speed = report.speed()
    return {
        "runs": [_run(column, speed) for column in report.columns],
        "speed": "touches a second"
        if speed.name == "throughput"
        else "touches a second of busy time",
        "orders": {
            str(order): spell_order(order, report.page_size)
            for order in range(64)
            if any(any(_memory(column, order)) for column in report.columns)
        },
    }


def _memory(column: Column, order: int) -> Sequence[float]:
    """Memory in folios of an order over time."""
    return column.first.timeline.series.get(f"memory.order{order}", ())


def _run(column: Column, speed: Figure) -> dict[str, Any]:
    timeline = column.first.timeline
    step = max(1, -(-len(timeline.seconds) // _MOST_SAMPLES))
    killed = column.mean(FIGURES["oom_kill"].read)
    return {
        "title": column.title,
        "policy": not column.baseline,
        "setting": dict(column.setting),
        "memory": number(column.mean(FIGURES["memory_mean_bytes"].read)),
        "speed": number(column.mean(speed.read)),
        "memory_deviation": number(column.deviation(FIGURES["memory_mean_bytes"].read)),
        "speed_deviation": number(column.deviation(speed.read)),
        "oom_kill": number(killed),
        "seconds": [number(value) for value in timeline.seconds[::step]],
        "series": {
            name: [number(value) for value in timeline.series[name][::step]]
            for name in _shown_series(timeline.series)
        },
    }


def _shown_series(series: Mapping[str, Sequence[float]]) -> list[str]:
    """All names but those of cgroups beyond the largest, which no chart could tell apart."""
    cgroups = [name for name in series if name.startswith("cgroup.")]
    cgroups.sort(key=lambda name: (-max(series[name], default=0.0), name))
    return sorted(set(series) - set(cgroups[_MOST_LINES:]))


def _embedded(data: dict[str, Any]) -> Markup:
    """JSON that cannot end the element it stands in: nothing that HTML knows is left in it."""
    text = json.dumps(data, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
