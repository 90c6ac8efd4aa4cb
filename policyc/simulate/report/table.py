"""The report as text: a verdict, the policy beside the baselines, cgroups, rules, notes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from policyc.diagnostics.visible import visible
from policyc.simulate.figures import FIGURES, Unit
from policyc.simulate.report.columns import Column, Report
from policyc.simulate.report.grid import Place, grid
from policyc.simulate.report.plot import marks, plot
from policyc.simulate.report.rows import groups, kept
from policyc.simulate.report.verdict import verdict
from policyc.simulate.results import Run
from policyc.simulate.spelling import spell, spell_count

__all__ = ["text_report"]

#: What the short tables of cgroups show: a title, the name of the figure.
_BY_CGROUP = (
    ("peak memory of", "memory_peak_bytes"),
    ("access p99 of", "access_p99_seconds"),
    ("pressure (some) of", "pressure_some"),
    ("OOM kills of", "oom_kill"),
)

#: Of more runs than this only the trade-off is shown.
_MOST_COLUMNS = 12

#: What tells the ends of a trade-off apart.
_TRADED = (
    ("memory, average", "memory_mean_bytes"),
    ("never touched", "bloat_bytes"),
    ("touches a second", "throughput"),
    ("access p99", "access_p99_seconds"),
    ("fault p99", "fault_p99_seconds"),
    ("OOM kills", "oom_kill"),
)


def text_report(report: Report, place: Place, *, cgroups: int | None = 5) -> str:
    """The whole report, lines of at most the width where that can be done.

    `cgroups` is how many of them the short tables show; None gives every cgroup a table
    of its own with all figures.
    """
    parts = [_head(report, place), _verdict(report, place)]
    parts += _traded(report, place)
    if len(report.columns) <= _MOST_COLUMNS:
        parts.append(_table(report, place, None))
    else:
        parts.append([f"every figure of the {len(report.columns)} runs: --html FILE, or --json"])
    parts += _spread(report, place)
    if cgroups is None:
        parts += [_table(report, place, path) for path in report.cgroups()]
    elif cgroups:
        parts += _short(report, place, cgroups)
    parts += [_rules(report, place), _notes(report, place), _failed(report, place)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _head(report: Report, place: Place) -> list[str]:
    seeds = [str(seed) for seed in report.seeds]
    seed = f"seeds {seeds[0]} to {seeds[-1]}, averaged" if seeds[1:] else f"seed {''.join(seeds)}"
    description = f": {report.description}" if report.description else ""
    lines = _wrapped(f"workload  {report.workload}{description} ({seed})", place, 10)
    if report.policy:
        profile = f" as {report.profile}" if report.profile else ""
        lines += _wrapped(f"policy    {report.file} ({report.policy}){profile}", place, 10)
    return lines


def _wrapped(text: str, place: Place, indent: int) -> list[str]:
    return textwrap.wrap(
        visible(text), max(place.width, 40), subsequent_indent=" " * indent, break_on_hyphens=False
    )


def _verdict(report: Report, place: Place) -> list[str]:
    lines = verdict(report)
    shown = [_wrapped(line, place, 2) for line in lines]
    if report.policies and shown:
        shown[0] = [place.strong(line) for line in shown[0]]
    return [line for part in shown for line in part]


def _titles(columns: Sequence[Column]) -> list[str]:
    return [column.title for column in columns]


def _table(report: Report, place: Place, cgroup: str | None) -> list[str]:
    """All figures of the machine or of a cgroup."""
    rows: list[tuple[str, Sequence[str]] | None] = []
    for group in groups(report):
        if rows:
            rows.append(None)
        rows += [
            (row.label, [row.cell(column, cgroup) for column in report.columns])
            for row in kept(report, group, cgroup)
        ]
    lines = grid("", _titles(report.columns), rows, place)
    return lines if cgroup is None else [place.strong(visible(cgroup)), *lines]


def _traded(report: Report, place: Place) -> list[list[str]]:
    """For a sweep: a line for each run, so that values can be compared downwards, and a plot."""
    if not report.sweeps:
        return []
    marked = marks(len(report.columns))
    rows: list[tuple[str, Sequence[str]] | None] = [
        (
            f"{mark}  {column.title}",
            [spell(column.mean(FIGURES[name].read), FIGURES[name].unit) for _, name in _TRADED],
        )
        for mark, column in zip(marked, report.columns, strict=True)
    ]
    table = grid("   the trade-off", [title for title, _ in _TRADED], rows, place)
    return [table, plot(report, place)]


def _spread(report: Report, place: Place) -> list[list[str]]:
    if len(report.seeds) < 2:
        return []
    rows: list[tuple[str, Sequence[str]] | None] = []
    for group in groups(report):
        for row in kept(report, group):
            cells = [
                _deviation(column.deviation(row.read), column.mean(row.read), row.unit)
                for column in report.columns
            ]
            if any(cells):
                rows.append((row.label.strip(), [cell or "0" for cell in cells]))
    title = f"standard deviation over {len(report.seeds)} seeds, of the mean"
    if not rows:
        return [[f"all {len(report.seeds)} seeds have the same figures"]]
    return [[place.strong(title), *grid("", _titles(report.columns), rows, place)]]


def _deviation(deviation: float, mean: float, unit: Unit) -> str:
    """As a share of the mean; pressures, which are shares themselves, in points."""
    if not deviation:
        return ""
    if unit == "percent":
        return f"{deviation:.2f}"
    return f"{100 * deviation / abs(mean):.2f}%" if mean else spell(deviation, unit)


def _short(report: Report, place: Place, most: int) -> list[list[str]]:
    """The cgroups with the most memory, a figure at a time.

    Figures other than memory are left out where all runs have the same.
    """
    paths = report.cgroups()
    shown = paths[:most]
    parts: list[list[str]] = []
    for title, name in _BY_CGROUP:
        figure = FIGURES[name]
        rows: list[tuple[str, Sequence[str]] | None] = [
            (path, [spell(value, figure.unit) for value in values])
            for path in shown
            if any(values := [column.mean(figure.read, path) for column in report.columns])
        ]
        if any(row is not None and len(set(row[1])) > 1 for row in rows) or not parts:
            parts.append(grid(title, _titles(report.columns), rows, place))
    if parts and len(paths) > len(shown):
        rest = f"{len(paths) - len(shown):,} more cgroups: --cgroups all shows every figure of each"
        parts[-1].append(rest)
    return parts


def _rules(report: Report, place: Place) -> list[str]:
    if not report.policies:
        return []
    column = report.policies[0]
    run = column.first
    asked = run.no_opinion + sum(rule.decisions for rule in run.rules)
    if not run.rules:
        return []
    which = f" ({column.title}; --json has the others)" if len(report.policies) > 1 else ""
    lines = [place.strong(f"what the rules decided, of {asked:,} requests{visible(which)}")]
    wide = max(len(spell_count(rule.decisions)) for rule in run.rules)
    wide = max(wide, len(spell_count(run.no_opinion)))
    places = [f"{report.file}:{rule.line}" for rule in run.rules]
    room = place.width - wide - 4
    for rule, where in zip(run.rules, places, strict=True):
        share = _of(rule.decisions, asked)
        text = f"line {rule.line}: {rule.text}" if where else rule.text
        wrapped = textwrap.wrap(visible(text), max(room - 8, 20), break_on_hyphens=False) or [""]
        number = spell_count(rule.decisions).rjust(wide)
        lines.append(f"{number}  {share:>6}  {wrapped[0]}")
        lines += [" " * (wide + 10) + more for more in wrapped[1:]]
    share = _of(run.no_opinion, asked)
    lines.append(f"{spell_count(run.no_opinion).rjust(wide)}  {share:>6}  (no opinion)")
    idle = idle_rules(run)
    if idle and asked:
        lines.append(f"never decided: {', '.join(idle)}")
    return lines


def idle_rules(run: Run) -> list[str]:
    """The lines of rules that never decided, as `line 12`."""
    return [f"line {rule.line}" for rule in run.rules if not rule.decisions]


def _of(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else ""


def _notes(report: Report, place: Place) -> list[str]:
    """The notes of each run; what all columns say is said once, without a name."""
    found: dict[str, list[str]] = {}
    for column in report.columns:
        for run in column.runs:
            for note in run.notes:
                titles = found.setdefault(note, [])
                if column.title not in titles:
                    titles.append(column.title)
    lines: list[str] = []
    for note, titles in found.items():
        every = len(titles) == len(report.columns) or not report.baselines
        name = "" if every else f"{', '.join(titles)}: "
        lines += _wrapped(f"note: {name}{note}", place, 6)
    return lines


def _failed(report: Report, place: Place) -> list[str]:
    lines: list[str] = []
    for sentence in report.failed:
        lines += _wrapped(f"fails: {sentence}", place, 7)
    return lines
