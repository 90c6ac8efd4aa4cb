"""Makes a workload of DAMON's regions: VMAs where memory was accessed, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from policyc.simulate.workload.damon import Snapshot
from policyc.simulate.workload.heat import Floats, Shape, page_rates, shape_of, windows
from policyc.simulate.workload.lines import RecordError, check_length
from policyc.simulate.workload.recorded import (
    Given,
    Recorded,
    cgroup_of,
    machine_of,
    named,
    workload_of,
)
from policyc.simulate.workload.specification import (
    GIB,
    MILLISECOND,
    SECOND,
    Pattern,
    Phase,
    Process,
    Vma,
)

__all__ = ["SAMPLE", "workload_from_regions"]

#: The sampling and aggregation intervals that damo and DAMON's documentation use.
SAMPLE, AGGREGATION = 5 * MILLISECOND, 100 * MILLISECOND
#: Regions that are kept of a target, 24 bytes each; then every second snapshot is dropped.
MOST_REGIONS = 1 << 20
_MOST_TARGETS = 64
#: Parts that an area and a recording are divided into.
_BINS, _BLOCKS = 512, 256
_MOST_FILLS = 8
#: Areas with a smaller share of the touches have no phase of their own.
_LEAST = 0.03
_RESERVED = 64 * GIB
_MOST_PHASES = 64
#: What one thread can touch in a second without being slowed down by it.
_THREAD = 5_000_000
#: The highest rate that a workload can have.
_FASTEST = 1e12


@dataclass(slots=True)
class _Target:
    """The snapshots of a target, or every `every`-th of them."""

    times: list[tuple[int | None, int]] = field(default_factory=list[tuple[int | None, int]])
    regions: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = field(
        default_factory=list[np.ndarray[tuple[int, int], np.dtype[np.int64]]]
    )
    kept: int = 0
    seen: int = 0
    every: int = 1
    sample: int | None = None
    aggregation: int | None = None

    def add(self, snapshot: Snapshot) -> None:
        if self.times and snapshot.end < self.times[-1][1]:
            raise RecordError(
                f"the snapshots of target {snapshot.target} are not in the order of time: one "
                f"ends at {snapshot.end / SECOND:.6f} s, after one of "
                f"{self.times[-1][1] / SECOND:.6f} s; are they of one recording?"
            )
        self.seen += 1
        self.sample = snapshot.sample or self.sample
        self.aggregation = snapshot.aggregation or self.aggregation
        if (self.seen - 1) % self.every:
            return
        rows = [(each.start, each.end, each.accesses) for each in snapshot.regions]
        self.times.append((snapshot.start, snapshot.end))
        self.regions.append(np.array(rows, np.int64).reshape(-1, 3))
        self.kept += len(rows)
        while self.kept > MOST_REGIONS and len(self.times) > 2:
            del self.times[1::2], self.regions[1::2]
            self.kept = sum(map(len, self.regions))
            self.every *= 2

    def intervals(self, sample: int | None) -> tuple[int, float]:
        """The sampling interval as it was in fact, and samples of an aggregation."""
        ends = np.array([end for _, end in self.times])
        told = [end - start for start, end in self.times if start is not None]
        length = float(np.median(told)) if told else 0.0
        if not told and len(ends) > 1:
            length = float(np.median(np.diff(ends)))
        interval = sample or self.sample or SAMPLE
        nominal = self.aggregation
        if nominal is None:
            nominal = AGGREGATION if 0.7 < (length or AGGREGATION) / AGGREGATION < 1.5 else length
        most = max((int(rows[:, 2].max()) for rows in self.regions if len(rows)), default=1)
        samples = max(1.0, float(round(nominal / interval)), float(most))
        # DAMON sleeps between samples, so a loaded host makes them less often than it was told.
        return max(1, round(length / samples)) if length else interval, samples

    def span(self, number: int) -> tuple[int, int]:
        """Start and end of a snapshot; without a start, as long as the others."""
        start, end = self.times[number]
        if start is None:
            before = self.times[number - 1][1] if number else end - AGGREGATION
            start = before
        return start, end


@dataclass(slots=True)
class _Area:
    """Contiguous regions, in bins of `size` bytes: `found` has for each block of time and bin
    the share of samples that found it accessed.
    """

    low: int
    high: int
    size: int
    found: Floats


def workload_from_regions(
    snapshots: Iterable[Snapshot], given: Given, sample: int | None = None
) -> Recorded:
    """The workload of DAMON's snapshots; `sample` is the sampling interval, nanoseconds.

    Without it that of the recording, else 5 ms. Raises RecordError.
    """
    targets: dict[str, _Target] = {}
    for snapshot in snapshots:
        if len(targets) >= _MOST_TARGETS and snapshot.target not in targets:
            raise RecordError(
                f"it has more than {_MOST_TARGETS} targets, target {snapshot.target} is one "
                "too many; record fewer processes"
            )
        targets.setdefault(snapshot.target, _Target()).add(snapshot)
    if not targets:
        raise RecordError("there are no snapshots of DAMON in it; record for some seconds")
    machine, settings = machine_of(given)
    comments: dict[tuple[str | int, ...], list[str]] = {("machine",): [settings]}
    first = min(target.span(0)[0] for target in targets.values())
    last = max(target.times[-1][1] for target in targets.values())
    check_length(first, last)
    processes: list[Process] = []
    silent: list[str] = []
    for name, target in targets.items():
        inferred = _Inferred(target, machine.page_size, machine.page_size << machine.pmd_order)
        inferred.infer(sample)
        if not inferred.phases:
            silent.append(name)
            continue
        for path, texts in inferred.comments.items():
            comments["processes", len(processes), *path] = texts
        comm = named(f"target-{name}", [p.name for p in processes], fallback="target")
        processes.append(
            Process(
                name=comm,
                comm=comm[:15],
                cgroup=cgroup_of(given, name, comm),
                start=target.span(0)[0] - first,
                vmas=tuple(inferred.vmas),
                phases=tuple(inferred.phases),
            )
        )
    if not processes:
        raise RecordError(
            "no region was accessed in any snapshot; record while the program works, or with a "
            "longer sampling interval"
        )
    count = sum(target.seen for target in targets.values())
    comments[()] = [
        (
            f"Made by `policyc workload from-damon` of {count:,} snapshots in "
            f"{(last - first) / SECOND:.1f} s."
        ),
        (
            "DAMON tells where memory was accessed and about how often, with the resolution of its "
            "regions; not which accesses write, and not what else is resident. Memory that was not "
            "accessed while it recorded is not touched here."
        ),
    ]
    if silent:
        comments[()].append(f"Never accessed, and left out: target {', '.join(silent)}.")
    description = f"Recorded with DAMON for {(last - first) / SECOND:.1f} s"
    return Recorded(workload_of(given, description, machine, processes), comments)


class _Inferred:
    """What is made of the snapshots of one target."""

    def __init__(self, target: _Target, page_size: int, pmd_size: int) -> None:
        self._target = target
        self._page, self._pmd = page_size, pmd_size
        self.vmas: list[Vma] = []
        self.phases: list[Phase] = []
        self.comments: dict[tuple[str | int, ...], list[str]] = {}

    def infer(self, sample: int | None) -> None:
        """Fill in VMAs, phases and comments; none of them if nothing was accessed."""
        target = self._target
        interval, samples = target.intervals(sample)
        blocks = _blocks(target)
        bounds = [(target.span(first)[0], target.span(last - 1)[1]) for first, last in blocks]
        seconds = np.array([max(1, end - start) for start, end in bounds]) / SECOND
        areas: list[_Area] = []
        heats: list[Floats] = []
        for start, end in _areas(target):
            low, high = start // self._page * self._page, -(-end // self._page) * self._page
            area = self._raster(low, high, blocks, samples)
            if not area.found.any():
                continue
            within = np.array([samples * (last - first) for first, last in blocks])
            rates = np.stack(
                [page_rates(row, n, interval) for row, n in zip(area.found, within, strict=True)]
            )
            areas.append(area)
            heats.append(rates * (area.size // self._page))
        if not areas:
            return
        self._fill(areas, heats, seconds)
        self.comments[()] = [
            (
                f"{target.seen:,} snapshots{f', one of {target.every} used' * (target.every > 1)}; "
                f"a sample every {interval / MILLISECOND:.3g} ms, {samples:.0f} for a snapshot."
            )
        ]
        runs = windows(np.concatenate(heats, axis=1))
        for first, last in runs:
            start, end = bounds[first][0], bounds[last - 1][1]
            count = np.array([last - first for first, last in blocks[first:last]])
            means: list[Floats] = []
            for area in areas:
                found = np.average(area.found[first:last], axis=0, weights=count)
                rates = page_rates(found, samples * float(count.sum()), interval)
                means.append(rates * (area.size // self._page))
            self._window(areas, means, end - start, len(runs))

    def _raster(
        self, low: int, high: int, blocks: Sequence[tuple[int, int]], samples: float
    ) -> _Area:
        """The mean share of samples that found each bin accessed, by block of time."""
        pages = -(-(high - low) // self._page)
        size = -(-pages // _BINS) * self._page
        count = -(-(high - low) // size)
        found = np.zeros((len(blocks), count))
        edges = low + size * np.arange(count + 1)
        for row, (first, last) in enumerate(blocks):
            for regions in self._target.regions[first:last]:
                inside = regions[(regions[:, 1] > low) & (regions[:, 0] < high)]
                if len(inside):
                    found[row] += _spread(inside, edges) / samples
            found[row] /= last - first
        return _Area(low, high, size, found)

    def _fill(self, areas: Sequence[_Area], heats: Sequence[Floats], seconds: Floats) -> None:
        """A VMA for each area, and a pass over what was accessed, as it was there before."""
        for area, heat in zip(areas, heats, strict=True):
            name = f"vma-{len(self.vmas)}"
            touches = (heat * seconds[:, None]).sum(axis=0) / (area.size // self._page)
            self.comments["vmas", len(self.vmas)] = [
                (
                    f"{area.low:#x}-{area.high:#x}, as far as DAMON's regions go: there can be "
                    "gaps in it."
                ),
            ]
            self.vmas.append(
                Vma(name=name, size=area.high - area.low, misalign=area.low % self._pmd)
            )
            for first, last in _extents(touches >= 0.5, max(1, self._pmd // area.size)):
                offset = first * area.size
                length = min(last * area.size, area.high - area.low) - offset
                self.comments["phases", len(self.phases)] = [
                    "It was there before the recording started (likely)."
                ]
                self.phases.append(
                    Phase(
                        pattern=Pattern.SEQUENTIAL,
                        vma=name,
                        offset=offset,
                        length=length,
                        touches=max(1, length // self._page),
                    )
                )

    def _window(
        self, areas: Sequence[_Area], means: Sequence[Floats], length: int, count: int
    ) -> None:
        """The phases of a time in which the heat stayed the same, areas taking turns."""
        sums = [float(mean.sum()) for mean in means]
        kept = [index for index, total in enumerate(sums) if total >= _LEAST * sum(sums) > 0]
        if not kept:
            self.phases.append(Phase(pattern=Pattern.SLEEP, duration=_whole(length)))
            return
        rate = sum(sums[index] for index in kept)
        turns = 1
        if len(kept) > 1:
            room = _MOST_PHASES // (count * len(kept))
            turns = max(1, min(room, length // SECOND))
        for turn in range(turns):
            for index in kept:
                shape = shape_of(means[index])
                assert shape is not None
                duration = _whole(length / turns * sums[index] / rate)
                if turn == 0:
                    self.comments["phases", len(self.phases)] = [
                        _note(shape, sums[index], len(kept))
                    ]
                self.phases.append(self._phase(areas[index], index, shape, duration, rate))

    def _phase(self, area: _Area, index: int, shape: Shape, duration: int, rate: float) -> Phase:
        offset = shape.first * area.size
        phase = Phase(
            pattern=shape.pattern,
            vma=self.vmas[index].name,
            offset=offset,
            length=min(shape.last * area.size, area.high - area.low) - offset,
            duration=duration,
            rate=float(f"{min(rate, _FASTEST):.4g}"),
            threads=max(1, round(rate / _THREAD + 0.5)),
        )
        match shape.pattern:
            case Pattern.HOTSET:
                hot, share = round(shape.hot, 4), round(shape.share, 4)
                return replace(phase, hot_size=hot, hot_share=share)
            case Pattern.ZIPF:
                return replace(phase, exponent=shape.exponent)
            case _:
                return phase


def _note(shape: Shape, rate: float, areas: int) -> str:
    parts = [f"About {rate:,.0f} touches/s"]
    if areas > 1:
        parts.append(f"one of {areas} areas that were accessed at the same time, in turns here")
    if shape.moved:
        parts.append("the hot part lies elsewhere in the range, of the same size")
    return f"{'; '.join(parts)} ({shape.sure})."


def _blocks(target: _Target) -> list[tuple[int, int]]:
    """Snapshots in blocks of at least a second, at most _BLOCKS of them."""
    span = target.times[-1][1] - target.span(0)[0]
    wanted = max(1, min(_BLOCKS, span // SECOND, len(target.times)))
    edges = np.linspace(0, len(target.times), wanted + 1).astype(int).tolist()
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _areas(target: _Target) -> list[tuple[int, int]]:
    """Ranges that regions cover without gaps, over all snapshots.

    Of larger ones than _RESERVED, which are mostly reserved, only what was accessed.
    """
    chains: list[tuple[int, int]] = []
    accessed: list[tuple[int, int]] = []
    for regions in target.regions:
        chains += _chains(regions)
        accessed += _chains(regions[regions[:, 2] > 0])
        if len(chains) + len(accessed) > 8192:
            chains, accessed = _united(chains), _united(accessed)
    areas: list[tuple[int, int]] = []
    for low, high in _united(chains):
        if high - low <= _RESERVED:
            areas.append((low, high))
        else:
            inside = [(start, end) for start, end in accessed if low <= start < high]
            areas += _united(inside, _RESERVED // 64)
    return areas


def _chains(regions: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> list[tuple[int, int]]:
    """Runs of regions that touch, of one snapshot."""
    if not len(regions):
        return []
    breaks = np.flatnonzero(regions[1:, 0] > regions[:-1, 1])
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(regions) - 1]))
    return [(int(regions[a, 0]), int(regions[b, 1])) for a, b in zip(firsts, lasts, strict=True)]


def _united(ranges: Iterable[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    """The ranges in order, those as one that overlap or are at most `gap` apart."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if result and start <= result[-1][1] + gap:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def _spread(
    regions: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    edges: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> Floats:
    """The accesses of regions in bins, each by how much of the bin the region covers."""
    bounds = np.concatenate((regions[:, :2].ravel(), edges))
    points = np.unique(np.clip(bounds, edges[0], edges[-1]))
    middle = (points[:-1] + points[1:]) // 2
    index = np.searchsorted(regions[:, 0], middle, "right") - 1
    covered = (index >= 0) & (middle < regions[np.maximum(index, 0), 1])
    accesses = np.where(covered, regions[np.maximum(index, 0), 2], 0)
    bins = np.searchsorted(edges, middle, "right") - 1
    sums = np.bincount(bins, accesses * np.diff(points), len(edges) - 1)
    return sums / np.diff(edges)


def _extents(warm: np.ndarray[tuple[int], np.dtype[np.bool_]], gap: int) -> list[tuple[int, int]]:
    """Runs of warm bins, gaps of up to `gap` bins included, at most _MOST_FILLS of them."""
    at = np.flatnonzero(warm)
    if not len(at):
        return []
    while True:
        breaks = np.flatnonzero(np.diff(at) > gap)
        if len(breaks) < _MOST_FILLS:
            firsts = np.concatenate(([at[0]], at[breaks + 1]))
            lasts = np.concatenate((at[breaks], [at[-1]]))
            return [(int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True)]
        gap *= 2


def _whole(duration: float) -> int:
    """Whole milliseconds, at least one."""
    return max(1, round(duration / MILLISECOND)) * MILLISECOND
