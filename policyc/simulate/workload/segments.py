"""What page faults say about accesses: passes in order, strides, and touches at random.

A fault is the first touch of a page. So a pass over memory, or a stride, is seen exactly as
it is; of touches at random only those are seen that come to a new page, and how many there
were is what collecting as many different pages takes (the coupon collector's problem).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.workload.specification import MILLISECOND, Pattern

__all__ = ["Segment", "Touches", "draws", "passes_of_huge", "segments"]

Integers = NDArray[np.int64]

#: Fewer faults in order than this are taken for chance.
_RUN = 16
#: Fewer without an order than this are not taken for touches at random.
_FEW = 64
#: Streams that are followed at a time, and faults after which one that rests is given up.
_STREAMS, _REST = 16, 4096
_HUGE = "each fault brought a PMD-sized page"
#: Touches at random with so long a gap between them are two phases.
_GAP = 100 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Segment:
    """Touches that follow one pattern: the bytes `start` to `end`, the times of the first and
    the last one, how many `faults` were seen, and how many `touches` they stand for.

    `sure` is "sure", "likely" or "a guess"; `note` says more.
    """

    pattern: Pattern
    start: int
    end: int
    began: int
    ended: int
    faults: int
    touches: int
    stride: int = 0
    threads: frozenset[int] = frozenset()
    writes: int = 0
    sure: str = "sure"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Touches:
    """Faults of an area in the order of time: addresses, nanoseconds, threads, and whether
    each was a write.
    """

    addresses: Integers
    times: Integers
    threads: Integers
    writes: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_] | slice) -> Touches:
        """Some of them."""
        return Touches(
            self.addresses[chosen], self.times[chosen], self.threads[chosen], self.writes[chosen]
        )


def passes_of_huge(touches: Touches, page_size: int, pmd_size: int) -> list[Segment]:
    """Passes over memory of which each fault brought a PMD-sized page."""
    found: list[Segment] = []
    for thread in np.unique(touches.threads):
        mine = touches.where(touches.threads == thread)
        blocks = mine.addresses // pmd_size
        for run in np.split(
            np.arange(len(blocks)), np.flatnonzero(np.abs(np.diff(blocks)) != 1) + 1
        ):
            pages = len(run) * pmd_size // page_size
            start = int(blocks[run].min()) * pmd_size
            segment = Segment(
                Pattern.SEQUENTIAL,
                start,
                start + len(run) * pmd_size,
                int(mine.times[run[0]]),
                int(mine.times[run[-1]]),
                len(run),
                pages,
                page_size,
                frozenset({int(thread)}),
                int(mine.writes[run].sum()),
                "likely",
                _HUGE,
            )
            found.append(segment)
    return found


def segments(
    touches: Touches, page_size: int, pmd_size: int, *, huge: bool = True
) -> list[Segment]:
    """The segments of an area, by the time they begin.

    With `huge`, faults at distances of a PMD-sized page are a pass that got such pages.
    """
    found: list[Segment] = []
    for thread in np.unique(touches.threads):
        at = np.flatnonzero(touches.threads == thread)
        series = _Series(touches, at, int(thread), page_size, pmd_size if huge else 0)
        found += series.segments()
    found.sort(key=lambda segment: (segment.began, segment.start))
    joined = _across_threads(_joined(found))
    return _with_draws(joined, touches, page_size)


class _Series:
    """The faults of one thread in an area."""

    def __init__(
        self, touches: Touches, at: Integers, thread: int, page_size: int, pmd_size: int
    ) -> None:
        self._addresses = touches.addresses[at]
        self._times = touches.times[at]
        self._writes = touches.writes[at]
        self._pages = self._addresses // page_size
        self._thread = frozenset({thread})
        self._page, self._pmd = page_size, pmd_size

    def segments(self) -> list[Segment]:
        """In no order."""
        found: list[Segment] = []
        rest = [(0, len(self._addresses))]
        for runs in (self._strides, self._passes):
            left: list[tuple[int, int]] = []
            for start, stop in rest:
                done = start
                for first, last, stride in runs(start, stop):
                    left.append((done, first))
                    found.append(self._in_order(np.arange(first, last), stride))
                    done = last
                left.append((done, stop))
            rest = [(start, stop) for start, stop in left if stop > start]
        for start, stop in rest:
            found += self._demultiplexed(start, stop)
        return found

    def _strides(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Runs of faults at equal distances of a page or more: first, behind the last, bytes."""
        steps = np.diff(self._addresses[start:stop])
        done = start
        for first, last in _runs(steps):
            stride = int(steps[first])
            begin, end = max(done, start + first), start + last + 1
            if abs(stride) < self._page or end - begin < _RUN:
                continue
            if abs(stride) == self._page:
                # The first touch of a page need not be at the same place in each.
                sign = stride // self._page
                while begin > done and self._pages[begin] - self._pages[begin - 1] == sign:
                    begin -= 1
                while end < stop and self._pages[end] - self._pages[end - 1] == sign:
                    end += 1
            yield begin, end, stride
            done = end

    def _passes(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Runs of faults of which each is in the page behind the one before."""
        steps = np.diff(self._pages[start:stop])
        for first, last in _runs(steps):
            if last - first + 1 >= _RUN and abs(int(steps[first])) == 1:
                yield start + first, start + last + 1, int(steps[first]) * self._page

    def _in_order(self, at: Integers, stride: int) -> Segment:
        low, high = self._range(at)
        pages = (high - low) // self._page
        count = len(at)
        note = "from the end to the start" if stride < 0 else ""
        pattern, touches, sure = Pattern.STRIDE, count, "sure"
        if abs(stride) == self._page:
            pattern = Pattern.SEQUENTIAL
        elif self._is_huge(at, abs(stride)):
            pattern, touches, sure = Pattern.SEQUENTIAL, pages, "likely"
            high = max(high, int(self._addresses[at].max()) + self._pmd)
            touches = (high - low) // self._page
            note = _HUGE
        if pattern is Pattern.STRIDE:
            low = int(self._addresses[at].min())
        return Segment(
            pattern,
            low,
            high,
            *self._span(at),
            count,
            touches,
            abs(stride),
            self._thread,
            int(self._writes[at].sum()),
            sure,
            note,
        )

    def _is_huge(self, at: Integers, stride: int) -> bool:
        """Whether the faults are those of a pass over memory that gets PMD-sized pages."""
        return 0 < self._pmd == stride and not (self._addresses[at[1:]] % self._pmd).any()

    def _range(self, at: Integers) -> tuple[int, int]:
        """The bytes of the pages of some faults."""
        pages = self._pages[at]
        return int(pages.min()) * self._page, (int(pages.max()) + 1) * self._page

    def _span(self, at: Integers) -> tuple[int, int]:
        return int(self._times[at[0]]), int(self._times[at[-1]])

    def _demultiplexed(self, start: int, stop: int) -> Iterator[Segment]:
        """Passes that were under way at the same time, as in copying; and the rest."""
        rest = np.arange(start, stop)
        linked = _linked(self._pages[start:stop])
        if len(linked) >= _RUN:
            pages = self._pages[start:stop][linked].tolist()
            streams = [linked[stream] + start for stream in _follow(pages)]
            for stream in streams:
                yield self._in_order(stream, self._page)
            if streams:
                rest = np.setdiff1d(rest, np.concatenate(streams))
        gaps = np.diff(self._times[rest])
        if len(gaps):
            limit = max(_GAP, 20 * float(np.median(gaps)))
            for piece in np.split(rest, np.flatnonzero(gaps > limit) + 1):
                yield self._at_random(piece)
        elif len(rest):
            yield self._at_random(rest)

    def _at_random(self, at: Integers) -> Segment:
        """Faults without order, or in the order of addresses with pages left out."""
        low, high = self._range(at)
        steps = np.diff(self._pages[at])
        forward = (steps > 0) & (steps <= 64)
        pattern, stride, sure, note = Pattern.UNIFORM, 0, "likely", ""
        if len(at) >= _RUN and float(forward.mean()) >= 0.9:
            pattern, sure, note = Pattern.STRIDE, "likely", "in order, with gaps; the mean distance"
            stride = max(self._page, (high - low - self._page) // (len(at) - 1))
        elif len(at) < _FEW:
            # Too few to tell; in order, so that as many pages are touched.
            pages, distinct = (high - low) // self._page, len(np.unique(self._pages[at]))
            stride = max(1, pages // distinct) * self._page
            pattern = Pattern.STRIDE if stride > self._page else Pattern.SEQUENTIAL
            sure, note = "a guess", "too few to see an order"
        return Segment(
            pattern,
            low,
            high,
            *self._span(at),
            len(at),
            len(at),
            stride,
            self._thread,
            int(self._writes[at].sum()),
            sure,
            note,
        )


def _runs(values: Integers) -> Iterator[tuple[int, int]]:
    """The runs of equal values: the first, and behind the last. Runs do not share faults."""
    if not len(values):
        return
    edges = np.flatnonzero(np.diff(values)) + 1
    done = 0
    bounds = np.concatenate(([0], edges, [len(values)]))
    long = np.flatnonzero(np.diff(bounds) >= _RUN - 1)
    for index in long.tolist():
        first, last = max(done, int(bounds[index])), int(bounds[index + 1])
        yield first, last
        done = last + 1


def _linked(pages: Integers) -> Integers:
    """The faults before or after which the page next to theirs faulted, in a pass upwards."""
    order = np.argsort(pages, kind="stable")
    later = np.diff(order)
    links = np.flatnonzero((np.diff(pages[order]) == 1) & (later > 0) & (later <= _REST))
    return np.unique(np.concatenate((order[links], order[links + 1])))


def _follow(pages: Sequence[int]) -> list[list[int]]:
    """Streams of faults that each go from page to page, as a hardware prefetcher finds them."""
    waiting: dict[int, list[int]] = {}
    found: list[list[int]] = []
    for number, page in enumerate(pages):
        stream = waiting.pop(page, None)
        if stream is None:
            stream = list[int]()
            found.append(stream)
        stream.append(number)
        waiting[page + 1] = stream
        if len(waiting) > 4 * _STREAMS:
            old = number - _REST
            kept = sorted(waiting.items(), key=lambda item: item[1][-1])[-_STREAMS:]
            waiting = {key: each for key, each in kept if each[-1] >= old}
    return [stream for stream in found if len(stream) >= _RUN]


def _joined(found: Sequence[Segment]) -> list[Segment]:
    """Segments in order that go on where another of the same thread stopped become one."""
    result: list[Segment] = []
    for segment in found:
        for index in range(len(result) - 1, max(-1, len(result) - 9), -1):
            before = result[index]
            if _continues(before, segment):
                result[index] = replace(
                    before,
                    end=segment.end,
                    ended=max(before.ended, segment.ended),
                    faults=before.faults + segment.faults,
                    touches=before.touches + segment.touches,
                    writes=before.writes + segment.writes,
                )
                break
        else:
            result.append(segment)
    return result


def _continues(before: Segment, segment: Segment) -> bool:
    if before.pattern is not segment.pattern or before.threads != segment.threads:
        return False
    if before.note or segment.note or not 0 <= segment.began - before.ended <= _GAP:
        return False
    if segment.pattern is Pattern.SEQUENTIAL:
        return segment.start == before.end
    if segment.pattern is Pattern.STRIDE:
        last = before.start + (before.touches - 1) * before.stride
        return segment.stride == before.stride and segment.start == last + segment.stride
    return False


def _across_threads(found: Sequence[Segment]) -> list[Segment]:
    """What several threads did alike at the same time in ranges that touch becomes one."""
    result: list[Segment] = []
    for segment in found:
        for index in range(len(result) - 1, max(-1, len(result) - 33), -1):
            before = result[index]
            if _alike(before, segment):
                result[index] = replace(
                    before,
                    start=min(before.start, segment.start),
                    end=max(before.end, segment.end),
                    ended=max(before.ended, segment.ended),
                    faults=before.faults + segment.faults,
                    touches=before.touches + segment.touches,
                    threads=before.threads | segment.threads,
                    writes=before.writes + segment.writes,
                )
                break
        else:
            result.append(segment)
    return result


def _alike(before: Segment, segment: Segment) -> bool:
    if before.pattern is not segment.pattern or before.stride != segment.stride:
        return False
    together = segment.began <= before.ended and not before.threads & segment.threads
    near = max(before.end - before.start, segment.end - segment.start) // 8
    return together and segment.start - before.end <= near and before.start - segment.end <= near


def draws(pages: int, before: int, new: int) -> int:
    """How many touches at random of `pages` pages find `new` pages that were not touched.

    `before` were already. The k-th new page takes pages / (pages - before - k + 1) touches
    in the mean, and the sum of those is a difference of harmonic numbers.
    """
    missing = max(0, pages - before)
    new = min(new, missing)
    return round(pages * (_harmonic(missing) - _harmonic(missing - new)))


def _harmonic(number: int) -> float:
    if number < 64:
        return math.fsum(1 / k for k in range(1, number + 1))
    return math.log(number) + 0.57721566490153286 + 1 / (2 * number) - 1 / (12 * number * number)


def _with_draws(found: Sequence[Segment], touches: Touches, page_size: int) -> list[Segment]:
    """The same with the number of touches that faults at random stand for."""
    if not any(segment.pattern is Pattern.UNIFORM for segment in found):
        return list(found)
    pages, first = np.unique(touches.addresses // page_size, return_index=True)
    when = touches.times[first]
    result: list[Segment] = []
    for segment in found:
        if segment.pattern is not Pattern.UNIFORM:
            result.append(segment)
            continue
        low, high = segment.start // page_size, segment.end // page_size
        inside = when[np.searchsorted(pages, low) : np.searchsorted(pages, high)]
        before = int((inside < segment.began).sum())
        new = int(((inside >= segment.began) & (inside <= segment.ended)).sum())
        count = max(segment.faults, draws(high - low, before, min(new, segment.faults)))
        result.append(replace(segment, touches=count))
    return result
