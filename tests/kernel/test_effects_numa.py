"""Pages follow the tasks that an attached NUMA policy balances, and no others."""

from __future__ import annotations

import pytest

from tests.kernel.guest.attached import attached, loaded
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import policy

SIZE = 8 * MIB
PAGES = SIZE // 4096

#: How long pages that must not move are watched, and how long the others may take. With the
#: pace of `fast`, a task's memory is scanned every 100 to 200 ms.
WATCHED, PATIENCE = 1.5, 40.0

BALANCE = policy("policy balanced; numa { otherwise balance; }", "numab-rfc1")
OFF = policy("policy left_alone; numa { otherwise off; }", "numab-rfc1")
WORKERS = policy(
    """
policy workers;
set workers : string = { "postgres" };
numa {
    balance when task.comm in workers and cgroup under "/in";
    otherwise off;
}
""",
    "numab-rfc1",
)


@pytest.fixture(autouse=True)
def fast(numa: Numa, thp: Thp) -> None:
    thp.mode("never")
    numa.scan()


def follows(cgroup: Cgroup, comm: str = "workload") -> bool:
    """Whether memory on node 1 comes to a task on node 0 soon; not a page must, if it does not."""
    with Workload(cgroup, comm) as workload:
        workload.cpu(0)
        workload.node(1)
        region = workload.touched(SIZE)
        workload.node(-1)
        assert workload.nodes(region)[:2] == [0, PAGES]
        moved = workload.scan(region, WATCHED, node=0)[0]
        if moved == 0:
            return False
        moved = workload.scan(region, PATIENCE, node=0)[0]
        assert moved >= PAGES * 9 // 10, f"only {moved} of {PAGES} pages have moved"
        return True


def on(cgroup: Cgroup) -> dict[str, int]:
    return {"cgroup_id": cgroup.id}


def test_no_page_moves_without_a_policy(cgroups: Cgroups) -> None:
    assert not follows(cgroups.make("/in"))


def test_pages_of_the_chosen_cgroup_follow_and_others_do_not(cgroups: Cgroups, numa: Numa) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with attached(BALANCE, data=on(inside)):
        assert follows(inside)
        assert not follows(outside)
        assert numa.mode() == 0
    assert not follows(inside)
    assert numa.mode() == 0


def test_a_child_cgroup_follows_even_if_it_is_made_later(cgroups: Cgroups) -> None:
    parent = cgroups.make("/parent")
    with attached(BALANCE, data=on(parent)):
        assert follows(cgroups.make("/parent/child/leaf"))
        # Without the memory controller it belongs to the memory cgroup above it.
        assert follows(cgroups.make("/parent/child/leaf/apart", memory=False))


def test_the_nearest_policy_decides(cgroups: Cgroups) -> None:
    parent = cgroups.make("/parent")
    calm, busy = cgroups.make("/parent/calm"), cgroups.make("/parent/busy")
    with attached(BALANCE, data=on(parent)), attached(OFF, data=on(calm)):
        assert follows(busy)
        assert not follows(calm)


def test_the_policy_tells_tasks_apart(cgroups: Cgroups) -> None:
    inside = cgroups.make("/in")
    with attached(WORKERS, data=on(inside)):
        assert follows(inside, "postgres")
        assert not follows(inside, "psql")


def test_a_policy_that_replaces_another_decides_from_then_on(cgroups: Cgroups) -> None:
    inside = cgroups.make("/in")
    with attached(OFF, data=on(inside)) as old:
        assert not follows(inside)
        with loaded(BALANCE, on(inside)) as new:
            old.link.update(new)
            assert follows(inside)


def test_the_switch_of_the_system_wins(cgroups: Cgroups, numa: Numa) -> None:
    inside = cgroups.make("/in")
    numa.switch(1)
    with attached(OFF, data=on(inside)):
        assert follows(inside)
        assert numa.mode() == 1
    assert numa.mode() == 1
    assert follows(inside)


def test_the_switch_may_be_used_while_a_policy_is_attached(cgroups: Cgroups, numa: Numa) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with attached(BALANCE, data=on(inside)):
        numa.switch(1)
        assert follows(outside)
        numa.switch(0)
        assert not follows(outside)
        assert follows(inside)
    assert numa.mode() == 0
    assert not follows(inside)
