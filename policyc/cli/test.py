"""`policyc test`: the tests and properties of policies."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import (
    FINE,
    MISSING,
    NO,
    USAGE,
    Failure,
    emit_json,
    target_of,
    target_options,
)
from policyc.cli.places import PolicyText, policy_files, read_or_tell

if TYPE_CHECKING:
    from policyc.testing.coverage import Coverage
    from policyc.testing.report import Report
    from policyc.testing.runner import Options

__all__ = ["command"]

_HOW_TO_GET = "pip install 'policyc[test]'"


class _Percent(click.FloatRange):
    """A share from 0 to 100; `nan` is none, though nothing is less or more."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        number = float(super().convert(value, param, ctx))
        if isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


class _Command(click.Command):
    """A command whose `--coverage` needs no value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, `--coverage` by itself as `--coverage=tests`."""
        end = args.index("--") if "--" in args else len(args)
        plain = ["--coverage=tests" if item == "--coverage" else item for item in args[:end]]
        return super().parse_args(ctx, [*plain, *args[end:]])


@click.command("test", cls=_Command, short_help="Run the tests and properties of policies.")
@click.argument(
    "places", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(path_type=str)
)
@click.option(
    "-k", "chosen", metavar="EXPR", help="Run only what is named so: `java and not numa`."
)
@click.option("--list", "listing", is_flag=True, help="Say what there is, and run nothing.")
@click.option("-x", "--exit-first", "stop", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--examples",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="Try this many requests for each property.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, (1 << 63) - 1),
    default=0,
    show_default=True,
    help="Try other requests; the same ones for the same number.",
)
@click.option(
    "--coverage",
    "coverage",
    metavar="[=all]",
    type=click.Choice(["tests", "all"]),
    help="Say how much of its rules, conditions, scopes and rollouts the tests reach; with =all "
    "also what they reach together with the examples of properties.",
)
@click.option("--annotate", is_flag=True, help="Show each policy with what is not reached.")
@click.option(
    "--fail-under",
    metavar="PERCENT",
    type=_Percent(0, 100),
    help="Fail if less is reached in all files together; of tests, or with --coverage=all.",
)
@click.option("--require-tests", is_flag=True, help="Fail if a file has none.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=str), help="Write a JUnit report, too."
)
@click.option("--no-times", is_flag=True, help="Write 0 for every time in JSON and JUnit.")
@target_options
def command(
    *,
    places: tuple[str, ...],
    chosen: str | None,
    listing: bool,
    stop: bool,
    examples: int,
    seed: int,
    coverage: str | None,
    annotate: bool,
    fail_under: float | None,
    require_tests: bool,
    as_json: bool,
    junit: str | None,
    no_times: bool,
    page_size: str,
    pmd_order: int | None,
) -> int:
    """Run the tests and properties of policies.

    A test passes if each of its expectations is met. A property passes if it holds for all
    requests that are tried, whose values are at the boundaries of the policy's own
    conditions; otherwise the smallest request is shown for which it does not hold. A
    directory stands for all policies (*.thp) below it; a file that is named twice is run once.

    \b
    Examples:
      policyc test fleet.thp
      policyc test policies/ --coverage --fail-under 90
      policyc test fleet.thp -k 'java and not numa' --annotate
      policyc test fleet.thp --examples 5000 --seed 7
      policyc test policies/ --junit report.xml --no-times

    \b
    Exit codes:
      0  all passed
      1  something failed, less is reached than --fail-under says, or a policy has errors
      2  wrong usage, or a file that cannot be read or written
      3  there are properties, and hypothesis is missing
    """
    from policyc.testing.runner import Options

    target = target_of(page_size, pmd_order)
    counting = coverage is not None or annotate or fail_under is not None
    options = Options(
        examples=examples,
        seed=seed,
        wanted=_wanted(chosen),
        stop=stop,
        properties=find_spec("hypothesis") is not None,
        coverage=counting,
        examples_count=coverage == "all",
    )
    policies = [read_or_tell(file, target) for file in policy_files(places)]
    _keep_out_of_the_way()
    skipped = {policy.file: _why_not(policy) for policy in policies if policy.plan is None}
    unusable = {policy.file: skipped[policy.file] for policy in policies if policy.failed}
    ran = _run(policies, options, coverage, listing=listing)
    reports = [report for _, report in ran.reports]
    if listing:
        from policyc.cli.test_report import print_list

        print_list(reports)
        return _unusable_code(policies)
    if as_json:
        from policyc.testing.document import document

        emit_json(document(reports, unusable, times=not no_times))
    else:
        counted = coverage is not None or fail_under is not None
        _print(ran, skipped, coverage=counted, annotate=annotate)
    if junit is not None:
        _write_junit(junit, reports, unusable, times=not no_times)
    unusable_code = _unusable_code(policies)
    code = _code(ran, fail_under, require_tests=require_tests, filtered=chosen is not None)
    return unusable_code if unusable_code == USAGE or code == FINE else code


