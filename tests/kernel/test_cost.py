"""What an attached policy costs a fault: under emulation, only as a ratio."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.kernel.guest.attached import attached
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import thp_policy

SIZE = 8 * MIB
ROUNDS = 4
PASSES = 3

#: On an idle host the difference is a few percent; a busy one makes times vary by half.
TOLERATED = 2.0

BY_CGROUP = thp_policy("""
policy by_cgroup;
thp {
    allow pmd when cgroup under "/in";
    otherwise deny;
}
""")


def nanoseconds_per_page(cgroup: Cgroup) -> float:
    """The first touch of a page, the best of several rounds over fresh memory."""
    times: list[int] = []
    with Workload(cgroup) as workload:
        for _ in range(ROUNDS):
            region = workload.map(SIZE)
            times.append(workload.touch(region))
            workload.unmap(region)
    return min(times) / (SIZE // 4096)


@pytest.mark.parametrize("pages", ["huge", "small"])
def test_a_policy_costs_a_fault_little(
    thp: Thp, cgroups: Cgroups, signature: str, pages: str
) -> None:
    place = cgroups.make("/in" if pages == "huge" else "/out")
    without: list[float] = []
    asked: list[float] = []
    for _ in range(PASSES):
        thp.mode("always" if pages == "huge" else "never")
        thp.size(4, "never")
        without.append(nanoseconds_per_page(place))
        thp.mode("always")
        # As long as sysfs allows a larger size, a policy is asked before each fault of 4 KiB.
        thp.size(4, "always" if pages == "small" else "never")
        with attached(BY_CGROUP[signature]):
            asked.append(nanoseconds_per_page(place))
    costs = {"without a policy": min(without), "with a policy": min(asked)}
    report = Path(os.environ["POLICYC_OUTPUT"]) / f"cost-{signature}-{pages}.json"
    report.write_text(json.dumps(costs, indent=2), "utf-8")
    assert costs["with a policy"] < TOLERATED * costs["without a policy"], costs
