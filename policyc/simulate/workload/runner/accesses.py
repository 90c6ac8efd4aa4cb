"""The accesses of a phase, done to real memory at the pace that the phase says."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, gcd, log

from policyc.simulate.workload.specification import SECOND, Pattern, Phase

__all__ = ["Piece", "perform", "pieces", "touches_of_pass", "zipf_ranks"]

#: Touches that are done at once, between two looks at the clock.
_AT_ONCE = 1024

#: A limited rate is kept in steps of this many a second.
_STEPS = 50

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Piece:
    """Some touches: of the bytes `start`, `start + step`, ... in order, or of `offsets`."""

    count: int
    start: int = 0
    step: int = 0
    offsets: tuple[int, ...] = ()


def touches_of_pass(phase: Phase, size: int, page: int) -> int:
    """How many touches one pass over `size` bytes has."""
    step = phase.stride if phase.pattern is Pattern.STRIDE else page
    return -(-size // step)


def pieces(
    phase: Phase, size: int, page: int, rng: random.Random, at_once: int = _AT_ONCE
) -> Iterator[Piece]:
    """The touches of a phase without an end, for a range of `size` bytes."""
    match phase.pattern:
        case Pattern.SEQUENTIAL:
            yield from _in_order(size, page, at_once)
        case Pattern.STRIDE:
            yield from _in_order(size, phase.stride, at_once)
        case Pattern.UNIFORM:
            count = -(-size // page)
            yield from _at_random(lambda: rng.randrange(count), page, at_once)
        case Pattern.ZIPF:
            count = -(-size // page)
            ranks = zipf_ranks(count, phase.exponent, rng)
            scatter = _coprime(count)
            yield from _at_random(lambda: (next(ranks) - 1) * scatter % count, page, at_once)
        case Pattern.HOTSET:
            yield from _hot_set(phase, -(-size // page), page, rng, at_once)
        case _:
            return


def _in_order(size: int, step: int, at_once: int) -> Iterator[Piece]:
    count = -(-size // step)
    while True:
        for done in range(0, count, at_once):
            yield Piece(min(at_once, count - done), done * step, step)


def _at_random(page_number: Callable[[], int], page: int, at_once: int) -> Iterator[Piece]:
    while True:
        yield Piece(at_once, offsets=tuple(page_number() * page for _ in range(at_once)))


def _hot_set(
    phase: Phase, count: int, page: int, rng: random.Random, at_once: int
) -> Iterator[Piece]:
    """The window moves on by its own size whenever its time is over, and wraps around."""
    hot = max(1, round(count * phase.hot_size))
    began = time.monotonic_ns()

    def number() -> int:
        if rng.random() >= phase.hot_share:
            return rng.randrange(count)
        moved = 0
        if phase.hot_moves_every:
            moved = (time.monotonic_ns() - began) // phase.hot_moves_every
        return (moved * hot + rng.randrange(hot)) % count

    yield from _at_random(number, page, at_once)


def _coprime(count: int) -> int:
    """A factor that scatters ranks over the pages, as hot keys are over a heap.

    The simulator has the same one, near the golden section, without a common divisor.
    """
    number = max(1, round(count * _GOLDEN))
    while gcd(number, count) != 1:
        number += 1
    return number


def zipf_ranks(count: int, exponent: float, rng: random.Random) -> Iterator[int]:
    """Ranks 1 to `count`, rank k with weight k ** -exponent.

    Rejection-inversion (W. Hörmann and G. Derflinger, "Rejection-inversion to generate
    variates from monotone discrete distributions", ACM TOMACS 6(3), 1996), which needs no
    table of the ranks.
    """

    def integral(x: float) -> float:
        if exponent == 1.0:
            return log(x)
        return (x ** (1.0 - exponent) - 1.0) / (1.0 - exponent)

    def inverse(y: float) -> float:
        if exponent == 1.0:
            return exp(y)
        return max(0.0, 1.0 + y * (1.0 - exponent)) ** (1.0 / (1.0 - exponent))

    low, high = integral(1.5) - 1.0, integral(count + 0.5)
    near = 2.0 - inverse(integral(2.5) - 2.0**-exponent)
    while True:
        value = high + rng.random() * (low - high)
        x = inverse(value)
        rank = min(max(int(x + 0.5), 1), count)
        if rank - x <= near or value >= integral(rank + 0.5) - rank**-exponent:
            yield rank


def perform(
    phase: Phase,
    memory: memoryview,
    page: int,
    *,
    rng: random.Random,
    counted: Callable[[int], None],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Do the accesses of a phase to the bytes of its range until it ends.

    `counted` is told of touches as they are done. A phase ends by its touches, passes or
    duration, whatever comes first; without any of them, after one pass.
    """
    size = len(memory)
    limit = _limit(phase, size, page)
    work, each = _nanoseconds_a_touch(phase)
    at_once = _AT_ONCE if each == 0 else max(1, min(_AT_ONCE, int(SECOND / each / _STEPS)))
    began = time.monotonic_ns()
    done = 0
    for piece in pieces(phase, size, page, rng, at_once):
        if done >= limit:
            return
        count = int(min(piece.count, limit - done))
        _touch(phase, memory, piece, count, rng)
        done += count
        counted(count)
        spent = time.monotonic_ns() - began
        left = float("inf") if phase.duration is None else phase.duration - spent
        if left <= 0:
            return
        if work:
            _compute(began + int(min(done * work, spent + left)))
            spent = time.monotonic_ns() - began
        ahead = min(done * each - spent, left)
        if ahead > 0:
            wait(ahead / SECOND)


def _compute(until: int) -> None:
    """Use CPU time, as the work of a phase does: what counts it sees a busy thread."""
    while time.monotonic_ns() < until:
        pass


def _limit(phase: Phase, size: int, page: int) -> float:
    limits = [float("inf")]
    if phase.touches is not None:
        limits.append(phase.touches)
    if phase.passes is not None:
        limits.append(round(phase.passes * touches_of_pass(phase, size, page)))
    if len(limits) == 1 and phase.duration is None:
        limits.append(touches_of_pass(phase, size, page))
    return min(limits)


def _nanoseconds_a_touch(phase: Phase) -> tuple[float, float]:
    """Of all threads together: the work of a touch, and the least time between two."""
    by_rate = SECOND / phase.rate if phase.rate else 0.0
    work = phase.work / max(1, phase.threads)
    return work, max(by_rate, work + phase.delay / max(1, phase.threads))


def _touch(phase: Phase, memory: memoryview, piece: Piece, count: int, rng: random.Random) -> None:
    value = 0 if phase.zero else 1
    if piece.offsets:
        for offset in piece.offsets[:count]:
            if phase.write >= 1.0 or rng.random() < phase.write:
                memory[offset] = value
            else:
                memory[offset]
        return
    start, step = piece.start, piece.step
    end = min(len(memory), start + count * step)
    if phase.write >= 1.0:
        memory[start:end:step] = bytes([value]) * count
    elif phase.write <= 0.0:
        memory[start:end:step].tobytes()
    else:
        for offset in range(start, end, step):
            if rng.random() < phase.write:
                memory[offset] = value
            else:
                memory[offset]