@dataclass(frozen=True, slots=True)
class _Ran:
    """What was run, and for each file what tests and examples reach together."""

    reports: list[tuple[PolicyText, Report]]
    everything: dict[str, Coverage] | None


def _keep_out_of_the_way() -> None:
    """Have hypothesis put what it remembers of modules into the cache, not beside the policies."""
    from policyc.syntax.tables import cache_directory

    directory = cache_directory()
    if directory is not None:
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(directory / "hypothesis"))


def _wanted(text: str | None) -> Callable[[str], bool]:
    from policyc.testing.names import name_filter

    if text is None:
        return lambda _name: True
    try:
        return name_filter(text)
    except ValueError as error:
        raise click.UsageError(f"-k: {error}") from None


def _run(
    policies: Sequence[PolicyText], options: Options, coverage: str | None, *, listing: bool
) -> _Ran:
    from policyc.testing.report import Verdict
    from policyc.testing.runner import listed, run

    reports: list[tuple[PolicyText, Report]] = []
    everything: dict[str, Coverage] = {}
    for policy in policies:
        if policy.plan is None:
            continue
        report = listed(policy.plan, options) if listing else run(policy.plan, options)
        reports.append((policy, report))
        if report.everything is not None:
            everything[policy.file] = report.everything
        if options.stop and report.count(Verdict.FAILED):
            break
    return _Ran(reports, everything if coverage == "all" else None)


def _print(ran: _Ran, skipped: Mapping[str, str], *, coverage: bool, annotate: bool) -> None:
    from policyc.cli.test_report import print_annotated, print_coverage, print_results

    reports = [report for _, report in ran.reports]
    print_results(reports, skipped)
    if coverage and reports:
        print_coverage(reports, ran.everything)
    for policy, report in ran.reports if annotate else ():
        if report.coverage is not None:
            print_annotated(report.coverage, _texts(policy, report.coverage))


def _texts(policy: PolicyText, coverage: Coverage) -> dict[str, str]:
    """What is in the policy, and in the files that it has conditions from."""
    from policyc.check.imports import read_file

    texts = {policy.file: policy.text}
    for known in coverage.conditions.values():
        if known.file not in texts:
            try:
                texts[known.file] = read_file(known.file).decode("utf-8", "replace")
            except OSError:  # gone since it was checked: the lines are shown without their text
                texts[known.file] = ""
    return texts


def _write_junit(
    file: str, reports: Sequence[Report], unusable: Mapping[str, str], *, times: bool
) -> None:
    from policyc.cli.files import write_files
    from policyc.testing.junit import junit

    path = Path(file)
    write_files(path.parent, {path.name: junit(reports, unusable, times=times)})


def _why_not(policy: PolicyText) -> str:
    """Why nothing of a file was run, in a word."""
    if not policy.is_readable:
        return "cannot be read"
    return f"not run: {policy.errors}" if policy.errors else "definitions, nothing to run"


def _unusable_code(policies: Sequence[PolicyText]) -> int:
    """The exit code that files ask for: those that cannot be read before those with errors."""
    if not all(policy.is_readable for policy in policies):
        return USAGE
    return NO if any(policy.failed for policy in policies) else FINE


def _code(
    ran: _Ran,
    fail_under: float | None,
    *,
    require_tests: bool,
    filtered: bool,
) -> int:
    """The exit code, with what is to be said of it."""
    from policyc.testing.report import Verdict

    reports = [report for _, report in ran.reports]
    failed = any(report.count(Verdict.FAILED) for report in reports)
    failed = _is_under(ran, fail_under) or failed
    for report in reports if require_tests and not filtered else ():
        if not report.results:
            failed = True
            Failure(f"{report.plan.file} has no tests", NO).show()
    if filtered and not any(report.results for report in reports):
        click.echo("nothing is named so", err=True)
        failed = failed or require_tests
    missing = sum(report.count(Verdict.NOT_RUN) for report in reports)
    if missing:
        what = "1 property was" if missing == 1 else f"{missing:,} properties were"
        Failure(f"{what} not run: hypothesis is missing", MISSING, _HOW_TO_GET).show()
    return NO if failed else MISSING if missing else FINE


def _is_under(ran: _Ran, fail_under: float | None) -> bool:
    """Whether less is reached than what is asked for; says so."""
    if fail_under is None:
        return False
    from policyc.cli.test_report import total

    found = [report.coverage for _, report in ran.reports if report.coverage is not None]
    counted = list(ran.everything.values()) if ran.everything is not None else found
    percent = total([coverage.tally() for coverage in counted]).percent
    if percent >= fail_under:
        return False
    Failure(f"{percent:.2f}% is reached, less than {fail_under:g}%", NO).show()
    return True
