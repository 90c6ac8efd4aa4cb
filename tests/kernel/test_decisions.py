"""The decision in the kernel is the evaluator's: programs record, the host replays.

Faults, swap-in, khugepaged, MADV_COLLAPSE and smaps ask, in many cgroups at once. What is
recorded stays in POLICYC_OUTPUT; tests/kernel/host/test_replay.py looks at it.
"""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from tests.kernel.deciding import MTHP, NUMA, THP
from tests.kernel.guest.cgroups import ROOT, Cgroup
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.recording import recording
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.traffic import Traffic
from tests.kernel.policies import Program


@pytest.fixture(scope="module")
def traffic() -> Generator[Traffic]:
    with Traffic() as found:
        yield found


@pytest.fixture
def all_sizes(thp: Thp) -> None:
    """Small sizes too, so that each fault of a page asks."""
    thp.mode("always")
    for order in (2, 3, 4, 5):
        thp.size(order, "always")


def drive(traffic: Traffic, thp: Thp) -> None:
    traffic.faults(1)
    traffic.collapse()
    traffic.smaps()
    traffic.khugepaged(thp, 0.1)
    traffic.swap(2)


#: Of one kernel with all signatures, the older ones decide by these only.
FEW = ("dense", "many", "canary", "hierarchy_meet", "pressure")


def programs_by_signature() -> list[object]:
    """What decides for each signature that this lane has."""
    signatures = offered_signatures()
    return [
        pytest.param(signature, programs[signature], id=f"{signature}-{programs[signature].name}")
        for signature in signatures
        for programs in THP
        if signature == signatures[0] or programs[signature].name in FEW
    ]


@pytest.mark.parametrize(
    ("signature", "program"), programs_by_signature(), indirect=["signature"], scope="session"
)
@pytest.mark.usefixtures("all_sizes", "swapping")
def test_thp_decisions(signature: str, program: Program, traffic: Traffic, thp: Thp) -> None:
    with recording(program) as policy:
        drive(traffic, thp)
        assert policy.keep(f"thp-{signature}-{program.name}") > 500


@pytest.mark.parametrize("program", MTHP, ids=lambda p: p.name)
@pytest.mark.usefixtures("all_sizes", "swapping")
def test_mthp_decisions(program: Program, traffic: Traffic, thp: Thp) -> None:
    with recording(program, cgroup=Cgroup(ROOT)) as policy:
        drive(traffic, thp)
        assert policy.keep(f"mthp-{program.name}") > 500


@pytest.mark.parametrize("program", NUMA, ids=lambda p: p.name)
def test_numab_decisions(program: Program, traffic: Traffic, thp: Thp, numa: Numa) -> None:
    thp.mode("never")
    numa.scan(minimum_ms=10, maximum_ms=20, delay_ms=10)
    with recording(program, data={"cgroup_id": Cgroup(ROOT).id}) as policy:
        end = time.monotonic() + 30
        while policy.asked() < 50 and time.monotonic() < end:
            traffic.faults(1)
        assert policy.keep(f"numab-{program.name}") >= 50
