"""Policies that change, and cgroups that go, while memory is used."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

import pytest

from policyc.plan.evaluate import State
from tests.kernel.guest.attached import attached
from tests.kernel.guest.cgroups import Cgroups
from tests.kernel.guest.recording import Recording, recording
from tests.kernel.guest.thp import PMD_ORDER, Thp
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import policy, thp_policy

PROCESSES = 8
UPDATES = 20
SIZE = 4 * MIB
OLD_ORDER, NEW_ORDER = 2, 4

OLD = thp_policy("policy old; thp { otherwise allow 16K; }", record=True)
NEW = thp_policy("policy new; thp { otherwise allow 64K; }", record=True)

CHANGING = thp_policy(
    """
policy changing;
set   chosen : cgroup = {};
set   named  : string = {};
param least  : size = 1G in 4K..1G;
thp {
    in_set: allow pmd when cgroup under chosen;
    by_name: allow pmd when task.comm in named;
    by_size: allow pmd when vma.size >= least;
    otherwise deny;
}
""",
    record=True,
)

DENY = thp_policy("policy nothing; thp { otherwise deny; }")
DENY_IN = thp_policy('policy nothing_in; thp { deny when cgroup under "/in"; otherwise pass; }')
MASK = policy("policy no_sizes; thp { otherwise deny; }", "mthp-v2")
BALANCE = policy("policy balanced; numa { otherwise balance; }", "numab-rfc1")


def huge(workload: Workload) -> int:
    """How many bytes of SIZE fresh ones are PMD-mapped."""
    region = workload.touched(SIZE)
    found = workload.huge(region)
    workload.unmap(region)
    return found


def test_update_while_processes_fault(thp: Thp, cgroups: Cgroups, signature: str) -> None:
    """The old policy or the new one decides each fault, never neither."""
    sizes = (OLD_ORDER, 3, NEW_ORDER)
    for order in sizes:
        thp.size(order, "always")
    cgroup = cgroups.make("/in")
    with ExitStack() as stack:
        workloads = [stack.enter_context(Workload(cgroup)) for _ in range(PROCESSES)]
        old = stack.enter_context(recording(OLD[signature]))
        new = stack.enter_context(recording(NEW[signature], attach=False))
        before = thp.counts("anon_fault_alloc")
        for workload in workloads:
            workload.send("churn", 1, MIB, 1.5)
        for number in range(UPDATES):
            assert old.link is not None
            old.link.update((new, old)[number % 2].loaded)
        touched = [workload.receive()["pages"] for workload in workloads]
        after = thp.counts("anon_fault_alloc")
        old.stop()
        assert huge(workloads[0]) == SIZE
        # The host looks whether each of these follows from the policy that made it.
        assert old.keep(f"live-{signature}-old") > 100
        assert new.keep(f"live-{signature}-new") > 100
    assert min(touched) >= MIB // 4096
    used = {order for order in after if after[order] > before[order]}
    # Without a policy it would have been the PMD size, or all that sysfs allows.
    assert used == {OLD_ORDER, NEW_ORDER}
    assert PMD_ORDER not in used


@pytest.fixture
def changing(signature: str) -> Generator[Recording]:
    with recording(CHANGING[signature]) as found:
        yield found


def state(*, chosen: str = "", named: bytes = b"", least: int = 1 << 30) -> State:
    sets: dict[str, frozenset[bytes | str]] = {
        "chosen": frozenset({chosen} if chosen else ()),
        "named": frozenset({named} if named else ()),
    }
    return State(sets, {"least": least})


def test_sets_and_parameters_take_effect_at_once(changing: Recording, cgroups: Cgroups) -> None:
    nothing = state()
    chosen, named, large = state(chosen="/in"), state(named=b"java"), state(least=SIZE)
    with (
        Workload(cgroups.make("/in"), "other") as inside,
        Workload(cgroups.make("/out"), "java") as outside,
    ):
        for _ in range(3):
            for now, expected in (
                (nothing, (0, 0)),
                (chosen, (SIZE, 0)),
                (named, (0, SIZE)),
                (large, (SIZE, SIZE)),
                (state(least=SIZE + 4096), (0, 0)),
            ):
                changing.change(now)
                assert (huge(inside), huge(outside)) == expected
                assert changing.replay().check(changing.take(every=50)).wrong == []


def test_a_cgroup_is_removed_under_a_policy(cgroups: Cgroups, signature: str) -> None:
    """A new one with the name of the old is another cgroup, until the maps are filled again."""
    inside = cgroups.make("/in")
    with attached(DENY_IN[signature]) as policy:
        with Workload(inside) as workload:
            assert huge(workload) == 0
        inside.remove()
        again = cgroups.make("/in")
        with Workload(again) as workload:
            assert huge(workload) == SIZE
            policy.refill()
            assert huge(workload) == 0


def test_the_cgroup_of_an_instance_is_removed(cgroups: Cgroups) -> None:
    """Instances that belong to a cgroup keep it; detaching still works, and so does a new one."""
    inside = cgroups.make("/in")
    with attached(MASK, cgroup=inside), attached(BALANCE, data={"cgroup_id": inside.id}):
        with Workload(inside) as workload:
            assert huge(workload) == 0
        inside.remove()
        again = cgroups.make("/in")
        with Workload(again) as workload:
            assert huge(workload) == SIZE
        with (
            attached(MASK, cgroup=again),
            attached(BALANCE, data={"cgroup_id": again.id}),
            Workload(again) as workload,
        ):
            assert huge(workload) == 0


def test_detaching_while_processes_fault(cgroups: Cgroups, signature: str) -> None:
    cgroup = cgroups.make("/in")
    with ExitStack() as stack:
        workloads = [stack.enter_context(Workload(cgroup)) for _ in range(PROCESSES)]
        for workload in workloads:
            workload.send("churn", 1, MIB, 2)
        for _ in range(5):
            with attached(DENY[signature]):
                pass
        assert min(workload.receive()["pages"] for workload in workloads) > 0
        assert [huge(workload) for workload in workloads] == [SIZE] * PROCESSES
