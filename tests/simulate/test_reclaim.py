"""Reclaim, memory.high, the OOM killer, watermarks and kswapd."""

from __future__ import annotations

import numpy as np
import pytest

from policyc.simulate.model import folios, oom
from policyc.simulate.model.area import SWAPPED
from policyc.simulate.model.kswapd import Kswapd, demotion_target, wake
from policyc.simulate.model.patterns import stream_of
from policyc.simulate.model.reclaim import high_delay, over_high, reclaim
from policyc.simulate.model.watermarks import minimum_free, watermarks
from policyc.simulate.workload.specification import (
    GIB,
    MIB,
    SECOND,
    Khugepaged,
    NumaBalancing,
    Pattern,
    Phase,
    Thp,
)
from tests.simulate import hosts


def _hot(area: hosts.Area, first: int, pages: int, rate: float) -> None:
    phase = Phase(pattern=Pattern.UNIFORM, offset=first * 4096, length=pages * 4096, touches=1)
    stream = stream_of(phase, area, 4096, 0)
    stream.rate = rate
    area.streams.append(stream)
    area.version += 1


def test_the_coldest_pages_are_swapped_out() -> None:
    host = hosts.host(swap=64 * MIB)
    area = hosts.area(host, hosts.process(host), 16 * MIB)
    hosts.small(host, area, range(4096))
    _hot(area, 0, 1000, 1e6)
    _hot(area, 2000, 1000, 1e6)
    assert reclaim(host, None, 500, process=None) >= 500
    out = np.flatnonzero(area.folio == SWAPPED)
    assert not ((out < 1000) | ((out >= 2000) & (out < 3000))).any()
    assert host.root.counters["pswpout"] == len(out) == host.swap_used
    folios.check(host)


def test_of_two_areas_the_colder_one_pays() -> None:
    host = hosts.host(swap=64 * MIB)
    owner = hosts.process(host)
    hot, cold = (hosts.area(host, owner, 8 * MIB, name) for name in ("hot", "cold"))
    for area in (hot, cold):
        hosts.small(host, area, range(2048))
    _hot(hot, 0, 2048, 1e6)
    _hot(cold, 0, 2048, 1e3)
    reclaim(host, None, 1000, process=None)
    assert (hot.swapped, cold.swapped) == (0, 1000)


def test_a_huge_page_is_as_hot_as_all_of_it() -> None:
    # One page of the huge page is touched often, the rest never: none of it goes before the
    # small pages that are touched now and then.
    host = hosts.host(swap=64 * MIB)
    area = hosts.area(host, hosts.process(host), 16 * MIB)
    hosts.huge(host, area, range(1))
    hosts.small(host, area, range(512, 2048))
    _hot(area, 0, 1, 1e6)
    _hot(area, 512, 1536, 1e6)
    reclaim(host, None, 1000, process=None)
    assert host.root.counters["thp_swpout_fallback"] == 0
    assert area.by_order[9] == 512


def test_a_cold_huge_page_is_split_and_goes_as_a_whole() -> None:
    host = hosts.host(swap=64 * MIB)
    area = hosts.area(host, hosts.process(host), 16 * MIB)
    hosts.huge(host, area, range(3))
    _hot(area, 512, 1024, 1e6)
    reclaim(host, None, 40, process=None)
    assert host.root.counters["thp_swpout_fallback"] == 1
    assert host.root.counters["thp_split_page"] == 1
    assert area.swapped == 512
    folios.check(host)


def test_swap_max_and_swap_bound_it() -> None:
    host = hosts.host(swap=4 * MIB)
    hosts.cgroup(host, "/a", swap_max=100)
    area = hosts.area(host, hosts.process(host, "/a"), 16 * MIB)
    hosts.small(host, area, range(2000))
    assert reclaim(host, host.cgroups["/a"], 500, process=None) == 100
    assert reclaim(host, host.cgroups["/a"], 500, process=None) == 0
    other = hosts.area(host, hosts.process(host), 16 * MIB)
    hosts.small(host, other, range(2000))
    assert reclaim(host, None, 2000, process=None) == 1024 - 100
    folios.check(host)


def test_direct_reclaim_takes_the_time_of_the_process() -> None:
    host = hosts.host(swap=64 * MIB)
    owner = hosts.process(host)
    hosts.small(host, hosts.area(host, owner, 16 * MIB), range(1000))
    freed = reclaim(host, None, 100, process=owner)
    assert owner.stalled == freed * (host.costs.reclaim + host.costs.swap_out)


def test_zero_pages_of_huge_pages_go_before_data_is_written_to_swap() -> None:
    # At the same priority the shrinker looks at twice the share of the lists.
    host = hosts.host(GIB, swap=GIB, khugepaged=Khugepaged(max_ptes_none=409))
    area = hosts.area(host, hosts.process(host), 512 * MIB)
    hosts.huge(host, area, range(250), 12)
    freed = reclaim(host, None, 60_000, process=None)
    assert freed >= 60_000
    split = host.root.counters["thp_underused_split_page"]
    assert split * 500 > 40_000
    folios.check(host)


