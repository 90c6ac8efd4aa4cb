"""What happens to memory is what an attached THP policy says, and nothing else changes."""

from __future__ import annotations

import pytest

from tests.kernel.guest.attached import attached, loaded
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.thp import PMD_ORDER, Thp, vmstat
from tests.kernel.guest.waiting import wait_for
from tests.kernel.guest.workload import MIB, Region, Workload, WorkloadError
from tests.kernel.policies import policy, thp_policy

SIZE = 16 * MIB
ORDER_64K = 4
FOLIOS_64K = SIZE >> 16

BY_CGROUP = thp_policy("""
policy by_cgroup;
thp {
    allow pmd when cgroup under "/in";
    allow 64K when cgroup under "/middle";
    otherwise deny;
}
""")

KHUGEPAGED_ONLY = thp_policy("""
policy khugepaged_only;
thp {
    allow pmd when cgroup under "/in" and event in { khugepaged, smaps };
    otherwise deny;
}
""")

COLLAPSE_ONLY = thp_policy("""
policy collapse_only;
thp {
    allow pmd when cgroup under "/in" and event is forced_collapse;
    otherwise deny;
}
""")

DENY = thp_policy("policy nothing; thp { otherwise deny; }")

NO_SWAP_IN = thp_policy("""
policy no_swap_in;
thp {
    deny when cgroup under "/in" and event is swap_pagefault;
    otherwise allow 64K;
}
""")

MASK = policy("policy sizes; thp { otherwise allow 64K | 128K; }", "mthp-v2")


def huge_in(cgroup: Cgroup | None, advice: str | None = None) -> int:
    """How many bytes of SIZE fresh ones, touched in a cgroup, are PMD-mapped."""
    with Workload(cgroup) as workload:
        return workload.huge(workload.touched(SIZE, advice=advice))


def faulted(thp: Thp, cgroup: Cgroup) -> dict[int, int]:
    """By order, how many folios SIZE bytes of anonymous memory take in a cgroup."""
    before = thp.counts("anon_fault_alloc")
    with Workload(cgroup) as workload:
        workload.touched(SIZE)
    after = thp.counts("anon_fault_alloc")
    return {order: after[order] - before[order] for order in after if after[order] > before[order]}


def swap_out(workload: Workload, region: Region) -> None:
    """Have a region in swap and nowhere else."""
    workload.advise(region, "pageout")
    wait_for(lambda: workload.smaps(region)["Swap"] == region.size >> 10, "swap-out")


