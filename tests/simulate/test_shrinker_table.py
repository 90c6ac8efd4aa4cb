"""The table of the shrinker's cover letter: fitted on one column, predicts the other."""

from __future__ import annotations

from functools import cache

import pytest

from policyc.simulate.baselines import applied
from policyc.simulate.engine import simulate
from policyc.simulate.results import Run
from policyc.simulate.workload import shipped
from policyc.simulate.workload.reader import read_workload
from policyc.simulate.workload.specification import Workload


@cache
def _workload() -> Workload:
    return read_workload(shipped.workload("shrinker-fleet"))


@cache
def _run(baseline: str) -> Run:
    return simulate(applied(_workload(), baseline), name=baseline)


def _memory(baseline: str) -> float:
    """Percent over madvise."""
    own, madvise = (_run(each).cgroups["/web"].memory_bytes for each in (baseline, "madvise"))
    return (own / madvise - 1) * 100


def _speed(baseline: str) -> float:
    own, madvise = (_run(each).process_seconds["web"] for each in (baseline, "madvise"))
    return (madvise / own - 1) * 100


def test_it_is_fitted_on_the_first_column() -> None:
    assert _memory("always") == pytest.approx(7.7, abs=0.1)
    assert _speed("always") == pytest.approx(1.8, abs=0.1)


def test_it_predicts_the_second_within_half_a_point() -> None:
    assert _memory("always+shrinker") == pytest.approx(2.4, abs=0.5)
    assert _speed("always+shrinker") == pytest.approx(1.7, abs=0.5)


def test_the_prediction_is_of_the_shrinker() -> None:
    # 16, 32 and 64 pages of 512 in use are below 103, so the huge pages of three kinds of
    # arenas are split, and the three others are not.
    run = _run("always+shrinker")
    assert run.total.counters["thp_underused_split_page"] == 3 * 67
    assert run.total.counters["oom_kill"] == 0
    assert _run("always").total.counters["thp_split_page"] == 0


def test_the_size_is_an_eighth_of_the_server() -> None:
    assert _run("madvise").cgroups["/web"].memory_bytes * 8 == pytest.approx(
        54.6 * (1 << 30), rel=0.01
    )
