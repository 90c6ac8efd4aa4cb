"""Runs the tests and properties of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from policyc.plan import cases as c
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values
from policyc.plan.promises import hook_of, run_case
from policyc.testing.report import Failure, Kind, Report, Result, Verdict

if TYPE_CHECKING:
    from policyc.testing.coverage import Coverage

__all__ = ["DEFAULT_EXAMPLES", "Options", "listed", "run"]

DEFAULT_EXAMPLES = 200

#: Counts what a request has reached.
_Watch = Callable[[n.HookPlan, Values, State, Outcome], None]


def _everything(_name: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run.

    `wanted` says of a name whether to run it. `properties` is False where hypothesis is
    missing. `stop` ends the run at the first failure. `coverage` counts what tests reach;
    with `examples_count`, what the examples of properties reach, too.
    """

    examples: int = DEFAULT_EXAMPLES
    seed: int = 0
    wanted: Callable[[str], bool] = _everything
    properties: bool = True
    stop: bool = False
    coverage: bool = False
    examples_count: bool = False


def run(plan: n.Plan, options: Options | None = None) -> Report:
    """Run the tests of a plan, then its properties."""
    options = options or Options()
    reached = _nothing_yet(plan) if options.coverage else None
    everything = _nothing_yet(plan) if reached is not None and options.examples_count else None
    results: list[Result] = []
    for result in _results(plan, options, reached, everything):
        results.append(result)
        if options.stop and result.verdict is Verdict.FAILED:
            break
    return Report(plan, tuple(results), reached, everything)


def _nothing_yet(plan: n.Plan) -> Coverage:
    from policyc.testing.coverage import Coverage

    return Coverage(plan)


def listed(plan: n.Plan, options: Options) -> Report:
    """What would be run."""
    items: list[tuple[Kind, c.TestCase | c.Property]]
    items = [(Kind.TEST, item) for item in plan.tests]
    items += [(Kind.PROPERTY, item) for item in plan.properties]
    results = [
        Result(kind, item.name, item.hook, item.line, Verdict.NOT_RUN, 0, 0.0)
        for kind, item in items
        if options.wanted(item.name)
    ]
    return Report(plan, tuple(results))


def _results(
    plan: n.Plan, options: Options, reached: Coverage | None, everything: Coverage | None
) -> Iterator[Result]:
    counts = [coverage for coverage in (reached, everything) if coverage is not None]

    def count(hook: n.HookPlan, values: Values, state: State, outcome: Outcome) -> None:
        for coverage in counts:
            coverage.add(hook, values, state, outcome)

    for case in plan.tests:
        if options.wanted(case.name):
            yield _test(plan, case, count)
    for promise in plan.properties:
        if options.wanted(promise.name):
            yield _property(plan, promise, options, everything.add if everything else None)


def _test(plan: n.Plan, case: c.TestCase, count: _Watch) -> Result:
    start = perf_counter()
    hook = hook_of(plan, case.hook)
    failures: list[Failure] = []
    checked = 0
    for verdict in run_case(plan, case):
        checked += 1
        values = dict(verdict.given.values)
        count(hook, values, verdict.state, verdict.outcome)
        if not verdict.met:
            expectation = verdict.expectation
            failures.append(
                _failure(
                    plan,
                    case.hook,
                    (expectation.line, expectation.text),
                    expectation.text.removeprefix("expect").strip(),
                    (verdict.given.stated, values, verdict.state, verdict.outcome),
                )
            )
    seconds = perf_counter() - start
    how = Verdict.FAILED if failures else Verdict.PASSED
    return Result(
        Kind.TEST, case.name, case.hook, case.line, how, checked, seconds, tuple(failures)
    )


def _property(plan: n.Plan, promise: c.Property, options: Options, watch: _Watch | None) -> Result:
    name, hook, line = promise.name, promise.hook, promise.line
    if not options.properties:
        return Result(Kind.PROPERTY, name, hook, line, Verdict.NOT_RUN, 0, 0.0)
    from policyc.testing.properties import look

    start = perf_counter()
    tried, found = look(plan, promise, examples=options.examples, seed=options.seed, watch=watch)
    seconds = perf_counter() - start
    if found is None:
        return Result(Kind.PROPERTY, name, hook, line, Verdict.PASSED, tried, seconds)
    failure = _failure(
        plan,
        hook,
        (line, promise.text),
        promise.text,
        (found.names, found.values, found.state, found.outcome),
    )
    return Result(Kind.PROPERTY, name, hook, line, Verdict.FAILED, tried, seconds, (failure,))


def _failure(
    plan: n.Plan,
    hook: n.HookName,
    place: tuple[int, str],
    expected: str,
    happened: tuple[tuple[str, ...], Values, State, Outcome],
) -> Failure:
    from policyc.testing import spelling as s  # most runs have no failure to spell

    names, values, state, outcome = happened
    rule = outcome.decided_by
    return Failure(
        line=place[0],
        text=place[1],
        given=tuple(s.spell_values(plan, names, values)),
        state=tuple(s.spell_state(plan, state)),
        expected=expected,
        got=s.spell_answer(plan, hook, values, outcome),
        rule=rule,
        decided_by=s.spell_rule(plan, rule),
        command=s.decide_command(plan, hook, names, values, state),
    )