def test_without_a_policy_all_memory_is_huge(thp: Thp, cgroups: Cgroups) -> None:
    assert faulted(thp, cgroups.make("/in")) == {PMD_ORDER: SIZE // (2 * MIB)}
    assert huge_in(cgroups.make("/out")) == SIZE


def test_faults_get_the_sizes_that_the_policy_says(
    thp: Thp, cgroups: Cgroups, signature: str
) -> None:
    # Only a leaf may have processes and the memory controller; this child is without.
    inside, child = cgroups.make("/in"), cgroups.make("/in/child", memory=False)
    middle, outside = cgroups.make("/middle"), cgroups.make("/out")
    thp.size(ORDER_64K, "always")
    with attached(BY_CGROUP[signature]):
        assert faulted(thp, inside) == {PMD_ORDER: SIZE // (2 * MIB)}
        assert faulted(thp, child) == {PMD_ORDER: SIZE // (2 * MIB)}
        assert faulted(thp, middle) == {ORDER_64K: FOLIOS_64K}
        assert faulted(thp, outside) == {}
        assert huge_in(inside) == SIZE
        assert huge_in(middle) == 0
    assert huge_in(outside) == SIZE


def test_a_size_that_sysfs_does_not_allow_is_not_used(
    thp: Thp, cgroups: Cgroups, signature: str
) -> None:
    inside, middle = cgroups.make("/in"), cgroups.make("/middle")
    with attached(BY_CGROUP[signature]):
        assert faulted(thp, middle) == {}
        thp.size(PMD_ORDER, "never")
        assert faulted(thp, inside) == {}


def test_a_process_that_moves_is_judged_by_its_new_cgroup(cgroups: Cgroups, signature: str) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with attached(BY_CGROUP[signature]), Workload(outside) as workload:
        assert workload.huge(workload.touched(SIZE)) == 0
        inside.add(workload.pid)
        assert workload.huge(workload.touched(SIZE)) == SIZE


def test_a_cgroup_made_later_counts_once_the_maps_are_filled_again(
    cgroups: Cgroups, signature: str
) -> None:
    with attached(BY_CGROUP[signature]) as policy:
        inside = cgroups.make("/in")
        assert huge_in(inside) == 0
        policy.refill()
        assert huge_in(inside) == SIZE


@pytest.mark.parametrize("advice", [None, "hugepage"])
def test_mode_never_wins(thp: Thp, cgroups: Cgroups, signature: str, advice: str | None) -> None:
    inside = cgroups.make("/in")
    thp.mode("never")
    with attached(BY_CGROUP[signature]):
        assert huge_in(inside, advice) == 0


def test_mode_madvise_wants_advice_too(thp: Thp, cgroups: Cgroups, signature: str) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    thp.mode("madvise")
    with attached(BY_CGROUP[signature]):
        assert huge_in(inside) == 0
        assert huge_in(inside, "hugepage") == SIZE
        assert huge_in(outside, "hugepage") == 0


def test_prctl_and_advice_against_huge_pages_win(cgroups: Cgroups, signature: str) -> None:
    inside = cgroups.make("/in")
    with attached(BY_CGROUP[signature]), Workload(inside) as workload:
        assert workload.huge(workload.touched(SIZE, advice="nohugepage")) == 0
        workload.disable_thp()
        assert workload.huge(workload.touched(SIZE)) == 0
        workload.disable_thp(False)
        assert workload.huge(workload.touched(SIZE)) == SIZE


def test_smaps_tells_what_the_policy_says(cgroups: Cgroups, signature: str) -> None:
    eligible: dict[str, int] = {}
    places = cgroups.make("/in"), cgroups.make("/out")
    with attached(BY_CGROUP[signature]):
        for cgroup in places:
            with Workload(cgroup) as workload:
                region = workload.map(SIZE)
                eligible[cgroup.path] = workload.smaps(region)["THPeligible"]
    assert eligible == {"/in": 1, "/out": 0}


def test_khugepaged_only(thp: Thp, cgroups: Cgroups, signature: str) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with (
        attached(KHUGEPAGED_ONLY[signature]),
        Workload(inside) as chosen,
        Workload(outside) as other,
    ):
        faults, collapses = vmstat("thp_fault_alloc"), vmstat("thp_collapse_alloc")
        region, elsewhere = chosen.touched(SIZE), other.touched(SIZE)
        assert vmstat("thp_fault_alloc") == faults
        assert chosen.huge(region) == other.huge(elsewhere) == 0
        thp.wake_khugepaged()
        wait_for(lambda: chosen.huge(region) == SIZE, "khugepaged to collapse what it may")
        scans = vmstat("thp_collapse_alloc")
        assert scans - collapses >= SIZE // (2 * MIB)
        # Another round over everything leaves the other process as it is.
        again = chosen.touched(SIZE)
        wait_for(lambda: chosen.huge(again) == SIZE, "khugepaged to come around again")
        assert other.huge(elsewhere) == 0
        assert vmstat("thp_fault_alloc") == faults


def test_forced_collapse_is_asked_about(cgroups: Cgroups, signature: str) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with attached(COLLAPSE_ONLY[signature]):
        with Workload(inside) as workload:
            region = workload.touched(SIZE)
            assert workload.huge(region) == 0
            workload.advise(region, "collapse")
            assert workload.huge(region) == SIZE
        with Workload(outside) as workload:
            region = workload.touched(SIZE)
            with pytest.raises(WorkloadError, match="EINVAL"):
                workload.advise(region, "collapse")
            assert workload.huge(region) == 0


@pytest.mark.parametrize("kind", ["shared", "memfd"])
def test_shared_memory_is_asked_about_by_all_but_faults(
    thp: Thp, cgroups: Cgroups, signature: str, kind: str
) -> None:
    """6.12 asks thp_vma_allowable_orders() when it looks at smaps or collapses shared memory.

    Faults (shmem_get_folio_gfp() in mm/shmem.c) use shmem_allowable_huge_orders() instead,
    in both lanes.
    """
    thp.shmem("always")
    with attached(DENY[signature]), Workload(cgroups.make("/in")) as workload:
        region = workload.touched(SIZE, kind)
        assert workload.huge(region) == SIZE
        assert workload.smaps(region)["THPeligible"] == 0
    thp.shmem("never")
    with attached(COLLAPSE_ONLY[signature]):
        with Workload(cgroups.make("/in")) as workload:
            region = workload.touched(SIZE, kind)
            assert workload.huge(region) == 0
            workload.advise(region, "collapse")
            assert workload.huge(region) == SIZE
        with Workload(cgroups.make("/out")) as workload:
            region = workload.touched(SIZE, kind)
            with pytest.raises(WorkloadError, match="EINVAL"):
                workload.advise(region, "collapse")


@pytest.mark.usefixtures("swapping")
def test_swap_in_faults_are_asked_about(thp: Thp, cgroups: Cgroups, signature: str) -> None:
    thp.size(ORDER_64K, "always")
    counted: dict[str, int] = {}
    places = cgroups.make("/in"), cgroups.make("/out")
    with attached(NO_SWAP_IN[signature]):
        for cgroup in places:
            with Workload(cgroup) as workload:
                region = workload.touched(SIZE)
                swap_out(workload, region)
                before = thp.count(ORDER_64K, "nr_anon")
                workload.read(region)
                counted[cgroup.path] = thp.count(ORDER_64K, "nr_anon") - before
    assert counted == {"/in": 0, "/out": FOLIOS_64K}


def test_detached_policies_leave_nothing_behind(thp: Thp, cgroups: Cgroups, signature: str) -> None:
    outside = cgroups.make("/out")
    with attached(DENY[signature]) as policy:
        assert huge_in(outside) == 0
        policy.link.detach()
        assert huge_in(outside) == SIZE
    assert faulted(thp, outside) == {PMD_ORDER: SIZE // (2 * MIB)}


def test_a_policy_that_replaces_another_decides_from_then_on(
    cgroups: Cgroups, signature: str
) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with attached(DENY[signature]) as old:
        assert huge_in(inside) == huge_in(outside) == 0
        with loaded(BY_CGROUP[signature]) as new:
            old.link.update(new)
            assert huge_in(inside) == SIZE
            assert huge_in(outside) == 0


def test_a_mask_policy_holds_for_a_subtree(thp: Thp, cgroups: Cgroups) -> None:
    inside, child, outside = map(cgroups.make, ("/in", "/in/child", "/out"))
    grandchild = cgroups.make("/in/branch/leaf")
    thp.size(ORDER_64K, "always")
    thp.size(ORDER_64K + 1, "always")
    with attached(MASK, cgroup=inside):
        assert faulted(thp, grandchild) == {ORDER_64K + 1: FOLIOS_64K // 2}
        assert faulted(thp, child) == {ORDER_64K + 1: FOLIOS_64K // 2}
        assert faulted(thp, cgroups.make("/in/later")) == {ORDER_64K + 1: FOLIOS_64K // 2}
        assert faulted(thp, outside) == {PMD_ORDER: SIZE // (2 * MIB)}
        thp.size(ORDER_64K + 1, "never")
        assert faulted(thp, child) == {ORDER_64K: FOLIOS_64K}
    assert faulted(thp, child) == {PMD_ORDER: SIZE // (2 * MIB)}
