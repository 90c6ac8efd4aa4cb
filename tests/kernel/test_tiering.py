"""hot_thresh of bpf_numab_ops, on a machine with slow memory: which of its pages are promoted.

In memory tiering mode a page is promoted if a task touches it within the hot threshold after
NUMA balancing unmapped it. The tests scan twice a second, so the time is at most 10 ms for pages
that are read every 10 ms, and a second and a half or more for those that are read every two
seconds. A threshold of 50 ms, which the kernel lets grow to its double, is far from both: on
a busy host emulated scans are slow, and the kernel has fewer of them then.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.kernel.guest.attached import attached
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import policy

pytestmark = pytest.mark.machine("tiers")

FAST, SLOW = 0, 1
OFF, TIERING = 0, 2
SIZE = 4 * MIB
HOT, WARM = 0.01, 2.0  # seconds from one reading to the next
SHORT, LONG = 50, 5000  # milliseconds

#: Above this much free memory the kernel promotes whatever is touched
#: (kernel/sched/fair.c, pgdat_free_space_enough).
ENOUGH_FREE = 1024 * MIB

BALANCE = policy('policy promotion; numa for cgroup "/in" { otherwise balance; }', "numab-rfc1")


def free_on(node: int) -> int:
    """Free memory of a node in bytes."""
    text = Path(f"/sys/devices/system/node/node{node}/meminfo").read_text("ascii")
    line = next(line for line in text.splitlines() if "MemFree:" in line)
    return int(line.split()[-2]) * 1024


@pytest.fixture(scope="module", autouse=True)
def _crowded_fast_memory() -> Generator[None]:
    """Too little free fast memory for promoting without a threshold, and enough to promote to."""
    with Workload(comm="hog") as hog:
        hog.node(FAST)
        excess = free_on(FAST) - ENOUGH_FREE * 3 // 4
        if excess > 0:
            hog.touched(excess // (2 * MIB) * 2 * MIB)
        assert ENOUGH_FREE // 2 < free_on(FAST) < ENOUGH_FREE
        yield


@pytest.fixture(autouse=True)
def _pages_of_one_size(_crowded_fast_memory: None, thp: Thp, numa: Numa) -> None:
    thp.mode("never")
    numa.scan(minimum_ms=500, maximum_ms=500)


def moved(cgroup: Cgroup, pause: float, seconds: float) -> float:
    """The part of SIZE bytes of slow memory that is moved while it is read every `pause` s.

    It stops at 90 %, and after `seconds`.
    """
    with Workload(cgroup) as workload:
        workload.cpu(0)
        workload.node(SLOW)
        region = workload.touched(SIZE)
        workload.node(-1)
        assert workload.nodes(region)[SLOW] == SIZE // 4096
        pages = workload.scan(region, seconds, node=FAST, pause=pause)
    return pages[FAST] / (SIZE // 4096)


def test_nothing_is_promoted_without_a_policy(cgroups: Cgroups, numa: Numa) -> None:
    assert moved(cgroups.make("/in"), HOT, 4) == 0


@pytest.mark.parametrize(
    ("threshold", "system"), [(SHORT, LONG), (LONG, SHORT)], ids=["shorter", "longer"]
)
def test_the_threshold_of_the_policy_decides_in_tiering_mode(
    cgroups: Cgroups, numa: Numa, threshold: int, system: int
) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    numa.knob("hot_threshold_ms", system)
    numa.switch(TIERING)
    data = {"cgroup_id": inside.id, "hot_thresh": threshold}
    with attached(BALANCE, data=data):
        for cgroup, decides in ((inside, threshold), (outside, system)):
            assert moved(cgroup, HOT, 30) >= 0.9
            if decides == LONG:
                assert moved(cgroup, WARM, 40) >= 0.9
            else:
                assert moved(cgroup, WARM, 7) < 0.1


def test_a_threshold_of_zero_is_the_systems(cgroups: Cgroups, numa: Numa) -> None:
    inside = cgroups.make("/in")
    numa.switch(TIERING)
    with attached(BALANCE, data={"cgroup_id": inside.id, "hot_thresh": 0}):
        numa.knob("hot_threshold_ms", SHORT)
        assert moved(inside, WARM, 7) < 0.1
        numa.knob("hot_threshold_ms", LONG)
        assert moved(inside, WARM, 40) >= 0.9


def test_the_threshold_has_no_effect_without_tiering_mode(cgroups: Cgroups, numa: Numa) -> None:
    # A policy by itself means normal mode, in which slow memory is not told from fast memory.
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    numa.switch(OFF)
    with attached(BALANCE, data={"cgroup_id": inside.id, "hot_thresh": SHORT}):
        assert moved(inside, WARM, 40) >= 0.9
        assert moved(outside, HOT, 4) == 0
