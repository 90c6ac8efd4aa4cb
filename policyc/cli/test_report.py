"""How `policyc test` shows what became of tests, and what they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from policyc.cli.common import Terminal, echo, plural, terminal
from policyc.cli.tables import Column, table
from policyc.diagnostics.visible import visible
from policyc.testing.report import Failure, Kind, Report, Result, Verdict

if TYPE_CHECKING:
    from policyc.testing.coverage import Coverage, Tally

__all__ = ["print_annotated", "print_coverage", "print_list", "print_results", "total"]


def print_results(reports: Sequence[Report], skipped: Mapping[str, str] | None = None) -> None:
    """Every failure in full, then a line for each file; `skipped` says why some were not run."""
    place = terminal()
    for report in reports:
        for result in report.results:
            for failure in result.failures:
                _print_failure(report, result, failure, place)
    for report in reports:
        echo(visible(f"{report.plan.file}: {_summary(report.results)}"))
    for file, why in (skipped or {}).items():
        echo(visible(f"{file}: {why}"))
    if len(reports) > 1:
        results = [result for report in reports for result in report.results]
        echo(f"{plural(len(reports), 'file')}: {_summary(results)}")


def _print_failure(report: Report, result: Result, failure: Failure, place: Terminal) -> None:
    head = f'{report.plan.file}:{failure.line}: {result.kind.value} "{result.name}" failed'
    echo(place.paint("1;31", visible(head)))
    word = "given" if result.kind is Kind.TEST else "counterexample"
    rows = [
        [word if number == 0 else "", line]
        for number, line in enumerate(failure.given or ("what `policyc decide` assumes",))
    ]
    rows += [["with" if number == 0 else "", line] for number, line in enumerate(failure.state)]
    rows += [
        ["expected", failure.expected],
        ["got", failure.got],
        ["decided by", failure.decided_by],
    ]
    echo(table([Column(""), Column("")], rows, place, "  "))
    echo(f"  explain with: {visible(failure.command)}")
    echo()


def _summary(results: Sequence[Result]) -> str:
    """`3 tests, 1 property: all passed`."""
    if not results:
        return "no tests"
    tests = sum(result.kind is Kind.TEST for result in results)
    properties = len(results) - tests
    said = [plural(tests, "test")] if tests else []
    if properties:
        said.append(f"{properties:,} {'property' if properties == 1 else 'properties'}")
    failed = sum(result.verdict is Verdict.FAILED for result in results)
    missing = sum(result.verdict is Verdict.NOT_RUN for result in results)
    how = [f"{failed:,} failed"] if failed else []
    how += [f"{missing:,} not run"] if missing else []
    return f"{', '.join(said)}: {', '.join(how) or 'all passed'}"


def print_list(reports: Sequence[Report]) -> None:
    """A line for each test and property."""
    found = [(report.plan.file, result) for report in reports for result in report.results]
    width = max((len(f"{file}:{result.line}") for file, result in found), default=0)
    for file, result in found:
        place = f"{file}:{result.line}"
        text = f"{place:<{width}}  {result.kind.value:<8}  {result.hook.value:<4}  {result.name}"
        echo(visible(text))
    if not found:
        echo("no tests")


# -- coverage


def total(tallies: Sequence[Tally]) -> Tally:
    """Some tallies together."""
    from policyc.testing.coverage import Tally

    return sum(tallies, Tally())


def print_coverage(
    reports: Sequence[Report], everything: Mapping[str, Coverage] | None = None
) -> None:
    """A row for each file: what its tests reach, and what they reach with the examples.

    Kinds besides rules and conditions have a column where a policy has something of them.
    """
    rows: list[tuple[str, Tally, Tally | None]] = []
    for report in reports:
        if report.coverage is not None:
            more = None if everything is None else everything[report.plan.file].tally()
            rows.append((report.plan.file, report.coverage.tally(), more))
    if len(rows) > 1:
        wider = None if everything is None else total([more for _, _, more in rows if more])
        rows.append(("all", total([tally for _, tally, _ in rows]), wider))
    kinds = [
        kind
        for kind in total([]).parts
        if kind in _ALWAYS or any(tally.parts[kind].whole for _, tally, _ in rows)
    ]
    columns = [Column("file"), *(Column(kind, right=True) for kind in (*kinds, "reached"))]
    if everything is not None:
        columns.append(Column("with examples", right=True))
    echo()
    echo(table(columns, [_row(*row, kinds) for row in rows], terminal()))


_ALWAYS = ("rules", "conditions")


def _row(name: str, tally: Tally, more: Tally | None, kinds: Sequence[str]) -> list[str]:
    row = [name, *(str(tally.parts[kind]) for kind in kinds), _percent(tally)]
    return row if more is None else [*row, _percent(more)]


def _percent(tally: Tally) -> str:
    """Rounded down: what is not all is never shown as all."""
    return f"{int(tally.percent * 10) / 10:.1f}%"


def print_annotated(coverage: Coverage, texts: Mapping[str, str]) -> None:
    """The policy with how often each rule has applied, and what was not reached.

    `texts` has what is in the files: the policy and those of which it uses conditions.
    """
    from policyc.explain.spelling import spell_expression

    own = coverage.plan.file
    files = dict.fromkeys([own, *(known.file for known in coverage.conditions.values())])
    lacking: dict[str, dict[int, list[str]]] = {file: {} for file in files}
    for lack in coverage.lacking():
        said = lack.what
        if lack.condition is not None:
            said += f": {spell_expression(lack.condition.expr, coverage.plan)}"
        lacking[lack.file].setdefault(lack.line, []).append(said)
    for file in files:
        title = file if file == own else f"{file}, imported by {own}"
        counts = _counts(coverage) if file == own else {}
        _print_lines(title, texts.get(file, ""), counts, lacking[file])


def _print_lines(
    title: str, text: str, counts: Mapping[int, str], lacking: Mapping[int, Sequence[str]]
) -> None:
    place = terminal()
    echo()
    echo(place.paint("1", visible(title)))
    lines = text.removesuffix("\n").split("\n")  # a policy has no other line ends
    lines += [""] * (max(lacking, default=0) - len(lines))
    for number, line in enumerate(lines, 1):
        count = counts.get(number, "")
        shown = visible(f"{count:>7} {number:>5}  {line}".rstrip())
        missed = count == _NEVER or number in lacking
        echo(place.paint("31", shown) if missed else shown)
        for said in lacking.get(number, ()):
            echo(place.paint("31", visible(f"{'':>13}  ^ {said}")))


_NEVER = "never"


def _counts(coverage: Coverage) -> dict[int, str]:
    """For the line of each rule how often it has applied; `-` where it never can."""
    times: dict[int, int] = {}
    counted: set[int] = set()
    for rule in coverage.plan.rules:
        times[rule.line] = times.get(rule.line, 0) + coverage.rules[rule.index].yes
        if rule.index in coverage.countable.rules:
            counted.add(rule.line)
    return {
        line: f"{count:,}" if count else _NEVER if line in counted else "-"
        for line, count in times.items()
    }
