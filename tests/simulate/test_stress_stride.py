"""The experiment of the shrinker's author, and the same with other strides, sizes and limits.

`stress --vm 1 --vm-bytes 40M --vm-stride 50K` with memory.max 20M and no swap (Usama Arif,
"Re: [PATCH 0/6] mm: split underutilized THPs", 30 July 2024): killed without the shrinker;
with it not, for max_ptes_none of 470 and below.

What is expected comes from an enumeration of the touched addresses here, which shares
nothing with the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import pytest

from policyc.simulate.engine import simulate
from policyc.simulate.results import Run
from policyc.simulate.workload.specification import (
    GIB,
    KIB,
    MIB,
    SECOND,
    Cgroup,
    Khugepaged,
    Machine,
    Node,
    Pattern,
    Phase,
    Process,
    Thp,
    Vma,
    Workload,
)

PAGE, HUGE = 4096, 512


def _stress(
    size: int, stride: int, limit: int, ceiling: int, *, shrink: bool = True, misalign: int = 0
) -> Run:
    workload = Workload(
        name="stress",
        machine=Machine(
            nodes=(Node(memory=4 * GIB, cpus=4),),
            thp=Thp(enabled="always", shrink_underused=shrink),
            khugepaged=Khugepaged(max_ptes_none=ceiling, pages_to_scan=0),
        ),
        cgroups=(Cgroup(path="/stress", memory_max=limit, swap_max=0),),
        processes=(
            Process(
                name="stress",
                cgroup="/stress",
                vmas=(Vma(name="buffer", size=size, misalign=misalign),),
                phases=(
                    Phase(
                        pattern=Pattern.STRIDE,
                        vma="buffer",
                        stride=stride,
                        passes=2,
                        rate=100_000.0,
                    ),
                ),
            ),
        ),
        duration=10 * SECOND,
    )
    return simulate(workload, name="stress")


@dataclass
class _Enumerated:
    """Touches one after the other, against a limit in pages."""

    limit: int
    ceiling: int
    used: int = 0
    huge: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    small: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    queue: list[int] = field(default_factory=list[int])
    split: int = 0

    def touch(self, page: int, *, whole: bool) -> bool:
        """Whether the process survives a touch; `whole`: a huge page fits into the mapping."""
        block = page // HUGE
        if block in self.huge:
            self.huge[block].add(page)
            return True
        if page in self.small.get(block, ()):
            return True
        if whole and block not in self.small and self.limit - self.used >= HUGE:
            self.huge[block] = {page}
            self.queue.append(block)
            self.used += HUGE
            return True
        if self.used >= self.limit and not self._shrink():
            return False
        self.small.setdefault(block, set()).add(page)
        self.used += 1
        return True

    def _shrink(self) -> bool:
        before = self.used
        for block in self.queue:
            zeros = HUGE - len(self.huge[block])
            if zeros > self.ceiling and self.ceiling != HUGE - 1:
                self.small[block] = self.huge.pop(block)
                self.used -= zeros
                self.split += 1
        self.queue.clear()
        return self.used < before


def _enumerate(
    size: int, stride: int, limit: int, ceiling: int, misalign: int = 0
) -> _Enumerated | None:
    """The state after two passes, None if the process was killed."""
    state = _Enumerated(limit // PAGE, ceiling)
    first, last = misalign // PAGE, (misalign + size - 1) // PAGE
    for _ in range(2):
        for address in range(misalign, misalign + size, stride):
            block = address // PAGE // HUGE
            whole = block * HUGE >= first and (block + 1) * HUGE - 1 <= last
            if not state.touch(address // PAGE, whole=whole):
                return None
    return state


@pytest.mark.parametrize(("ceiling", "killed"), [(0, 0), (450, 0), (470, 0), (471, 1), (510, 1)])
def test_the_edge_of_the_mail(ceiling: int, killed: int) -> None:
    run = _stress(40 * MIB, 50 * KIB, 20 * MIB, ceiling)
    assert run.total.counters["oom_kill"] == killed
    assert (run.process_seconds["stress"] < 0) == bool(killed)


@pytest.mark.parametrize("ceiling", [0, 450, 470, 511])
def test_without_the_shrinker_it_is_killed_whatever_the_setting(ceiling: int) -> None:
    run = _stress(40 * MIB, 50 * KIB, 20 * MIB, ceiling, shrink=False)
    assert run.total.counters["oom_kill"] == 1


_STRIDES = (4, 12, 50, 64, 100, 200, 500, 3000)
_CEILINGS = (0, 128, 384, 409, 470, 471, 491, 505, 510, 511)
_SIZES = ((40, 20), (64, 24), (30, 29), (100, 11))

_COMBINATIONS = [
    (size, stride, limit, ceiling)
    for (stride, ceiling), (size, limit) in product(product(_STRIDES, _CEILINGS), _SIZES)
    # a third of them, spread over all
    if (size + stride * 7 + ceiling) % 3 == 0
]


@pytest.mark.parametrize(("size", "stride", "limit", "ceiling"), _COMBINATIONS)
def test_other_strides_sizes_and_limits(size: int, stride: int, limit: int, ceiling: int) -> None:
    numbers = (size * MIB, stride * KIB, limit * MIB, ceiling)
    expected = _enumerate(*numbers)
    run = _stress(*numbers)
    assert run.total.counters["oom_kill"] == (expected is None)
    if expected is not None:
        assert run.total.memory_bytes == expected.used * PAGE
        assert run.total.counters["thp_underused_split_page"] == expected.split


def test_there_are_enough_of_both_kinds() -> None:
    killed = [_enumerate(a * MIB, b * KIB, c * MIB, d) is None for a, b, c, d in _COMBINATIONS]
    assert len(killed) >= 50
    assert 20 <= sum(killed) <= len(killed) - 20


@pytest.mark.parametrize("misalign", [4, 1024, 2044])
@pytest.mark.parametrize("ceiling", [409, 470, 471])
def test_a_mapping_that_starts_behind_a_boundary(misalign: int, ceiling: int) -> None:
    expected = _enumerate(40 * MIB, 50 * KIB, 20 * MIB, ceiling, misalign * KIB)
    run = _stress(40 * MIB, 50 * KIB, 20 * MIB, ceiling, misalign=misalign * KIB)
    assert run.total.counters["oom_kill"] == (expected is None)
    if expected is not None:
        assert run.total.memory_bytes == expected.used * PAGE
