"""NUMA balancing on small hosts: what is marked, what faults, what moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from policyc.simulate.model import folios
from policyc.simulate.model.area import Area
from policyc.simulate.model.hook import Hook, NumaAnswer
from policyc.simulate.model.host import Host, ProcessState
from policyc.simulate.model.numa_balancing import NumaBalancing
from policyc.simulate.model.numa_faults import Balanced
from policyc.simulate.model.patterns import stream_of
from policyc.simulate.model.watermarks import watermarks
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import GIB, MIB, MILLISECOND, SECOND
from tests.simulate import hosts

TICK = 100 * MILLISECOND


class Case:
    """A process on node 0, its memory on another node, and the daemon."""

    def __init__(
        self,
        balancing: int = 1,
        *,
        size: int = 128 * MIB,
        memory: tuple[int, ...] = (4 * GIB, 4 * GIB),
        tiers: tuple[int, ...] = (),
        node: int = 1,
        threads: int = 1,
        rate: float = 1e9,
        huge: bool = False,
        **numa: Any,
    ) -> None:
        settings = spec.NumaBalancing(balancing=balancing, **numa)
        self.host: Host = hosts.host(*memory, tiers=tiers, numa=settings)
        self.process: ProcessState = hosts.process(self.host)
        self.process.threads = threads
        self.area: Area = hosts.area(self.host, self.process, size)
        if huge:
            hosts.huge(self.host, self.area, range(size >> 21), node=node)
        else:
            hosts.small(self.host, self.area, range(size >> 12), node=node)
        self.rate = rate
        if rate:
            self.touch(0, size)
        self.daemon = NumaBalancing(self.host)

    def touch(self, offset: int, length: int) -> None:
        """Touch a part of the memory at random, instead of what was touched before."""
        phase = spec.Phase(
            pattern=spec.Pattern.UNIFORM, vma="heap", offset=offset, length=length, touches=1 << 60
        )
        stream = stream_of(phase, self.area, hosts.PAGE, self.host.now)
        stream.rate = self.rate
        self.area.streams[:] = [stream]
        self.area.version += 1

    def run(self, seconds: float, *, busy: float | None = None) -> Case:
        """Let time pass; each thread runs all the time, or as many threads as told."""
        end = self.host.now + round(seconds * SECOND)
        while self.host.now < end:
            until = min(end, self.host.now + TICK)
            running = self.process.threads if busy is None else busy
            self.process.cpu_time += (until - self.host.now) * running
            self.daemon.advance(self.host, until)
            self.host.now = until
        folios.check(self.host)
        return self

    def count(self, name: str) -> int:
        """A counter of the machine."""
        return self.host.root.counters[name]

    @property
    def state(self) -> Balanced:
        """What the daemon keeps of the process."""
        found = self.process.notes["numa_balancing"]
        assert isinstance(found, Balanced)
        return found


@dataclass(slots=True, eq=False)
class On(Hook):
    """A policy that balances the processes of these names."""

    names: tuple[str, ...]
    threshold: int | None = None

    @property
    def attached(self) -> bool:
        return True

    def numa(self, host: Host, process: ProcessState) -> NumaAnswer:
        return NumaAnswer(process.name in self.names, self.threshold)


def test_memory_on_the_wrong_node_moves_to_the_right_one() -> None:
    case = Case().run(3)
    pages = 128 * MIB // 4096
    assert case.area.by_node == [pages, 0]
    assert case.count("numa_pte_updates") == pages
    assert case.count("numa_hint_faults") == pages
    assert case.count("numa_hint_faults_local") == 0
    assert case.count("numa_pages_migrated") == pages
    assert case.process.kernel_time > pages * case.host.costs.migrate


def test_nothing_happens_before_the_scan_delay() -> None:
    case = Case(scan_delay=2 * SECOND).run(1.9)
    assert case.count("numa_pte_updates") == 0
    assert case.run(0.3).count("numa_pte_updates") > 0


def test_the_clock_is_cpu_time() -> None:
    assert Case().run(20, busy=0).count("numa_pte_updates") == 0
    half = Case()
    assert half.run(1.9, busy=0.5).count("numa_pte_updates") == 0
    assert half.run(0.3, busy=0.5).count("numa_pte_updates") > 0


def test_a_lone_threads_own_pages_are_not_marked() -> None:
    assert Case(node=0).run(20).count("numa_pte_updates") == 0
    assert Case(node=0, threads=2).run(20).count("numa_hint_faults_local") > 0


def test_one_node_needs_no_balancing() -> None:
    case = Case(memory=(4 * GIB,), node=0, threads=2)
    assert case.run(20).count("numa_pte_updates") == 0


def test_off_is_off() -> None:
    assert Case(0).run(20).count("numa_pte_updates") == 0


def test_what_is_not_touched_stays_where_it_is() -> None:
    case = Case()
    case.touch(0, 32 * MIB)
    case.run(5)
    assert case.area.by_node[0] == 32 * MIB // 4096
    assert case.area.protected_count == 96 * MIB // 4096
    # Its marks are still there when somebody comes.
    case.touch(32 * MIB, 32 * MIB)
    case.run(1)
    assert case.area.by_node[0] == 64 * MIB // 4096


def test_a_huge_page_faults_once_and_moves_as_a_whole() -> None:
    case = Case(huge=True).run(3)
    assert case.count("numa_huge_pte_updates") == 64
    assert case.count("numa_pte_updates") == 64 * 512
    assert case.count("numa_hint_faults") == 64
    assert case.count("numa_pages_migrated") == 64 * 512
    assert case.area.by_order[9] == 64 * 512


def test_a_huge_page_that_is_split_meanwhile_leaves_no_marks_behind() -> None:
    case = Case(huge=True, rate=0.0).run(1.5)
    assert case.area.protected_count == 64 * 512
    folios.split(case.host, case.area, np.arange(64))
    case.rate = 1e9
    case.touch(0, 128 * MIB)
    case.run(0.5)
    assert case.area.protected_count == 0


def test_one_window_is_marked_in_a_period() -> None:
    # 1 GiB: 250 ms, two ticks of 4 ms, and 32 times the 1.3 ms that marking takes at most.
    case = Case(size=GIB, rate=0.0).run(1.05)
    window = 256 * MIB // 4096
    assert case.count("numa_pte_updates") == window
    case.run(0.2)
    assert case.count("numa_pte_updates") == window
    case.run(0.15)
    assert case.count("numa_pte_updates") == 2 * window


def test_many_threads_scan_one_window_each_delay_until_a_pass_is_over() -> None:
    case = Case(size=GIB, threads=64, rate=1e9).run(4.05)
    assert case.count("numa_pte_updates") == GIB // 4096
    assert case.state.sequence == 1


def test_holes_are_passed_eight_windows_at_a_time() -> None:
    case = Case(size=256 * MIB, threads=2)
    # The second mapping is 4 GiB of nothing, with one page at its end.
    last = hosts.area(case.host, case.process, 4 * GIB, "sparse")
    hosts.small(case.host, last, range(last.end - 1, last.end), node=1)
    case.run(1.05)  # the first mapping
    assert not last.protected.any()
    case.run(1.0)  # 2 GiB
    assert not last.protected.any()
    case.run(1.0)  # the rest
    assert last.protected[-1] or last.node[-1] == 0


def test_a_pass_from_which_nothing_is_learned_doubles_the_period_once() -> None:
    case = Case(size=GIB, node=1, rate=1e9).run(30)
    # The faults of the last of four windows find the pass over. All were first faults, which
    # are private and were remote: local + shared is 0. From then on all pages are local.
    assert case.state.period == 500
    assert case.count("numa_pages_migrated") == GIB // 4096


def test_a_policy_balances_its_tasks_alone() -> None:
    case = Case(0)
    other = hosts.process(case.host, name="other")
    hosts.small(case.host, hosts.area(case.host, other, 16 * MIB), range(4096), node=1)
    case.host.hook = On(("p",))
    other.cpu_time = 1e12
    case.run(5)
    assert case.area.by_node[1] == 0
    assert other.areas["heap"].by_node[1] == 4096


@pytest.mark.parametrize("threshold", [1, 10 * SECOND])
def test_a_hot_threshold_without_tiering_has_no_effect(threshold: int) -> None:
    case = Case(0)
    case.host.hook = On(("p",), threshold)
    assert case.run(3).count("numa_pages_migrated") == 128 * MIB // 4096


def tiered(**more: Any) -> Case:
    """Memory on a slow tier, and a fast node with less than a GiB: none of it is spare."""
    return Case(2, memory=(900 * MIB, 4 * GIB), tiers=(0, 1), **more)


def test_with_tiering_it_has_one() -> None:
    # 100 touches a second and page: a mark is hit after 10 ms on average.
    rate = 128 * MIB / 4096 * 100
    case = tiered(rate=rate)
    case.host.hook = On((), 10 * MILLISECOND)
    case.run(1.5)
    moved = case.count("pgpromote_success")
    # Whole milliseconds below 10: 1 - exp(-1) of those marked, within what rounding does.
    assert moved / case.count("numa_hint_faults") == pytest.approx(0.63, abs=0.04)
    assert case.count("pgpromote_candidate") == moved
    assert tiered(rate=rate).run(1.5).count("pgpromote_success") == 128 * MIB // 4096


def test_only_slow_tiers_are_marked_in_tiering_mode() -> None:
    case = Case(2, memory=(4 * GIB, 4 * GIB, 4 * GIB), tiers=(0, 0, 1), node=1).run(5)
    assert case.count("numa_pte_updates") == 0


def test_normal_mode_takes_slow_pages_at_the_second_fault() -> None:
    case = Case(1, memory=(4 * GIB, 4 * GIB), tiers=(0, 1))
    pages = 128 * MIB // 4096
    case.run(1.5)
    assert case.count("numa_hint_faults") == pages
    assert case.count("numa_pages_migrated") == 0
    assert case.run(2).count("numa_pages_migrated") == pages


def test_a_full_target_keeps_its_watermark_and_wakes_kswapd() -> None:
    case = tiered(rate=1e9)
    free = case.host.nodes[0].free
    kept = watermarks(case.host, 0).high
    hog = hosts.process(case.host, name="hog")
    count = free.free_pages - kept - 1000
    hosts.small(case.host, hosts.area(case.host, hog, 900 * MIB), range(count), node=0)
    case.run(1.5)
    assert case.count("pgpromote_success") == 1000
    assert free.free_pages == kept
    assert case.count("pgmigrate_fail") == 128 * MIB // 4096 - 1000
    assert case.host.nodes[0].woken


def test_threads_on_two_nodes_settle_half_of_the_faults_each() -> None:
    case = Case(node=1, threads=8)
    case.process.spec = spec.Process(name="p", spread=True)
    case.run(30)
    assert case.area.by_node[0] == pytest.approx(case.area.by_node[1], rel=0.2)
    # A group that runs on both nodes leaves memory where it is.
    moved = case.count("numa_pages_migrated")
    case.run(30)
    assert case.count("numa_pages_migrated") - moved < 0.05 * case.area.pages


def test_the_same_seed_gives_the_same_counts() -> None:
    first, second = Case(threads=4).run(10), Case(threads=4).run(10)
    assert first.host.root.counters == second.host.root.counters
