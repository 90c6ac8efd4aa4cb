"""The table of the kmmscand RFC: abench on CXL memory, fitted on 8 GB, predicted beyond.

benchmarks/model_kmmscand.py prints all rows; the two that take some seconds are here.
"""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.model_kmmscand import BASELINES, REFERENCE
from policyc.simulate.baselines import applied
from policyc.simulate.engine import simulate
from policyc.simulate.results import Run
from policyc.simulate.workload import shipped
from policyc.simulate.workload.reader import read_workload


@cache
def _run(size: int, baseline: str) -> Run:
    workload = read_workload(shipped.workload("abench"), [f"size={size}G"])
    return simulate(applied(workload, baseline), name=baseline)


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_first_row_is_fitted(baseline: str) -> None:
    reference = REFERENCE[8][BASELINES.index(baseline)]
    assert _run(8, baseline).total.run_seconds == pytest.approx(reference, rel=0.01)


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_second_row_is_predicted_within_a_tenth(baseline: str) -> None:
    reference = REFERENCE[16][BASELINES.index(baseline)]
    assert _run(16, baseline).total.run_seconds == pytest.approx(reference, rel=0.1)


def test_each_mode_promotes_by_its_own_mechanism() -> None:
    pages = 8 * (1 << 30) // 4096
    tiering, normal, daemon = (_run(8, each).total.counters for each in BASELINES)
    assert tiering["pgpromote_success"] == tiering["numa_pages_migrated"]
    assert 0.9 * pages < tiering["pgpromote_success"] <= pages
    # There is room: no page has to be hot.
    assert tiering["pgpromote_candidate"] == 0
    assert normal["pgpromote_success"] == daemon["pgpromote_success"] == 0
    # After three minutes normal mode has not promoted everything yet.
    assert 0.2 * pages < normal["numa_pages_migrated"] < pages
    assert daemon["kmmscand_migrated"] > 0.4 * pages
    assert tiering["kmmscand_mm_scans"] == normal["kmmscand_mm_scans"] == 0
