"""khugepaged: what it collapses, how far it gets, what stops it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policyc.simulate.model import folios
from policyc.simulate.model.khugepaged import Khugepaged, collapse_range, plan_orders
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import MIB, SECOND, Thp
from tests.simulate import hosts


def _host(pages: int = 40, blocks: int = 1, **settings: object) -> tuple[hosts.Host, hosts.Area]:
    """A heap with some pages filled in each of its blocks."""
    host = hosts.host(
        swap=256 * MIB,
        khugepaged=spec.Khugepaged(**settings),  # type: ignore[arg-type]
    )
    area = hosts.area(host, hosts.process(host), blocks * 2 * MIB)
    for block in range(blocks):
        hosts.small(host, area, range(block * 512, block * 512 + pages))
    return host, area


def _run(host: hosts.Host, area: hosts.Area, until: int) -> Khugepaged:
    daemon = Khugepaged(host)
    daemon.register(area)
    daemon.advance(host, until)
    folios.check(host)
    return daemon


def test_the_defaults_scan_eight_huge_pages_every_ten_seconds() -> None:
    host, area = _host(blocks=40)
    daemon = Khugepaged(host)
    daemon.register(area)
    found: list[int] = []
    for second in (9, 10, 11, 20, 21, 31):
        daemon.advance(host, second * SECOND)
        found.append(host.root.counters["thp_collapse_alloc"])
    assert found == [0, 8, 8, 8, 16, 24], "a wake-up takes 8 * 150 us and then sleeps 10 s"
    assert host.root.usage == 24 * 512 + 16 * 40


@pytest.mark.parametrize(
    ("pages", "limit", "collapsed"), [(1, 511, 1), (103, 409, 1), (102, 409, 0), (511, 0, 0)]
)
def test_max_ptes_none(pages: int, limit: int, collapsed: int) -> None:
    host, area = _host(pages, max_ptes_none=limit)
    _run(host, area, 10 * SECOND)
    assert host.root.counters["thp_collapse_alloc"] == collapsed
    assert area.by_order[9] == collapsed * 512


def test_zero_pages_count_as_none() -> None:
    host, area = _host(100, max_ptes_none=411)
    folios.map_zero(area, np.arange(100, 200))
    _run(host, area, 10 * SECOND)
    assert host.root.counters["thp_collapse_alloc"] == 0, "412 entries are none or zero"


@pytest.mark.parametrize(("swapped", "limit", "collapsed"), [(64, 64, 1), (65, 64, 0), (0, 0, 1)])
def test_max_ptes_swap(swapped: int, limit: int, collapsed: int) -> None:
    host, area = _host(512, max_ptes_swap=limit)
    folios.swap_out(host, area, np.arange(swapped))
    _run(host, area, 10 * SECOND)
    assert host.root.counters["thp_collapse_alloc"] == collapsed
    assert host.root.counters["pswpin"] == swapped * collapsed
    assert host.swap_used == swapped * (1 - collapsed)


def test_swapped_pages_need_half_of_the_block_accessed() -> None:
    host, area = _host(300)
    folios.swap_out(host, area, np.arange(60))
    _run(host, area, 10 * SECOND)
    assert host.root.counters["thp_collapse_alloc"] == 0


def test_a_block_that_was_never_touched_has_no_table() -> None:
    host = hosts.host()
    area = hosts.area(host, hosts.process(host), 4 * MIB)
    _run(host, area, 10 * SECOND)
    assert host.root.counters["thp_collapse_alloc"] == 0


def test_a_mapping_without_permission_costs_a_page_of_progress() -> None:
    host = hosts.host(thp=Thp(enabled="madvise"), khugepaged=spec.Khugepaged(pages_to_scan=513))
    owner = hosts.process(host)
    daemon = Khugepaged(host)
    plain = hosts.area(host, owner, 4 * MIB, "plain")
    advised = hosts.area(host, owner, 4 * MIB, "advised", advice="hugepage")
    for area in (plain, advised):
        hosts.small(host, area, range(0, 1024, 2))
    daemon.advance(host, 10 * SECOND)
    assert (plain.by_order[9], advised.by_order[9]) == (0, 512)


def test_it_comes_round_again() -> None:
    host, area = _host(10, blocks=12)
    daemon = _run(host, area, 20 * SECOND + SECOND)
    assert daemon.collapsed[9] == 12
    folios.split(host, area, np.array([0]))
    # The second wake-up went on to block 4 of the second round, the third to its end.
    daemon.advance(host, 31 * SECOND)
    assert daemon.collapsed[9] == 12
    daemon.advance(host, 41 * SECOND)
    assert daemon.collapsed[9] == 13


def test_no_huge_page_is_free() -> None:
    host, area = _host(10, blocks=3)
    free = host.nodes[0].free
    free.allocate(9, free.available(9))
    daemon = Khugepaged(host)
    daemon.register(area)
    daemon.advance(host, 10 * SECOND)
    # The first failure sleeps for a minute and goes on, the second ends the pass.
    assert host.root.counters["thp_collapse_alloc_failed"] == 2
    daemon.advance(host, 79 * SECOND)
    assert host.root.counters["thp_collapse_alloc_failed"] == 2
    daemon.advance(host, 81 * SECOND)
    assert host.root.counters["thp_collapse_alloc_failed"] == 4


def test_a_limit_is_not_broken_for_it() -> None:
    host = hosts.host()
    hosts.cgroup(host, "/a", max=600)
    area = hosts.area(host, hosts.process(host, "/a"), 4 * MIB)
    hosts.small(host, area, range(200))
    _run(host, area, 10 * SECOND)
    assert host.cgroups["/a"].usage == 200, "200 pages and a new folio do not fit into 600"
    assert host.cgroups["/a"].counters["thp_collapse_alloc"] == 0
    assert host.root.counters["thp_collapse_alloc"] == 1, "the folio was allocated, not charged"


def test_the_policy_is_asked() -> None:
    host, area = _host(10)
    asked: list[tuple[str, int]] = []

    class Deny(type(host.hook)):
        def thp(self, host, area, event, orders, count=1):
            asked.append((event, orders))
            return 0

    host.hook = Deny()
    _run(host, area, 10 * SECOND)
    assert host.root.counters["thp_collapse_alloc"] == 0
    assert set(asked) == {("khugepaged", 1 << 9)}


def test_the_folio_is_allocated_where_most_of_the_pages_are() -> None:
    host = hosts.host(128 * MIB, 128 * MIB)
    area = hosts.area(host, hosts.process(host), 2 * MIB)
    hosts.small(host, area, range(200), node=0)
    hosts.small(host, area, range(200, 500), node=1)
    _run(host, area, 10 * SECOND)
    assert area.by_node == [0, 512]


@pytest.mark.parametrize(
    ("limit", "order", "accepts"),
    [(511, 9, 511), (300, 9, 300), (511, 4, 15), (0, 4, 0), (300, 4, None), (510, 2, None)],
)
def test_small_orders_know_all_or_nothing(limit: int, order: int, accepts: int | None) -> None:
    assert plan_orders(limit, order, 9) == accepts


def test_mthp_collapse_takes_the_largest_that_passes() -> None:
    # 16 pages filled, then 2 of the next 16, with no empty entry accepted: one folio of
    # order 4, and nothing smaller for the pair, whose four entries are not all there.
    host, area = _host(16, max_ptes_none=0, mthp=True)
    hosts.small(host, area, range(16, 18))
    sizes = Thp(enabled="always", sizes={2: "always", 4: "always"})
    host.machine = replace(host.machine, thp=sizes)
    daemon = _run(host, area, 10 * SECOND)
    assert daemon.collapsed[9] == 0
    assert (daemon.collapsed[4], daemon.collapsed[2]) == (1, 0)
    assert host.root.usage == 18


def test_madvise_collapse_ignores_the_limits() -> None:
    host, area = _host(10, blocks=4, max_ptes_none=0)
    assert collapse_range(host, area, 0, 1024) == 2
    assert area.by_order[9] == 1024
    assert area.process.kernel_time == 2 * host.costs.collapse


def test_madvise_collapse_takes_whole_blocks_only() -> None:
    host, area = _host(10, blocks=4)
    assert collapse_range(host, area, 1, 1535) == 1
    assert area.folio[512] == 9
