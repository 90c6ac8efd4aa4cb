"""The two-stage filter and the statistics of hint faults (should_numa_migrate_memory)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policyc.simulate.model.area import NOWHERE
from policyc.simulate.model.numa_placement import FaultStatistics, passes_filter

LATER = 5  # a scan sequence after the first four


def passes(statistics: FaultStatistics | None = None, **fault: Any) -> bool:
    """Whether a page on node 1 moves to node 0, with what is said of the fault."""
    given = statistics or FaultStatistics.make(3)
    if statistics is None:
        given.preferred = 0
    values = {
        "source": 1,
        "target": 0,
        "last": NOWHERE,
        "private": False,
        "slow": False,
        "mode": 1,
        "sequence": LATER,
        "grouped": False,
        **fault,
    }
    arrays = {key: np.array([values.pop(key)], np.uint8) for key in ("source", "target", "last")}
    flags = {key: np.array([values.pop(key)]) for key in ("private", "slow")}
    return bool(passes_filter(given, **arrays, **flags, **values)[0])


def test_a_page_that_nobody_has_touched_yet_moves() -> None:
    assert passes()


def test_two_faults_in_a_row_must_come_from_one_node() -> None:
    assert passes(last=0)
    assert not passes(last=1)
    assert not passes(last=2)


def test_the_same_task_must_also_have_run_there() -> None:
    # It moved to node 0 and touches a page that it last touched from node 1.
    assert not passes(last=1, private=True)


def test_early_in_its_life_a_task_takes_its_own_pages_along() -> None:
    assert passes(last=1, private=True, sequence=4)
    assert not passes(last=1, private=False, sequence=4)


def test_without_a_preferred_node_it_is_early_too() -> None:
    statistics = FaultStatistics.make(3)
    assert passes(statistics, last=1, private=True)


@pytest.mark.parametrize("mode", [1, 3])
def test_normal_mode_leaves_the_first_touch_of_a_slow_page(mode: int) -> None:
    assert passes(slow=True, mode=mode) is (mode == 3)
    assert passes(slow=True, mode=mode, last=0)


def group(cpu: tuple[float, ...], memory: tuple[float, ...]) -> FaultStatistics:
    statistics = FaultStatistics.make(3)
    statistics.cpu[:] = cpu
    statistics.memory[:, 0] = memory
    statistics.preferred = 0
    return statistics


@pytest.mark.parametrize(
    ("cpu", "memory", "expected"),
    [
        ((301, 100, 0), (0, 0, 0), True),  # the target is used more than three times as much
        ((300, 100, 0), (600, 100, 0), False),  # not more, and enough memory is there
        # 100 * memory(1) * 3 > 100 * memory(0) * 4: a third more on the source
        ((100, 100, 0), (300, 400, 0), False),
        ((100, 100, 0), (300, 401, 0), True),
        ((100, 0, 0), (999, 1, 0), True),  # nobody runs at the source
    ],
)
def test_a_group_moves_memory_where_it_is_used_more(
    cpu: tuple[float, ...], memory: tuple[float, ...], expected: bool
) -> None:
    assert passes(group(cpu, memory), grouped=True, last=0) is expected


def test_a_private_fault_of_a_group_moves_at_once() -> None:
    assert passes(group((1, 100, 0), (100, 1, 0)), grouped=True, last=0, private=True)
    assert not passes(group((1, 100, 0), (100, 1, 0)), grouped=True, last=0)


def test_statistics_decay_by_half_at_each_placement() -> None:
    statistics = FaultStatistics.make(2)
    faults = {"cpu": np.zeros(100, np.uint8), "sizes": np.ones(100, np.int64)}
    memory = np.repeat(np.array([0, 1], np.uint8), [60, 40])
    statistics.add(memory, private=np.arange(100) % 4 == 0, **faults)
    assert statistics.place() == (75, 25)
    assert statistics.memory.sum(axis=1).tolist() == [60, 40]
    assert statistics.preferred == 0
    assert statistics.place() == (0, 0)
    assert statistics.memory.sum(axis=1).tolist() == [30, 20]
    # 40 new ones on node 1 make it the preferred node: 15 to 50
    statistics.add(
        memory[60:], cpu=faults["cpu"][60:], private=np.zeros(40, bool), sizes=np.ones(40, int)
    )
    statistics.place()
    assert statistics.preferred == 1


def test_a_node_is_active_with_more_than_a_third_of_the_busiest() -> None:
    assert group((300, 100, 101), (0, 0, 0)).active().tolist() == [True, False, True]
