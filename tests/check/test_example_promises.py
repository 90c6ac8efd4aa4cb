"""The examples keep what their tests and properties promise."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from policyc.check import check_text
from policyc.plan.evaluate import evaluate
from policyc.plan.promises import property_holds, run_case
from tests.strategies.requests import Requests, World, states

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*.thp"))
WITH_PROMISES = [path for path in EXAMPLES if '\ntest "' in path.read_text("utf-8")]


def test_some_examples_have_promises() -> None:
    assert len(WITH_PROMISES) >= 5


@pytest.mark.parametrize("path", WITH_PROMISES, ids=lambda path: path.name)
def test_tests(path: Path) -> None:
    plan = check_text(path.read_bytes(), path.name).plan
    assert plan is not None
    verdicts = [verdict for case in plan.tests for verdict in run_case(plan, case)]
    assert verdicts
    assert [v.expectation.text for v in verdicts if not v.met] == []


@pytest.mark.parametrize("path", WITH_PROMISES, ids=lambda path: path.name)
def test_properties(path: Path) -> None:
    plan = check_text(path.read_bytes(), path.name).plan
    assert plan is not None
    assert plan.properties
    random = Random(5)
    for promise in plan.properties:
        hook = next(hook for hook in plan.hooks if hook.hook is promise.hook)
        requests = Requests(plan, hook, World(plan, random), random)
        for state in states(plan, random):
            for request in requests.make(300):
                outcome = evaluate(plan, hook, request.values, state)
                assert property_holds(plan, promise, request.values, outcome, state), request
