"""Whether a policy is good for a workload, in a few lines that need no manual."""

from __future__ import annotations

from collections.abc import Sequence

from policyc.simulate.figures import FIGURES, throughput
from policyc.simulate.report.columns import Column, Report
from policyc.simulate.results import Figures
from policyc.simulate.spelling import spell_bytes, spell_seconds

__all__ = ["verdict"]

#: Differences up to half a percent are none: the model is not better than that.
_SAME = 0.005

#: The baselines that tell most, those to be compared with first.
_TELLING = ("always", "never", "madvise", "numab1", "numab0", "numab2", "kmmscand")

#: Latencies are only worth a word if they differ by a tenth, pressure by a point.
_NOTICEABLE, _POINT = 1.10, 1.0


def verdict(report: Report) -> tuple[str, ...]:
    """A line that judges and lines that compare; none where there is nothing to compare."""
    baselines = report.baselines
    if not report.policies:
        return _among(baselines)
    policy = report.policies[0]
    # Of a sweep of the workload, only the baselines of the same values are comparable.
    comparable = [each for each in baselines if set(each.setting) <= set(policy.setting)]
    if not comparable:
        return (f"{policy.title}: {_alone(policy)}",)
    lines = [_judgement(policy, comparable)]
    for each in sorted(comparable, key=_telling)[:2]:
        lines.append(f"compared with {each.baseline}: {_compared(policy, each)}")
    return tuple(lines)


def _telling(column: Column) -> int:
    name = column.baseline
    return _TELLING.index(name) if name in _TELLING else len(_TELLING)


def _memory(column: Column) -> float:
    """Memory on average over time, which also tells of processes that have ended."""
    return column.mean(FIGURES["memory_mean_bytes"].read) or column.mean(_end)


def _end(figures: Figures) -> float:
    return figures.memory_bytes


def _speed(column: Column) -> float:
    return column.mean(throughput)


def _killed(column: Column) -> float:
    return column.mean(FIGURES["oom_kill"].read)


def _change(ours: float, theirs: float) -> float:
    """How much more ours is, as a share of theirs; 0 for what counts as the same."""
    if ours == theirs:
        return 0.0
    change = ours / theirs - 1 if theirs else 1.0
    return 0.0 if abs(change) < _SAME else change


def _judgement(policy: Column, baselines: Sequence[Column]) -> str:
    least = min(baselines, key=_killed)
    if _killed(policy) > _killed(least):
        return f"Bad: {_kills(policy)}, but {_kills(least)} with {least.baseline}."
    fit = [each for each in baselines if _killed(each) <= _killed(policy)]
    changes = {
        each.baseline: (
            _change(_memory(policy), _memory(each)),
            _change(_speed(policy), _speed(each)),
        )
        for each in fit
    }
    for name, (memory, speed) in changes.items():
        if memory >= 0 and speed <= 0 and (memory, speed) != (0, 0):
            other = _sides(-memory / (1 + memory), -speed / (1 + speed) if speed > -1 else 1)
            return f"Not good here: stock {name} does better, with {other}."
    better = [name for name, (memory, speed) in changes.items() if (memory, speed) != (0, 0)]
    same = [name for name in changes if name not in better]
    if same:
        return f"No difference: memory and speed are those of stock {_listed(same)}."
    killing = [each.baseline for each in baselines if each not in fit]
    kept = f" With stock {_listed(killing)} the OOM killer strikes." if killing else ""
    if all(memory <= 0 and speed >= 0 for memory, speed in changes.values()):
        return f"Good: no stock setting takes less memory or is faster.{kept}"
    return f"A trade-off: {_trade(changes)}.{kept}"


def _trade(changes: dict[str, tuple[float, float]]) -> str:
    """The nearest alternatives: what is faster but larger, and what is smaller but slower."""
    parts: list[str] = []
    faster = {name: each for name, each in changes.items() if each[1] < 0}
    smaller = {name: each for name, each in changes.items() if each[0] > 0}
    if faster:
        name = min(faster, key=lambda each: faster[each][1])
        memory, speed = faster[name]
        parts.append(
            f"{_percent(-memory)} less memory than {name}, which is the fastest, but "
            f"{_percent(-speed)} slower"
        )
    if smaller:
        name = max(smaller, key=lambda each: smaller[each][0])
        memory, speed = smaller[name]
        parts.append(
            f"{_percent(speed)} faster than {name}, which is the smallest, but "
            f"{_percent(memory)} more memory"
        )
    return "; ".join(parts)


def _compared(policy: Column, other: Column) -> str:
    memory = _change(_memory(policy), _memory(other))
    speed = _change(_speed(policy), _speed(other))
    parts = [_sides(memory, speed)]
    for name, what in (("access_p99_seconds", "accesses"), ("fault_p99_seconds", "page faults")):
        ours, theirs = (each.mean(FIGURES[name].read) for each in (policy, other))
        if ours and theirs and max(ours / theirs, theirs / ours) >= _NOTICEABLE:
            parts.append(f"p99 of {what} {spell_seconds(ours)} instead of {spell_seconds(theirs)}")
    ours, theirs = (each.mean(FIGURES["pressure_some"].read) for each in (policy, other))
    if abs(ours - theirs) >= _POINT:
        parts.append(f"pressure {ours:.1f}% instead of {theirs:.1f}%")
    parts.append(_kills(policy) + (f" instead of {_number(other)}" if _killed(other) else ""))
    return ", ".join(parts)


def _sides(memory: float, speed: float) -> str:
    taken = f"{_percent(memory)} {'more' if memory > 0 else 'less'}" if memory else "the same"
    quick = f"{_percent(speed)} {'faster' if speed > 0 else 'slower'}" if speed else "as fast"
    return f"{taken} memory, {quick}"


def _kills(column: Column) -> str:
    killed = _killed(column)
    return f"{killed:g} OOM kill{'' if killed == 1 else 's'}" if killed else "no OOM kill"


def _number(column: Column) -> str:
    return f"{_killed(column):g}"


def _percent(share: float) -> str:
    return f"{100 * abs(share):.1f}%"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _alone(column: Column) -> str:
    return (
        f"{spell_bytes(_memory(column))} of memory on average, "
        f"run time {spell_seconds(column.mean(FIGURES['run_seconds'].read))}, {_kills(column)}"
    )


def _among(baselines: Sequence[Column]) -> tuple[str, ...]:
    """Without a policy: the extremes of the baselines."""
    if len(baselines) < 2:
        return tuple(f"{each.title}: {_alone(each)}" for each in baselines)
    smallest, fastest = min(baselines, key=_memory), max(baselines, key=_speed)
    lines = [
        f"least memory: {smallest.title}, {_alone(smallest)}",
        f"fastest: {fastest.title}, {_alone(fastest)}",
    ]
    killing = [f"{each.title} ({_number(each)})" for each in baselines if _killed(each)]
    lines.append(f"OOM kills: {', '.join(killing) if killing else 'none'}")
    return tuple(lines)
