"""How hot memory was, from DAMON's samples: rates, ranges, and the pattern that fits them.

In every sampling interval DAMON looks whether one page of a region, chosen at random, was
accessed (mm/damon/core.c, kdamond_fn; mm/damon/vaddr.c, damon_va_check_accesses). Where each
page is touched at random `rate` times a second, that is so with the probability
1 - exp(-rate * interval); what follows inverts this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.workload.specification import SECOND, Pattern

__all__ = ["Floats", "Shape", "page_rates", "shape_of", "windows"]

Floats = NDArray[np.float64]

#: Differences of heat below this share are noise of sampling.
_SAME = 0.5
_MOST_WINDOWS = 12
#: Bins whose warmer ones have so little more than their share are alike.
_EVEN = 0.2
#: The part of that which must be in one place to be a hot window.
_TOGETHER = 0.7


def page_rates(probability: Floats, samples: float, interval: int) -> Floats:
    """Touches a second of a page that was found accessed in this share of `samples`.

    A page that always was may be touched any number of times; it gets the rate at which half
    a sample would be expected to miss it.
    """
    bounded = np.minimum(probability, 1 - 0.5 / max(1.0, samples))
    return -np.log1p(-bounded) * (SECOND / interval)


@dataclass(frozen=True, slots=True)
class Shape:
    """How touches are spread over bins `first` to `last` (exclusive) of an area.

    For HOTSET `hot` is the share of these bins that is hot, from the first one on, and `share`
    that of the touches which go to it beyond what all bins get; for ZIPF `exponent`. `moved`:
    the hot window lies elsewhere in the range.
    """

    pattern: Pattern
    first: int
    last: int
    hot: float = 0.0
    share: float = 0.0
    exponent: float = 0.0
    moved: bool = False
    sure: str = "likely"


def shape_of(heat: Floats) -> Shape | None:
    """The pattern that fits the touches a second of bins best; None if there are none."""
    total = float(heat.sum())
    if total <= 0:
        return None
    warm = np.flatnonzero(heat > 0.01 * heat.max())
    low, high = int(warm[0]), int(warm[-1]) + 1
    part = heat[low:high]
    # What the warmer bins have beyond their share, all of them and those next to each other.
    beyond = float(np.maximum(part / total - 1 / len(part), 0).sum())
    if beyond < _EVEN:
        return Shape(Pattern.UNIFORM, low, high)
    first, last = _densest(part)
    share = float(part[first:last].sum()) / total
    if share - (last - first) / len(part) < _TOGETHER * beyond:
        return Shape(Pattern.ZIPF, low, high, exponent=_exponent(part), sure="a guess")
    first, last = first + low, last + low
    if share >= 0.95:
        return Shape(Pattern.UNIFORM, first, last)
    moved = first - low > high - last
    begin = low if moved else first
    size = (last - first) / (high - begin)
    extra = min(1.0, max(0.0, (share - size) / (1 - size))) if size < 1 else 1.0
    return Shape(Pattern.HOTSET, begin, high, hot=size, share=extra, moved=moved and first > low)


def _densest(heat: Floats) -> tuple[int, int]:
    """The contiguous bins whose share of the touches exceeds their share of the bins most."""
    gain = heat / heat.sum() - 1 / len(heat)
    sums = np.concatenate(([0.0], np.cumsum(gain)))
    lowest = np.minimum.accumulate(sums)
    last = int(np.argmax(sums - lowest))
    first = int(np.argmin(sums[: last + 1]))
    return first, max(last, first + 1)


def _exponent(heat: Floats) -> float:
    """The exponent of Zipf's law that gives the hottest fifth its share of the touches.

    With many pages the hottest share x gets x ** (1 - exponent) for exponents below 1.
    """
    count = max(1, len(heat) // 5)
    part = count / len(heat)
    share = float(np.sort(heat)[::-1][:count].sum() / heat.sum())
    if part >= 1 or share <= part:
        return 0.01
    return round(min(0.99, max(0.01, 1 - math.log(min(share, 0.999)) / math.log(part))), 3)


def windows(blocks: Floats) -> list[tuple[int, int]]:
    """Runs of blocks of time with about the same heat: first, and behind the last.

    `blocks` is an array of shape (times, bins), touches a second. Neighbours that differ
    least are joined until the rest differ by more than noise.
    """
    bounds: list[tuple[int, int]] = [(index, index + 1) for index in range(len(blocks))]
    means = [np.asarray(row, np.float64) for row in blocks]
    while len(bounds) > 1:
        distances = [_distance(a, b) for a, b in pairwise(means)]
        index = int(np.argmin(distances))
        if distances[index] > _SAME and len(bounds) <= _MOST_WINDOWS:
            break
        (start, middle), (_, stop) = bounds[index], bounds[index + 1]
        weights = (middle - start, stop - middle)
        means[index : index + 2] = [_mean(means[index : index + 2], weights)]
        bounds[index : index + 2] = [(start, stop)]
    return bounds


def _mean(rows: Sequence[Floats], weights: tuple[int, int]) -> Floats:
    return (rows[0] * weights[0] + rows[1] * weights[1]) / sum(weights)


def _distance(one: Floats, other: Floats) -> float:
    """How much two distributions differ, 0 to 1 (Bray and Curtis)."""
    total = float(one.sum() + other.sum())
    return float(np.abs(one - other).sum()) / total if total else 0.0
