"""Accesses as streams: which pages a running phase touches, and when it comes to a page again.

A stream is the running form of a phase. Touches are replayed one by one while there are few
of them. Where there are more touches than pages, what is asked instead is whether and when a
page is touched, which has the same distribution.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.model.area import Area, Bools, Pages
from policyc.simulate.workload.specification import SECOND, Pattern, Phase

__all__ = [
    "DRAWN",
    "Hotset",
    "Ordered",
    "Stream",
    "Uniform",
    "Zipf",
    "accessed_since",
    "heat",
    "next_access",
    "stream_of",
]

#: The most touches that are drawn one by one in one go.
DRAWN = 1 << 20

_GOLDEN = 0.6180339887498949

Times = NDArray[np.float64]

#: Which pages of some a caller is interested in.
Wanted = Callable[[Pages], Bools]


@dataclass(slots=True, eq=False)
class Stream(ABC):
    """A phase at work on the pages `first` to `first + span` of an area.

    `done` are the touches up to now of `total` (infinite: until its time is over); `rate` is
    the touches a second that it makes at present, all threads together.
    """

    phase: Phase
    area: Area
    first: int
    span: int
    total: float
    started: int
    rate: float = 0.0
    done: float = 0.0

    @abstractmethod
    def touched(self, count: int, wanted: Wanted, rng: np.random.Generator) -> Pages:
        """The pages of the next `count` touches that are wanted, sorted, each once.

        `done` is not changed.
        """

    @abstractmethod
    def draw(self, count: int, rng: np.random.Generator) -> Pages:
        """`count` pages as they are touched now, in any order, for sampling."""

    @abstractmethod
    def heat(self, pages: Pages) -> Times:
        """Touches a second of each page."""

    def next_touch(self, pages: Pages, now: int, rng: np.random.Generator) -> Times:
        """When each page is next touched, nanoseconds of the clock; infinite: never.

        Accesses at random come at exponential intervals.
        """
        heat = self.heat(pages)
        with np.errstate(divide="ignore"):
            return now + rng.exponential(size=len(pages)) / heat * SECOND

    def distinct(self) -> int:
        """How many pages it comes to at all."""
        return self.span

    def share_of_hottest(self, share: float) -> float:
        """The share of touches that go to the given share of its pages, the hottest ones."""
        return min(1.0, share)

    @property
    def in_order(self) -> bool:
        """Whether the next touch can be foreseen, so that hardware prefetches it."""
        return False


@dataclass(slots=True, eq=False)
class Ordered(Stream):
    """In order, one byte every `step` bytes, over and over.

    `lead` is how many bytes the range starts behind the start of its first page: 0.
    """

    step: int = 4096
    page_size: int = 4096

    @property
    def steps(self) -> int:
        """Touches of one pass."""
        return max(1, -(-self.span * self.page_size // self.step))

    @property
    def in_order(self) -> bool:
        """It can."""
        return True

    def distinct(self) -> int:
        """Pages of one pass."""
        return min(self.span, self.steps)

    def _pages(self, start: int, stop: int) -> Pages:
        if self.step == self.page_size:
            return np.arange(self.first + start, self.first + stop)
        pages = np.arange(start, stop, dtype=np.int64) * self.step // self.page_size
        return self.first + (np.unique(pages) if self.step < self.page_size else pages)

    def touched(self, count: int, wanted: Wanted, rng: np.random.Generator) -> Pages:
        """See Stream."""
        steps = self.steps
        start = int(self.done) % steps
        if count >= steps:
            found = self._pages(0, steps)
        elif start + count <= steps:
            found = self._pages(start, start + count)
        else:
            first, second = self._pages(0, start + count - steps), self._pages(start, steps)
            found = np.concatenate((first, second[np.searchsorted(second, first[-1] + 1) :]))
        return found[wanted(found)]

    def draw(self, count: int, rng: np.random.Generator) -> Pages:
        """See Stream."""
        steps = rng.integers(0, self.steps, count)
        return self.first + steps * self.step // self.page_size

    def _step_of(self, pages: Pages) -> tuple[NDArray[np.int64], Bools]:
        """The first touch of each page in a pass, and whether there is one."""
        inside = pages - self.first
        step = -(-inside * self.page_size // self.step)
        hit = (step * self.step // self.page_size == inside) & (inside >= 0) & (inside < self.span)
        return step, hit

    def heat(self, pages: Pages) -> Times:
        """See Stream."""
        _, hit = self._step_of(pages)
        each = max(1.0, self.page_size / self.step)
        return np.where(hit, self.rate / self.steps * each, 0.0)

    def next_touch(self, pages: Pages, now: int, rng: np.random.Generator) -> Times:
        """See Stream; known exactly, apart from the rate."""
        step, hit = self._step_of(pages)
        if self.rate <= 0:
            return np.full(len(pages), np.inf)
        ahead = (step - int(self.done)) % self.steps
        reached = hit & (self.done + ahead < self.total)
        return np.where(reached, now + ahead / self.rate * SECOND, np.inf)


@dataclass(slots=True, eq=False)
class Uniform(Stream):
    """At random, all pages alike."""

    def touched(self, count: int, wanted: Wanted, rng: np.random.Generator) -> Pages:
        """See Stream. By the probability of each page where that is less to compute."""
        if count <= DRAWN and count < self.span // 4:
            pages = self.draw(count, rng)
            return _distinct(pages[wanted(pages)], self.first, self.span)
        every = np.arange(self.first, self.first + self.span)
        return _reached(self, count, every[wanted(every)], rng)

    def draw(self, count: int, rng: np.random.Generator) -> Pages:
        """See Stream."""
        return rng.integers(self.first, self.first + self.span, count)

    def heat(self, pages: Pages) -> Times:
        """See Stream."""
        inside = (pages >= self.first) & (pages < self.first + self.span)
        return np.where(inside, self.rate / self.span, 0.0)


@dataclass(slots=True, eq=False)
class Zipf(Uniform):
    """At random, the page of rank k with weight k ** -exponent.

    Ranks are scattered over the range, as hot keys are over a heap. The weights are those
    of the continuous distribution, whose inverse is known.
    """

    multiplier: int = 1
    inverse: int = 1

    @property
    def _skew(self) -> float:
        exponent = self.phase.exponent
        return exponent if abs(exponent - 1) > 1e-6 else 1 + 1e-6

    def _mass(self, rank: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """The share of touches that go to ranks below `rank`."""
        power = 1 - self._skew
        top = (1.0 + self.span) ** power - 1
        return np.asarray(((1.0 + np.asarray(rank)) ** power - 1) / top)

    def draw(self, count: int, rng: np.random.Generator) -> Pages:
        """See Stream."""
        power = 1 - self._skew
        top = (1.0 + self.span) ** power - 1
        rank = ((rng.random(count) * top + 1) ** (1 / power) - 1).astype(np.int64)
        np.minimum(rank, self.span - 1, out=rank)
        return self.first + rank * self.multiplier % self.span

    def heat(self, pages: Pages) -> Times:
        """See Stream."""
        inside = (pages >= self.first) & (pages < self.first + self.span)
        rank = ((pages - self.first) * self.inverse % self.span).astype(np.float64)
        weight = self._mass(rank + 1) - self._mass(rank)
        return np.where(inside, self.rate * weight, 0.0)

    def share_of_hottest(self, share: float) -> float:
        """See Stream."""
        return min(1.0, float(self._mass(share * self.span)))


@dataclass(slots=True, eq=False)
class Hotset(Uniform):
    """At random: `hot_share` of the touches go to a window, which moves on by its own size."""

    hot: int = 1

    def _window(self) -> int:
        """The first page of the window, counted from `first`."""
        every = self.phase.hot_moves_every
        if not every or self.rate <= 0:
            return 0
        moves = int(self.done / self.rate * SECOND) // every
        return moves * self.hot % self.span

    def _is_hot(self, pages: Pages) -> Bools:
        return (pages - self.first - self._window()) % self.span < self.hot

    def draw(self, count: int, rng: np.random.Generator) -> Pages:
        """See Stream."""
        anywhere = rng.integers(0, self.span, count)
        inside = (rng.integers(0, self.hot, count) + self._window()) % self.span
        chosen = rng.random(count) < self.phase.hot_share
        return self.first + np.where(chosen, inside, anywhere)

    def heat(self, pages: Pages) -> Times:
        """See Stream."""
        inside = (pages >= self.first) & (pages < self.first + self.span)
        share = self.phase.hot_share
        cold = (1 - share) * self.rate / self.span
        hot = share * self.rate / self.hot
        return np.where(inside, np.where(self._is_hot(pages), hot + cold, cold), 0.0)

    def share_of_hottest(self, share: float) -> float:
        """See Stream."""
        hot = self.hot / self.span
        return min(
            1.0, self.phase.hot_share * min(1.0, share / hot) + (1 - self.phase.hot_share) * share
        )


def _distinct(pages: Pages, first: int, span: int) -> Pages:
    """Pages of a range, sorted, each once; by a map of the range where they are many."""
    if len(pages) * 32 < span:
        return np.unique(pages)
    seen = np.zeros(span, np.bool_)
    seen[pages - first] = True
    return np.flatnonzero(seen) + first


def _reached(stream: Stream, count: int, pages: Pages, rng: np.random.Generator) -> Pages:
    """Those of some pages that `count` touches reach, each with its probability."""
    if stream.rate <= 0:
        return pages[:0]
    expected = stream.heat(pages) * (count / stream.rate)
    return pages[rng.random(len(pages)) < -np.expm1(-expected)]


def stream_of(phase: Phase, area: Area, page_size: int, now: int) -> Stream:
    """The stream of a phase that touches memory; ValueError for the other phases."""
    first = area.first + phase.offset // page_size
    length = area.vma.size - phase.offset if phase.length is None else phase.length
    span = max(1, min(-(-length // page_size), area.end - first))
    step = phase.stride if phase.pattern is Pattern.STRIDE else page_size
    once = -(-span * page_size // step)
    total = math.inf
    if phase.touches is not None:
        total = float(phase.touches)
    elif phase.passes is not None:
        total = float(math.ceil(phase.passes * once))
    match phase.pattern:
        case Pattern.SEQUENTIAL | Pattern.STRIDE:
            return Ordered(phase, area, first, span, total, now, step=step, page_size=page_size)
        case Pattern.UNIFORM:
            return Uniform(phase, area, first, span, total, now)
        case Pattern.ZIPF:
            multiplier = _coprime(span)
            return Zipf(
                phase,
                area,
                first,
                span,
                total,
                now,
                multiplier=multiplier,
                inverse=pow(multiplier, -1, span) if span > 1 else 0,
            )
        case Pattern.HOTSET:
            hot = min(span, max(1, round(span * phase.hot_size)))
            return Hotset(phase, area, first, span, total, now, hot=hot)
        case Pattern.FREE | Pattern.COLLAPSE | Pattern.FORK | Pattern.SLEEP | Pattern.EXIT:
            raise ValueError(f"{phase.pattern.value} touches no memory")


def _coprime(span: int) -> int:
    """A number without a common divisor with `span`, near its golden section."""
    number = max(1, round(span * _GOLDEN))
    while math.gcd(number, span) != 1:
        number += 1
    return number


def heat(area: Area, pages: Pages) -> Times:
    """Touches a second of each page, by all that goes on."""
    total = np.zeros(len(pages))
    for stream in area.streams:
        total += stream.heat(pages)
    return total


def next_access(area: Area, pages: Pages, now: int, rng: np.random.Generator) -> Times:
    """When each page is next touched by any stream, nanoseconds; infinite: never."""
    first = np.full(len(pages), np.inf)
    for stream in area.streams:
        np.minimum(first, stream.next_touch(pages, now, rng), out=first)
    return first


def accessed_since(
    area: Area, pages: Pages, since: int, now: int, rng: np.random.Generator
) -> Bools:
    """Which pages were touched between two times, by what goes on now at its present rate."""
    expected = np.zeros(len(pages))
    for stream in area.streams:
        span = max(0, now - max(since, stream.started)) / SECOND
        if stream.in_order and stream.rate > 0:
            # a pass touches each page once, and no page twice before it is over
            steps = stream.heat(pages) * span
            expected += np.where(steps >= 1, np.inf, -np.log1p(-np.minimum(steps, 0.999999)))
        else:
            expected += stream.heat(pages) * span
    return rng.random(len(pages)) < -np.expm1(-expected)
