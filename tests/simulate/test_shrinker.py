"""The shrinker of underused huge pages: the rule of thp_underused() and its edges."""

from __future__ import annotations

import pytest

from policyc.simulate.model import folios, underused
from policyc.simulate.model.area import ZERO
from policyc.simulate.model.reclaim import reclaim
from policyc.simulate.workload.specification import MIB, Khugepaged, Thp
from tests.simulate import hosts


def _sparse(ceiling: int, filled: int, blocks: int = 4) -> tuple[hosts.Host, hosts.Area]:
    host = hosts.host(khugepaged=Khugepaged(max_ptes_none=ceiling))
    area = hosts.area(host, hosts.process(host), 16 * MIB)
    hosts.huge(host, area, range(blocks), filled)
    return host, area


@pytest.mark.parametrize(
    ("ceiling", "filled", "split"),
    [
        # 471 zero pages of the stride of 50 KiB: 471 > 470, but not > 471.
        (470, 41, True),
        (471, 41, False),
        (409, 102, True),
        (409, 103, False),
        (0, 511, True),
        (0, 512, False),
        # 511 switches it off, even for a folio in which nothing was written.
        (511, 0, False),
        (510, 1, True),
        (510, 2, False),
    ],
)
def test_more_zero_pages_than_the_ceiling(ceiling: int, filled: int, split: bool) -> None:
    host, area = _sparse(ceiling, filled)
    freed = underused.scan(host, None, 1)
    assert freed == (4 * (512 - filled) if split else 0)
    assert host.root.counters["thp_underused_split_page"] == (4 if split else 0)
    assert host.root.counters["thp_split_page"] == (4 if split else 0)
    assert host.root.usage == 4 * 512 - freed
    assert area.zero_mapped == freed
    folios.check(host)


def test_the_zero_page_takes_the_place_and_the_data_stays() -> None:
    host, area = _sparse(100, 40, 1)
    underused.scan(host, None, 1)
    assert (area.folio[40:512] == ZERO).all()
    assert (area.folio[:40] == 0).all()
    assert area.missing == area.pages - 512, "no entry is empty: userfaultfd would see it"


def test_who_is_not_underused_leaves_the_queue_for_good() -> None:
    host, area = _sparse(470, 42)
    underused.scan(host, None, 1)
    area.filled[:] = False
    area.unfilled = 4 * 512
    assert underused.scan(host, None, 1) == 0
    assert not host.root.queue


def test_it_stops_when_enough_is_freed() -> None:
    host, _ = _many()
    freed = underused.scan(host, None, 1)
    assert freed == underused.BATCH * 500
    assert len(host.root.queue) == 200 - underused.BATCH


def _many() -> tuple[hosts.Host, hosts.Area]:
    host = hosts.host(1024 * MIB, khugepaged=Khugepaged(max_ptes_none=409))
    area = hosts.area(host, hosts.process(host), 512 * MIB)
    hosts.huge(host, area, range(200), 12)
    return host, area


def test_freed_pages_are_not_large_blocks() -> None:
    host, _ = _many()
    before = host.nodes[0].free.available(9)
    underused.scan(host, None, 10**9)
    assert host.nodes[0].free.available(9) == before


def test_shrink_underused_off_queues_nothing() -> None:
    host = hosts.host(thp=Thp(enabled="always", shrink_underused=False))
    area = hosts.area(host, hosts.process(host), 16 * MIB)
    hosts.huge(host, area, range(4), 1)
    assert not host.root.queue


def test_the_queues_of_children_are_walked_and_those_of_others_not() -> None:
    host = hosts.host(khugepaged=Khugepaged(max_ptes_none=409))
    for path in ("/a", "/a/b", "/c"):
        hosts.cgroup(host, path)
        hosts.huge(host, hosts.area(host, hosts.process(host, path), 4 * MIB), range(2), 12)
    underused.scan(host, host.cgroups["/a"], 10**6)
    splits = {p: g.counters["thp_underused_split_page"] for p, g in host.cgroups.items()}
    assert splits == {"/": 4, "/a": 4, "/a/b": 2, "/c": 0}


def test_a_folio_that_was_freed_and_faulted_again_is_one_folio() -> None:
    host, area = _sparse(409, 12, 1)
    folios.release(host, area, hosts.np.arange(512))
    hosts.huge(host, area, range(1), 12)
    assert underused.scan(host, None, 10**6) == 500
    folios.check(host)


@pytest.mark.parametrize("number", [1, 20, 127, 128, 1000])
def test_reclaim_gets_to_all_of_a_queue_where_nothing_else_helps(number: int) -> None:
    # do_shrink_slab puts off less than a batch, but not at the last priorities.
    host = hosts.host(4096 * MIB, khugepaged=Khugepaged(max_ptes_none=409))
    area = hosts.area(host, hosts.process(host), number * 2 * MIB)
    hosts.huge(host, area, range(number), 12)
    assert reclaim(host, None, number * 500, process=None) == number * 500


def test_a_long_queue_forgets_what_was_freed() -> None:
    host = hosts.host(khugepaged=Khugepaged(max_ptes_none=409))
    area = hosts.area(host, hosts.process(host), 64 * MIB)
    for _ in range(underused.LONG // 32):
        hosts.huge(host, area, range(32), 12)
        folios.release(host, area, hosts.np.arange(area.length))
    hosts.huge(host, area, range(8, 4, -1), 12)
    underused.tidy(host.root)
    assert [block for _, block in host.root.queue] == [8, 7, 6, 5]
