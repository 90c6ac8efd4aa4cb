"""How `policyc test` shows what became of tests, and what they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policyc.cli.common import Terminal, echo, plural, terminal, visible_lines
from policyc.cli.tables import Column, table
from policyc.explain.spelling import spell_expression
from policyc.testing.coverage import Coverage, Tally
from policyc.testing.report import Failure, Kind, Report, Result, Verdict

__all__ = ["print_annotated", "print_coverage", "print_list", "print_results", "total"]


def print_results(reports: Sequence[Report]) -> None:
    """Every failure in full, then a line for each file."""
    place = terminal()
    for report in reports:
        for result in report.results:
            for failure in result.failures:
                _print_failure(report, result, failure, place)
    for report in reports:
        echo(visible_lines(f"{report.plan.file}: {_summary(report.results)}"))
    if len(reports) > 1:
        results = [result for report in reports for result in report.results]
        echo(f"{plural(len(reports), 'file')}: {_summary(results)}")


def _print_failure(report: Report, result: Result, failure: Failure, place: Terminal) -> None:
    head = f'{report.plan.file}:{failure.line}: {result.kind.value} "{result.name}" failed'
    echo(place.paint("1;31", visible_lines(head)))
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
    echo(f"  explain with: {visible_lines(failure.command)}")
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
        echo(visible_lines(text))
    if not found:
        echo("no tests")


# -- coverage


def total(tallies: Sequence[Tally]) -> Tally:
    """Some tallies together."""
    return sum(tallies, Tally(0, 0, 0, 0))


def print_coverage(
    reports: Sequence[Report], everything: Mapping[str, Coverage] | None = None
) -> None:
    """A row for each file: what its tests reach, and what they reach with the examples."""
    columns = [Column("file"), Column("rules", right=True), Column("conditions", right=True)]
    columns += [Column("reached", right=True)]
    if everything is not None:
        columns.append(Column("with examples", right=True))
    rows: list[list[str]] = []
    tallies: list[Tally] = []
    wider: list[Tally] = []
    for report in reports:
        if report.coverage is not None:
            tallies.append(report.coverage.tally())
            more = None if everything is None else everything[report.plan.file].tally()
            wider += [] if more is None else [more]
            rows.append(_row(report.plan.file, tallies[-1], more))
    if len(rows) > 1:
        rows.append(_row("all", total(tallies), total(wider) if everything is not None else None))
    echo()
    echo(table(columns, rows, terminal()))


def _row(name: str, tally: Tally, more: Tally | None) -> list[str]:
    row = [
        name,
        f"{tally.rules}/{tally.all_rules}",
        f"{tally.outcomes}/{tally.all_outcomes}",
        _percent(tally),
    ]
    return row if more is None else [*row, _percent(more)]


def _percent(tally: Tally) -> str:
    """Rounded down: what is not all is never shown as all."""
    return f"{int(tally.percent * 10) / 10:.1f}%"


def print_annotated(coverage: Coverage, text: str) -> None:
    """The policy with how often each rule has applied, and what was not reached."""
    place = terminal()
    counts: dict[int, int] = {}
    for rule in coverage.plan.rules:
        counts[rule.line] = counts.get(rule.line, 0) + coverage.rules[rule.index].yes
    lacking: dict[int, list[str]] = {}
    for condition, what in coverage.lacking():
        said = f"{what}: {spell_expression(condition.expr, coverage.plan)}"
        lacking.setdefault(condition.line, []).append(said)
    echo()
    echo(place.paint("1", visible_lines(coverage.plan.file)))
    for number, line in enumerate(text.splitlines(), 1):
        count = "" if number not in counts else f"{counts[number]:,}" if counts[number] else "never"
        shown = visible_lines(f"{count:>7} {number:>5}  {line}".rstrip())
        missed = count == "never" or number in lacking
        echo(place.paint("31", shown) if missed else shown)
        for said in lacking.get(number, ()):
            echo(place.paint("31", visible_lines(f"{'':>13}  ^ {said}")))
