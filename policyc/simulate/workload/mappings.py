"""The mappings of a process over time, as far as a recording tells them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from policyc.simulate.workload.perf import Kind

__all__ = ["Mappings"]

#: Processes with more mappings exist, but no recording of faults needs them apart.
_MOST = 65_536


class Mappings:
    """Ranges of addresses with their kinds; a new one takes the place of what was there."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ranges: list[tuple[int, int, Kind]] = []

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __iter__(self) -> Iterator[tuple[int, int, Kind]]:
        return iter(self._ranges)

    def add(self, start: int, end: int, kind: Kind) -> None:
        """The range is of this kind from now on."""
        if start >= end or len(self._ranges) >= _MOST:
            return
        first = bisect_right(self._starts, start)
        if first and self._ranges[first - 1][1] > start:
            first -= 1
        last = bisect_left(self._starts, end)
        new = [(start, end, kind)]
        for low, high, other in self._ranges[first:last]:
            if low < start:
                new.insert(0, (low, start, other))
            if high > end:
                new.append((end, high, other))
        self._ranges[first:last] = new
        self._starts[first:last] = [low for low, _, _ in new]

    def kind(self, address: int) -> Kind:
        """Of what kind an address is; UNKNOWN if nothing was said about it."""
        found = bisect_right(self._starts, address) - 1
        if found >= 0 and address < self._ranges[found][1]:
            return self._ranges[found][2]
        return Kind.UNKNOWN
