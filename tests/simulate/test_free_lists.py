"""Free memory by order: nothing is lost, small folios break large blocks only when they must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyc.simulate.model.free_lists import FreeLists


def test_a_node_without_fragments_is_all_large_blocks() -> None:
    free = FreeLists(10 * 1024)
    assert free.counts() == (0,) * 10 + (10,)
    assert free.available(9) == 20


def test_one_page_splits_one_block_into_one_of_each_order() -> None:
    # A buddy allocator that takes a page of a block of order 10 keeps one block of each of
    # the orders 0 to 9.
    free = FreeLists(1024)
    assert free.allocate(0, 1) == 1
    assert free.counts() == (1,) * 10 + (0,)
    free.release(0, 1)
    assert free.counts() == (0,) * 10 + (1,)


def test_half_of_memory_in_fragments_halves_the_huge_pages() -> None:
    free = FreeLists(512 * 100, fragmentation=0.5)
    assert free.free_pages == 512 * 100
    assert free.available(9) == 50
    assert free.allocate(9, 80) == 50
    assert free.allocate(0, 1) == 1, "the other half is there for base pages"


def test_small_folios_use_fragments_before_large_blocks() -> None:
    free = FreeLists(512 * 100, fragmentation=0.25)
    free.allocate(0, 512 * 25)
    assert free.available(9) == 75
    free.allocate(0, 1)
    assert free.available(9) == 74


def test_fragments_are_in_equal_shares_by_order() -> None:
    free = FreeLists(9 * 512 * 2, fragmentation=0.5)
    # 9 * 512 pages, 512 for each order from 0 to 8.
    assert free.counts()[:9] == tuple(512 >> order for order in range(9))


def test_an_order_below_pmd_comes_from_fragments_large_enough() -> None:
    free = FreeLists(9 * 512, fragmentation=1.0)
    # Orders 4 to 8 hold 512 pages each: 32 folios of order 4 each.
    assert free.available(4) == 5 * 32
    assert free.allocate(4, 1000) == 5 * 32
    assert free.available(0) == 4 * 512


def test_compaction_makes_large_blocks_of_fragments() -> None:
    free = FreeLists(512 * 100, fragmentation=1.0)
    free.allocate(0, 512 * 50)
    assert free.allocate(9, 1) == 0
    moved = free.compact(9, 4)
    assert free.allocate(9, 4) == 4
    # Half of what is in broken blocks is free, so half of each block had to move.
    assert moved == 4 * 256


def test_compaction_needs_room_to_move_to() -> None:
    free = FreeLists(512 * 4, fragmentation=1.0)
    free.allocate(0, 512 * 2)
    # compact_gap() wants twice the folio on top of it: 3 * 512 pages, there are 2 * 512.
    assert free.compact(9, 1) == 0


def test_scattered_pages_are_no_huge_page() -> None:
    free = FreeLists(512 * 10)
    free.allocate(9, 10)
    free.release(0, 471 * 10, scattered=True)
    assert free.free_pages == 4710
    assert free.available(9) == 0
    assert free.available(0) == 4710


def test_more_back_than_taken_is_an_error() -> None:
    free = FreeLists(100)
    with pytest.raises(ValueError, match="lacks 0"):
        free.release(0, 1)


@given(
    st.sampled_from([0.0, 0.1, 0.37, 1.0]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 10), st.integers(1, 3000)), max_size=40),
)
def test_pages_are_conserved(fragmentation: float, steps: list[tuple[bool, int, int]]) -> None:
    free = FreeLists(512 * 40 + 77, fragmentation=fragmentation)
    start = free.counts()
    held = [0] * 11
    for take, order, count in steps:
        if take:
            possible = free.available(order)
            got = free.allocate(order, count)
            assert got == min(count, possible)
            held[order] += got
        else:
            back = min(count, held[order])
            free.release(order, back)
            held[order] -= back
        used = sum(n << k for k, n in enumerate(held))
        assert free.free_pages + used == free.pages
        assert sum(n << k for k, n in enumerate(free.counts())) == free.free_pages
        assert min(free.counts()) >= 0
    for order, count in enumerate(held):
        free.release(order, count)
    assert sum(n << k for k, n in enumerate(free.counts())) == sum(
        n << k for k, n in enumerate(start)
    )


@given(st.lists(st.integers(1, 2000), max_size=30), st.sampled_from([0.2, 0.9]))
def test_base_pages_given_back_leave_the_start(counts: list[int], fragmentation: float) -> None:
    free = FreeLists(512 * 100, fragmentation=fragmentation)
    start = free.counts()
    got = [free.allocate(0, count) for count in counts]
    for count in got:
        free.release(0, count)
    assert free.counts() == start
