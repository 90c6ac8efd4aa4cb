"""Whatever is done to pages, areas, nodes and cgroups tell the same of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyc.simulate.model import folios
from policyc.simulate.model.area import LARGEST, NONE, SWAPPED, ZERO, Area
from policyc.simulate.model.build import start_process
from policyc.simulate.model.faults import touch
from policyc.simulate.model.fork import fork
from policyc.simulate.model.host import Host, ProcessState
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import GIB, KIB, MIB, Machine, Node, Thp
from tests.simulate.machines import HEAP, machine, process, small_host

MACHINE = Machine(
    nodes=(Node(memory=32 * MIB, cpus=2), Node(memory=64 * MIB, cpus=2)),
    thp=Thp(enabled="always", sizes={9: "always", 4: "always", 2: "always"}),
    swap=8 * MIB,
)


def written(host: Host, process: ProcessState, area: Area, pages: np.ndarray) -> None:
    touch(host, process, area, pages, written=np.ones(len(pages), np.bool_))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 511))
def test_accounts_agree_after_anything(seed: int, behind: int) -> None:
    rng = np.random.default_rng(seed)
    what = process(size=10 * MIB, misalign=behind * 4096)
    host, state = small_host(MACHINE, what, memory_max=24 * MIB)
    area = state.areas[HEAP]
    for _ in range(25):
        _anything(host, state, area, rng)
        if not state.alive:
            break
        folios.check(host)
    for each in list(host.living()):
        for one in each.areas.values():
            folios.release(host, one, np.arange(one.first, one.end))
    folios.check(host)
    assert host.root.usage == 0
    assert host.swap_used == 0


def _anything(host: Host, state: ProcessState, area: Area, rng: np.random.Generator) -> None:
    start = int(rng.integers(area.first, area.end))
    pages = np.arange(start, min(area.end, start + int(rng.integers(1, 1500))))
    pages = pages[:: int(rng.integers(1, 9))]
    huge = np.flatnonzero((area.rows(area.folio) == area.order).all(axis=1))
    match int(rng.integers(0, 9)):
        case 0 | 1 | 2:
            touch(host, state, area, pages, written=rng.random(len(pages)) < rng.random())
        case 3:
            folios.release(host, area, pages)
        case 4:
            folios.split(host, area, huge[:1], drop_zeros=bool(rng.integers(0, 2)))
        case 5:
            folios.swap_out(host, area, pages)
        case 6:
            folios.migrate(host, area, pages, int(rng.integers(0, 2)))
        case 7:
            block = int(rng.integers(0, area.blocks)) * area.block
            inside = area.first <= block and block + area.block <= area.end
            if inside and not (area.folio[block : block + area.block] == SWAPPED).any():
                folios.collapse(host, area, block, area.order, 0)
        case _:
            child = start_process(host, spec.Process(name="child", cgroup="/a"), "child")
            child.areas = {HEAP: fork(host, area, child)}


def test_a_folio_costs_a_cgroup_and_a_node_its_size() -> None:
    host, state = small_host()
    area = state.areas[HEAP]
    free = host.nodes[0].free.free_pages
    written(host, state, area, np.array([7]))
    assert host.cgroups["/a"].usage == 512
    assert free - host.nodes[0].free.free_pages == 512
    assert area.unfilled == 511
    assert list(host.cgroups["/a"].queue) == [(area, 0)]


def test_a_split_gives_back_what_is_zero() -> None:
    host, state = small_host()
    area = state.areas[HEAP]
    written(host, state, area, np.arange(0, 512, 8))
    assert folios.split(host, area, np.array([0]), drop_zeros=True) == 512 - 64
    assert host.cgroups["/a"].usage == 64
    assert np.count_nonzero(area.folio[:512] == ZERO) == 512 - 64
    written(host, state, area, np.array([1]))
    assert host.cgroups["/a"].usage == 65
    folios.check(host)


def test_a_part_of_a_huge_page_that_is_freed_stays_charged() -> None:
    """As on Linux, where a partially mapped folio waits on the deferred split queue."""
    host, state = small_host()
    area = state.areas[HEAP]
    written(host, state, area, np.arange(512))
    folios.release(host, area, np.arange(100, 200))
    assert host.cgroups["/a"].usage == 512
    assert host.cgroups["/a"].counters["thp_deferred_split_page"] == 1
    assert folios.free_lingering(host, host.cgroups["/a"]) == 100
    assert host.cgroups["/a"].usage == 412


def test_what_lingers_goes_with_the_last_page_of_its_folio() -> None:
    host, state = small_host()
    area = state.areas[HEAP]
    written(host, state, area, np.arange(512))
    folios.release(host, area, np.arange(100, 200))
    folios.release(host, area, np.arange(512))
    assert host.cgroups["/a"].usage == 0
    folios.check(host)


def test_a_write_after_fork_copies_once() -> None:
    host, parent = small_host(machine("never"))
    area = parent.areas[HEAP]
    written(host, parent, area, np.arange(1000))
    child = start_process(host, spec.Process(name="child", cgroup="/a"), "child")
    child.areas = {HEAP: fork(host, area, child)}
    assert host.cgroups["/a"].usage == 1000
    written(host, parent, area, np.arange(300))
    assert host.cgroups["/a"].usage == 1300
    written(host, parent, area, np.arange(300))
    assert host.cgroups["/a"].usage == 1300
    # The other side of a page that was copied is its only user: no copy is needed.
    written(host, child, child.areas[HEAP], np.arange(300))
    assert host.cgroups["/a"].usage == 1300
    folios.release(host, child.areas[HEAP], np.arange(area.first, area.end))
    child.areas[HEAP].freed = True
    folios.check(host)
    assert host.cgroups["/a"].usage == 1000


def test_a_write_after_fork_breaks_the_huge_mapping_and_copies_a_base_page() -> None:
    host, parent = small_host()
    area = parent.areas[HEAP]
    written(host, parent, area, np.arange(1024))
    child = start_process(host, spec.Process(name="child", cgroup="/a"), "child")
    child.areas = {HEAP: fork(host, area, child)}
    written(host, parent, area, np.array([5]))
    assert host.cgroups["/a"].usage == 1025
    assert host.cgroups["/a"].counters["thp_split_pmd"] == 1
    assert area.by_order[9] == 512
    assert child.areas[HEAP].by_order[9] == 1024


def test_migration_moves_large_folios_whole_and_stops_when_the_node_is_full() -> None:
    on = Machine(
        nodes=(Node(memory=GIB, cpus=2), Node(memory=6 * MIB, cpus=2)),
        thp=Thp(enabled="always"),
    )
    host, state = small_host(on)
    area = state.areas[HEAP]
    written(host, state, area, np.arange(5 * 512))
    assert folios.migrate(host, area, np.array([3]), 1) == 512
    assert area.by_node == [4 * 512, 512]
    folios.migrate(host, area, np.arange(5 * 512), 1)
    assert area.by_node[1] <= 6 * MIB // 4096
    folios.check(host)


def test_swap_is_bounded_by_the_machine_and_the_cgroup() -> None:
    host, state = small_host(machine("never", swap=MIB), swap_max=512 * KIB)
    area = state.areas[HEAP]
    written(host, state, area, np.arange(1024))
    assert folios.swap_out(host, area, np.arange(1024)) == 128
    assert host.cgroups["/a"].swap == 128
    assert np.count_nonzero(area.folio == SWAPPED) == 128
    written(host, state, area, np.arange(1024))
    assert host.cgroups["/a"].swap == 0
    assert np.count_nonzero(area.folio <= LARGEST) == 1024
    assert host.cgroups["/a"].counters["pswpin"] == 128


@pytest.mark.parametrize("pages", [1, 511, 512, 513])
def test_memory_outside_the_mapping_is_never_used(pages: int) -> None:
    host, state = small_host(None, process(size=pages * 4096, misalign=3 * 4096))
    area = state.areas[HEAP]
    written(host, state, area, np.arange(area.first, area.end))
    assert host.cgroups["/a"].usage == pages
    folios.release(host, area, np.arange(area.length))
    assert np.count_nonzero(area.folio == NONE) == pages
