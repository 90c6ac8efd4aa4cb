"""Page faults: which folios they map, and what is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policyc.simulate.model import folios
from policyc.simulate.model.area import HUGE_ZERO, LARGEST, ZERO
from policyc.simulate.model.faults import touch
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import GIB, KIB, MIB, Pattern, Phase, Thp
from tests.simulate.machines import HEAP, fill, hook, machine, process, ran, run, small_host


def counters(result: object) -> dict[str, int]:
    return {name: n for name, n in result.total.counters.items() if n}  # type: ignore[attr-defined]


def test_always_maps_a_huge_page_a_fault() -> None:
    assert counters(run(machine(), process(fill()))) == {"pgfault": 32, "thp_fault_alloc": 32}


@pytest.mark.parametrize(
    ("enabled", "advice", "disable", "huge"),
    [
        ("always", "none", "no", True),
        ("always", "nohugepage", "no", False),
        ("always", "none", "yes", False),
        ("always", "none", "except-advised", False),
        ("always", "hugepage", "except-advised", True),
        ("madvise", "none", "no", False),
        ("madvise", "hugepage", "no", True),
        ("madvise", "hugepage", "yes", False),
        ("never", "hugepage", "no", False),
    ],
)
def test_modes_advice_and_prctl(enabled: str, advice: str, disable: str, huge: bool) -> None:
    what = replace(process(fill(), advice=advice), thp_disable=disable)
    result = run(machine(enabled), what)
    assert result.total.counters["pgfault"] == (32 if huge else 64 * MIB // 4096)
    assert result.total.huge_bytes_by_order[9] == (64 * MIB if huge else 0)


def test_a_size_of_its_own_mode_is_used_where_the_global_one_is_never() -> None:
    """A per-size "always" does not look at the global mode (thp_vma_allowable_orders)."""
    result = run(machine("never", sizes={4: "always"}), process(fill()))
    assert result.total.huge_bytes_by_order[4] == 64 * MIB
    assert counters(result) == {"pgfault": 1024, "anon_fault_alloc": 1024}


def test_only_blocks_inside_the_mapping_are_huge() -> None:
    """4 MiB from one page behind a boundary: 511 pages, one block, one page."""
    result = run(machine(), process(fill(), size=4 * MIB, misalign=4096))
    assert counters(result)["pgfault"] == 511 + 1 + 1
    assert counters(result)["thp_fault_alloc"] == 1
    assert "thp_fault_fallback" not in counters(result)


def test_the_largest_enabled_order_that_fits_is_used() -> None:
    """From page 3 to 512: 3, then 4..8 by order 2, 8..512 by order 3, each aligned."""
    on = machine("never", sizes={2: "always", 3: "always"})
    _, result = ran(
        spec.Workload(
            name="x", machine=on, processes=(process(fill(), size=509 * 4096, misalign=3 * 4096),)
        )
    )
    assert result.total.faults_by_order == {0: 1, 2: 1, 3: 63}


def test_without_huge_memory_a_fault_falls_back() -> None:
    result = run(machine(fragmentation=1.0, memory=GIB), process(fill()))
    found = counters(result)
    assert found["thp_fault_fallback"] == 32
    assert found["pgfault"] == 64 * MIB // 4096
    assert "thp_fault_fallback_charge" not in found


def test_a_limit_makes_a_fault_fall_back_and_says_so() -> None:
    """5 MiB: two huge pages, then base pages for half a block."""
    on = machine(shrink_underused=False)
    limits = (spec.Cgroup(path="/a", memory_max=5 * MIB),)
    result = run(on, process(fill(), size=5 * MIB, cgroup="/a"), cgroups=limits)
    assert counters(result)["thp_fault_alloc"] == 2
    # The third block is not inside the mapping: nobody wanted a huge page there.
    assert "thp_fault_fallback" not in counters(result)
    result = run(on, process(fill(0.9), size=6 * MIB, cgroup="/a"), cgroups=limits)
    assert counters(result)["thp_fault_fallback"] == 1
    assert counters(result)["thp_fault_fallback_charge"] == 1


def test_reads_map_the_zero_page_and_writes_replace_it() -> None:
    host, state = small_host()
    area = state.areas[HEAP]
    everything = np.arange(0, 1024)
    touch(host, state, area, everything, written=np.zeros(1024, np.bool_))
    assert (area.folio[:1024] == HUGE_ZERO).all()
    assert host.cgroups["/a"].usage == 0
    assert host.root.counters["thp_zero_page_alloc"] == 1  # one for all
    touch(host, state, area, np.array([5]), written=np.ones(1, np.bool_))
    assert area.by_order[9] == 512
    assert host.cgroups["/a"].usage == 512
    folios.check(host)


def test_without_huge_zero_page_a_read_allocates() -> None:
    host, state = small_host(machine(use_zero_page=False))
    area = state.areas[HEAP]
    touch(host, state, area, np.array([5]), written=np.zeros(1, np.bool_))
    assert area.by_order[9] == 512
    assert area.unfilled == 512


def test_a_small_zero_page_is_copied_when_written() -> None:
    host, state = small_host(machine("never"))
    area = state.areas[HEAP]
    touch(host, state, area, np.arange(10), written=np.zeros(10, np.bool_))
    assert np.count_nonzero(area.folio == ZERO) == 10
    touch(host, state, area, np.arange(5, 15), written=np.ones(10, np.bool_))
    assert np.count_nonzero(area.folio == ZERO) == 5
    assert host.cgroups["/a"].usage == 10
    assert host.root.counters["pgfault"] == 20


def test_a_huge_page_comes_back_where_one_was_freed_and_not_where_small_ones_were() -> None:
    """A table for small pages stays when they are freed; that of a huge page never was."""
    host, state = small_host()
    area = state.areas[HEAP]
    never = replace(host.machine, thp=Thp(enabled="never"))
    always, host.machine = host.machine, never
    touch(host, state, area, np.arange(512), written=np.ones(512, np.bool_))
    host.machine = always
    touch(host, state, area, np.arange(512, 1024), written=np.ones(512, np.bool_))
    assert (area.by_order[0], area.by_order[9]) == (512, 512)
    folios.release(host, area, np.arange(1024))
    touch(host, state, area, np.arange(1024), written=np.ones(1024, np.bool_))
    assert (area.by_order[0], area.by_order[9]) == (512, 512)


def test_a_limit_without_swap_kills() -> None:
    limits = (spec.Cgroup(path="/a", memory_max=8 * MIB, swap_max=0),)
    what = process(fill(), size=16 * MIB, cgroup="/a")
    engine, result = ran(
        spec.Workload(name="x", machine=machine("never"), processes=(what,), cgroups=limits)
    )
    assert counters(result)["oom_kill"] == 1
    assert result.process_seconds == {"worker": -1.0}
    assert engine.host.root.usage == 0


def test_a_limit_with_swap_swaps() -> None:
    limits = (spec.Cgroup(path="/a", memory_max=8 * MIB),)
    what = process(fill(2), size=16 * MIB, cgroup="/a")
    result = run(machine("never", swap=GIB), what, cgroups=limits)
    assert "oom_kill" not in counters(result)
    assert result.total.memory_bytes <= 8 * MIB
    assert result.total.swap_bytes >= 8 * MIB
    assert counters(result)["pswpin"] > 0
    assert result.total.stall_seconds > 0


def test_an_unlimited_machine_that_is_full_kills_too() -> None:
    result = run(machine("never", memory=8 * MIB), process(fill(), size=16 * MIB))
    assert counters(result)["oom_kill"] == 1


def test_bloat_is_what_was_never_written() -> None:
    """One byte every 64 KiB: 32 of 512 pages of a huge page."""
    stride = Phase(pattern=Pattern.STRIDE, vma=HEAP, stride=64 * KIB, passes=1)
    assert run(machine(), process(stride)).total.bloat_bytes == 64 * MIB * 480 // 512
    assert run(machine("never"), process(stride)).total.bloat_bytes == 0
    zeros = replace(stride, zero=True)
    assert run(machine(), process(zeros)).total.bloat_bytes == 64 * MIB


POLICY = """
policy chosen;
set java : cgroup = { "/in" };
thp {
    allow pmd when cgroup in java and 2M in orders;
    allow 64K when cgroup in java;
    otherwise deny;
}
"""


@pytest.mark.parametrize("profile", ["thp-v12", "thp-v9", "thp-v7", "mthp-v2"])
def test_a_policy_chooses_cgroups_and_sizes(profile: str) -> None:
    on = machine("always", sizes={9: "always", 4: "always"})
    small = 64 * KIB  # too small for a huge page
    inside = replace(process(fill(), name="in", cgroup="/in"))
    tight = replace(process(fill(), size=small, name="tight", cgroup="/in"))
    outside = replace(process(fill(), name="out", cgroup="/out"))
    policy = hook(POLICY, profile)
    result = run(on, inside, tight, outside, by=policy)
    assert result.cgroups["/in"].huge_bytes_by_order[9] == 64 * MIB
    assert result.cgroups["/in"].huge_bytes_by_order[4] == small
    assert not any(result.cgroups["/out"].huge_bytes_by_order.values())
    by_line = {rule.line: rule.decisions for rule in result.rules}
    assert by_line[5] == 32  # one for each huge page
    # One for the 64K page, and none for each huge page, whose fault does not ask again.
    assert by_line[6] == 1
    # Each base page asks; and each of the 32 blocks is asked for a huge page once.
    assert by_line[7] == 64 * MIB // 4096 + 32
    assert result.no_opinion == 0


def test_a_single_order_shuts_out_smaller_ones() -> None:
    """On a profile that returns one order, `..64K` means 64K and nothing below."""
    text = "policy p; thp { otherwise allow ..64K; }"
    on = machine("always", sizes={4: "always", 2: "always"})
    odd = process(fill(), size=20 * KIB)  # room for a 16K folio only
    assert run(on, odd, by=hook(text)).total.huge_bytes_by_order[2] == 0
    assert run(on, odd, by=hook(text, "mthp-v2")).total.huge_bytes_by_order[2] == 16 * KIB


def test_never_asks_no_policy() -> None:
    policy = hook("policy p; thp { otherwise allow all; }")
    result = run(machine("never", sizes={4: "always"}), process(fill()), by=policy)
    assert [rule.decisions for rule in result.rules] == [0]


def test_shared_memory_follows_its_own_modes_and_faults_ask_no_policy() -> None:
    policy = hook("policy p; thp { otherwise deny; }")
    on = machine("never", shmem_enabled="always")
    result = run(
        replace(on, thp=replace(on.thp, enabled="always")), process(fill(), kind="shmem"), by=policy
    )
    assert result.total.huge_bytes_by_order[9] == 64 * MIB
    assert [rule.decisions for rule in result.rules] == [0]


def test_faults_leave_no_page_behind() -> None:
    host, state = small_host(machine("always", sizes={9: "always", 3: "always"}))
    area = state.areas[HEAP]
    rng = np.random.default_rng(1)
    pages = np.unique(rng.integers(0, area.pages, 3000))
    touch(host, state, area, pages, written=np.ones(len(pages), np.bool_))
    assert (area.folio[pages] <= LARGEST).all()
    assert area.filled[pages].all()
    assert np.count_nonzero(area.filled) == len(pages)