@pytest.mark.parametrize(
    ("over", "jiffies"),
    [
        # overage = (over << 20) / high; delay = overage ** 2 * HZ >> 20 >> 14, HZ = 250.
        (0.01, 1),  # (0.01 * 2**20) ** 2 * 250 / 2**34 = 1.59
        (0.05, 39),  # 40.0 without the rounding down of 5000/100000
        (0.1, 160),  # 159.99
        (0.5, 500),  # 4000: no more than two seconds
    ],
)
def test_how_long_a_charge_over_high_waits(over: float, jiffies: int) -> None:
    host = hosts.host()
    group = hosts.cgroup(host, "/a", high=100_000)
    group.usage = round(100_000 * (1 + over))
    assert abs(high_delay(group) - jiffies) <= 1


def test_over_high_throttles_where_nothing_can_be_reclaimed() -> None:
    host = hosts.host()
    group = hosts.cgroup(host, "/a", high=1000)
    owner = hosts.process(host, "/a")
    hosts.small(host, hosts.area(host, owner, 16 * MIB), range(1500))
    over_high(host, group, owner, 64)
    assert owner.stalled == pytest.approx(2 * SECOND)
    assert group.counters["memory_high"] >= 1
    assert group.usage == 1500


def test_a_huge_page_waits_once_and_small_pages_after_each_batch() -> None:
    # 10 % over: 160 jiffies a batch of 64 pages, 640 ms. A huge page is eight batches in one
    # charge, and no charge waits longer than two seconds.
    waits: list[float] = []
    for pages, folio in ((64, 1), (640, 1), (512, 512)):
        host = hosts.host()
        group = hosts.cgroup(host, "/a", high=20_000)
        owner = hosts.process(host, "/a")
        hosts.small(host, hosts.area(host, owner, 128 * MIB), range(22_000))
        over_high(host, group, owner, pages, folio)
        waits.append(owner.stalled / SECOND)
    assert waits[0] == pytest.approx(0.64, abs=0.005)
    assert waits[2] == pytest.approx(2.0)
    # Ten batches, at overages from 7.0 % to 9.8 %: 64 s times the square of each.
    each = [64 * ((2000 - 64 * (9.5 - batch)) / 20_000) ** 2 for batch in range(10)]
    assert waits[1] == pytest.approx(sum(each), rel=0.02)


def test_nobody_waits_who_charges_below_high() -> None:
    host = hosts.host()
    group = hosts.cgroup(host, "/a", high=20_000)
    owner = hosts.process(host, "/a")
    hosts.small(host, hosts.area(host, owner, 128 * MIB), range(20_000))
    over_high(host, group, owner, 640)
    assert (owner.stalled, group.counters["memory_high"]) == (0.0, 0)


def test_over_high_reclaims_until_nobody_has_to_wait() -> None:
    host = hosts.host(swap=64 * MIB)
    group = hosts.cgroup(host, "/a", high=1000)
    owner = hosts.process(host, "/a")
    hosts.small(host, hosts.area(host, owner, 16 * MIB), range(1500))
    over_high(host, group, owner, 64)
    # An overage of 1.37 % makes 2.99 jiffies, which are not waited for; a cluster is 32.
    assert 1013 - 32 <= group.usage <= 1014
    assert owner.stalled < SECOND / 10


def test_the_largest_process_is_killed_and_its_memory_is_free() -> None:
    host = hosts.host()
    hosts.cgroup(host, "/a", max=4000)
    sizes = {"small": 1000, "large": 1500, "spared": 2000, "outside": 3000}
    for name, pages in sizes.items():
        owner = hosts.process(
            host,
            "/" if name == "outside" else "/a",
            name,
            oom_score_adj=-1000 if name == "spared" else 0,
        )
        hosts.small(host, hosts.area(host, owner, 16 * MIB), range(pages))
    killed = oom.kill(host, host.cgroups["/a"])
    assert killed is not None
    assert killed.name == "large"
    assert (killed.alive, killed.resident) == (False, 0)
    assert host.cgroups["/a"].usage == 3000
    assert host.cgroups["/a"].counters["oom_kill"] == host.root.counters["oom_kill"] == 1
    folios.check(host)


def test_badness_by_hand() -> None:
    host = hosts.host(400 * MIB, swap=100 * MIB)
    owner = hosts.process(host, oom_score_adj=100)
    area = hosts.area(host, owner, 16 * MIB)
    hosts.small(host, area, range(1000))
    folios.swap_out(host, area, np.arange(300))
    # rss 700, swap 300, page tables of two blocks, a tenth of 128000 pages.
    assert oom.total_pages(host, None) == 128_000
    assert oom.badness(host, owner, 128_000) == 700 + 300 + 2 + 12_800


