"""Puts what was seen of a process in an order: phases, and pauses between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policyc.simulate.workload.segments import Segment, draws
from policyc.simulate.workload.specification import MICROSECOND, MILLISECOND, SECOND, Pattern, Phase

__all__ = ["Step", "phases_of"]

#: More phases of a process are put together, the smallest first.
MOST_PHASES = 64
#: A pause worth a phase.
_PAUSE = 10 * MILLISECOND
#: Faults that follow each other faster than this come as fast as they can.
_BUSY = 10 * MICROSECOND
_TOUCHING = frozenset({Pattern.SEQUENTIAL, Pattern.STRIDE, Pattern.UNIFORM})


@dataclass(frozen=True, slots=True)
class Step:
    """A segment in a VMA that starts at address `base`; for FORK its `duration`."""

    segment: Segment
    vma: str
    base: int
    page_size: int
    writes_known: bool
    duration: int | None = None


def phases_of(
    steps: Sequence[Step], *, start: int, ended: int | None
) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """The phases of a process from time `start` on, and a comment on each ("": none).

    A process that ended while it was recorded (`ended`) exits at the end.
    """
    ordered = sorted(steps, key=lambda step: (step.segment.began, step.vma, step.segment.start))
    phases: list[Phase] = []
    notes: list[str] = []
    now = start
    for group in _groups(_fewer(ordered)):
        began = group[0].segment.began
        until = max(step.segment.ended for step in group)
        if began - now >= _PAUSE:
            phases.append(Phase(pattern=Pattern.SLEEP, duration=began - now))
            notes.append("")
        touches = sum(step.segment.touches for step in group)
        rate = _rate(touches, until - began)
        for step in group:
            phases.append(_phase(step, rate))
            notes.append(_note(step, len(group)))
        now = max(now, until)
    if ended is not None:
        if ended - now >= _PAUSE:
            phases.append(Phase(pattern=Pattern.SLEEP, duration=ended - now))
            notes.append("")
        phases.append(Phase(pattern=Pattern.EXIT))
        notes.append("")
    return tuple(phases), tuple(notes)


def _groups(steps: Sequence[Step]) -> list[list[Step]]:
    """Steps that were under way at the same time: phases of a process follow each other."""
    groups: list[list[Step]] = []
    until = -1
    for step in steps:
        touching = step.segment.pattern in _TOUCHING
        before = groups[-1][-1].segment.pattern if groups else None
        if touching and before in _TOUCHING and step.segment.began < until:
            groups[-1].append(step)
        else:
            groups.append([step])
        until = max(until, step.segment.ended)
    return groups


def _rate(touches: int, duration: int) -> float | None:
    """Touches a second of what did not go as fast as it can."""
    if touches < 2 or duration / touches <= _BUSY:
        return None
    rate = (touches - 1) * SECOND / duration
    return float(f"{rate:.6g}")


def _phase(step: Step, rate: float | None) -> Phase:
    segment = step.segment
    if segment.pattern is Pattern.FORK:
        return Phase(pattern=Pattern.FORK, duration=step.duration)
    offset, length = segment.start - step.base, segment.end - segment.start
    if segment.pattern not in _TOUCHING:
        return Phase(pattern=segment.pattern, vma=step.vma, offset=offset, length=length)
    write = 1.0
    if step.writes_known and segment.faults:
        write = round(segment.writes / segment.faults, 4)
    phase = Phase(
        pattern=segment.pattern,
        vma=step.vma,
        offset=offset,
        length=length,
        touches=max(1, segment.touches),
        threads=max(1, len(segment.threads)),
        rate=rate,
        write=write,
    )
    if segment.pattern is Pattern.STRIDE:
        return replace(phase, stride=segment.stride)
    return phase


def _note(step: Step, together: int) -> str:
    segment = step.segment
    if segment.pattern not in _TOUCHING:
        return segment.note
    plural = "" if segment.faults == 1 else "s"
    parts = [
        f"{segment.faults:,} fault{plural} in {(segment.ended - segment.began) / SECOND:.6f} s"
    ]
    if segment.pattern is Pattern.UNIFORM:
        parts.append(f"which at random take about {segment.touches:,} touches")
    if segment.note:
        parts.append(segment.note)
    if together > 1:
        parts.append(f"one of {together} at the same time")
    return f"{'; '.join(parts)} ({segment.sure})."


def _fewer(steps: Sequence[Step]) -> list[Step]:
    """At most so many steps: small neighbours in time of a VMA become touches at random."""
    if len(steps) <= MOST_PHASES:
        return list(steps)
    touching = sorted(
        (step.segment.touches for step in steps if step.segment.pattern in _TOUCHING), reverse=True
    )
    least = touching[min(len(touching), MOST_PHASES // 3) - 1] if touching else 0
    result: list[Step] = []
    pending: dict[str, Step] = {}
    for step in steps:
        big = step.segment.pattern not in _TOUCHING or step.segment.touches >= least
        if big and len(result) < MOST_PHASES:
            result += pending.values()
            pending.clear()
            result.append(step)
        elif step.segment.pattern in _TOUCHING:
            before = pending.get(step.vma)
            pending[step.vma] = step if before is None else _merged(before, step)
    result += pending.values()
    return sorted(result, key=lambda step: step.segment.began)


def _merged(before: Step, step: Step) -> Step:
    """Two steps as one without an order, that finds as many pages."""
    one, other = before.segment, step.segment
    start, end = min(one.start, other.start), max(one.end, other.end)
    pages = (end - start) // before.page_size
    touches = one.touches + other.touches
    if one.pattern is not Pattern.UNIFORM or other.pattern is not Pattern.UNIFORM:
        touches = max(touches, draws(pages, 0, min(touches, pages)))
    return replace(
        before,
        segment=replace(
            one,
            pattern=Pattern.UNIFORM,
            start=start,
            end=end,
            ended=max(one.ended, other.ended),
            faults=one.faults + other.faults,
            touches=touches,
            stride=0,
            threads=one.threads | other.threads,
            writes=one.writes + other.writes,
            sure="a guess",
            note="several small phases put together",
        ),
    )