def test_an_adjustment_outweighs_size() -> None:
    host = hosts.host()
    for name, pages, adjust in (("big", 3000, 0), ("chosen", 100, 500)):
        owner = hosts.process(host, name=name, oom_score_adj=adjust)
        hosts.small(host, hosts.area(host, owner, 16 * MIB), range(pages))
    killed = oom.kill(host, None)
    assert killed is not None
    assert killed.name == "chosen"


def test_nobody_may_be_killed() -> None:
    host = hosts.host()
    hosts.process(host, oom_score_adj=-1000)
    assert oom.kill(host, None) is None


def test_minimum_free_of_known_machines() -> None:
    # 16 GiB without THP: 4 * sqrt(16777216) = 16384. With khugepaged a node with the zones
    # DMA, DMA32 and Normal has 67584 (2 MiB * 3 * (2 + 9)), as most servers show.
    assert minimum_free(hosts.host(16 * GIB, thp=Thp(enabled="never"))) == 16384
    assert minimum_free(hosts.host(16 * GIB)) == 67584
    # The square root takes over: 4 * sqrt(1024 * 1048576) = 131072.
    assert minimum_free(hosts.host(1024 * GIB)) == 131072


def test_watermarks_of_a_node() -> None:
    # 67584 KiB are 16896 pages; 0.1 % of 4194304 pages is 4194, a quarter of the minimum 4224.
    marks = watermarks(hosts.host(16 * GIB), 0)
    assert (marks.min, marks.low, marks.high, marks.promo) == (16896, 21120, 25344, 29568)


def test_kswapd_sleeps_above_low_and_works_to_high() -> None:
    host = hosts.host(256 * MIB, swap=256 * MIB)
    area = hosts.area(host, hosts.process(host), 256 * MIB)
    marks = watermarks(host, 0)
    daemon = Kswapd()
    hosts.small(host, area, range(65536 - marks.low))
    daemon.advance(host, SECOND)
    assert host.swap_used == 0
    hosts.small(host, area, range(65536 - marks.low, 65536 - marks.low + 1))
    daemon.advance(host, 2 * SECOND)
    assert host.nodes[0].free.free_pages >= marks.high
    assert host.root.counters["pswpout"] == host.swap_used == marks.high - marks.low + 1
    folios.check(host)


def test_kswapd_has_one_cpu() -> None:
    host = hosts.host(256 * MIB, swap=256 * MIB)
    hosts.small(host, hosts.area(host, hosts.process(host), 256 * MIB), range(65536))
    daemon = Kswapd()
    daemon.advance(host, 1000)
    assert 0 < host.swap_used <= 65536 >> 12, "a microsecond is over after the first priority"


def test_demotion_takes_the_coldest_to_the_next_tier() -> None:
    host = hosts.host(128 * MIB, 512 * MIB, 512 * MIB, tiers=(0, 1, 2))
    area = hosts.area(host, hosts.process(host), 256 * MIB)
    hosts.small(host, area, range(32768))
    _hot(area, 0, 16384, 1e6)
    Kswapd().advance(host, SECOND)
    moved = host.root.counters["pgdemote_kswapd"]
    assert moved == watermarks(host, 0).high
    assert area.by_node == [32768 - moved, moved, 0]
    assert (area.node[:16384] == 0).all()
    folios.check(host)


def test_tiering_mode_makes_room_for_promotion() -> None:
    host = hosts.host(128 * MIB, 512 * MIB, tiers=(0, 1), numa=NumaBalancing(balancing=2))
    hosts.small(host, hosts.area(host, hosts.process(host), 256 * MIB), range(32768))
    Kswapd().advance(host, SECOND)
    assert host.nodes[0].free.free_pages == watermarks(host, 0).promo


def test_without_demotion_the_fast_tier_swaps() -> None:
    host = hosts.host(
        128 * MIB,
        512 * MIB,
        tiers=(0, 1),
        numa=NumaBalancing(demotion=False),
        swap=512 * MIB,
    )
    hosts.small(host, hosts.area(host, hosts.process(host), 256 * MIB), range(32768))
    Kswapd().advance(host, SECOND)
    assert host.root.counters["pgdemote_kswapd"] == 0
    assert host.swap_used == watermarks(host, 0).high


def test_demotion_goes_to_the_next_tier_and_never_up() -> None:
    host = hosts.host(*(64 * MIB,) * 4, tiers=(0, 1, 1, 2))
    host.nodes[1].free.allocate(0, 100)
    targets = [demotion_target(host, node) for node in host.nodes]
    assert [target and target.index for target in targets] == [2, 3, 3, None]


def test_wake_makes_it_work_above_low() -> None:
    host = hosts.host(128 * MIB, 512 * MIB, tiers=(0, 1))
    marks = watermarks(host, 0)
    area = hosts.area(host, hosts.process(host), 256 * MIB)
    hosts.small(host, area, range(32768 - marks.low - 10))
    wake(host, 0)
    Kswapd().advance(host, SECOND)
    assert host.nodes[0].free.free_pages == marks.high
