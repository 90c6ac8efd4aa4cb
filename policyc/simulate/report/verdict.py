"""Whether a policy is good for a workload, in a few lines that need no manual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policyc.simulate.figures import FIGURES
from policyc.simulate.report.columns import SAME, Column, Report
from policyc.simulate.results import Figures
from policyc.simulate.spelling import spell_bytes, spell_seconds

__all__ = ["verdict"]

#: The baselines that tell most, those to be compared with first: of a policy with a thp
#: block, and of one that only balances.
_TELLING = ("always", "never", "madvise", "always+shrinker", "numab1", "numab0", "numab2")
_TELLING_NUMA = ("numab0", "numab1", "numab2", "kmmscand", "always", "never", "madvise")

#: Latencies are only worth a word if they differ by a tenth, pressure by a point.
_NOTICEABLE, _POINT = 1.10, 1.0

#: More names than this are only counted.
_MOST_NAMES = 3

#: A baseline that is better by less than this is no reason to call a policy bad.
_LITTLE = 0.03


@dataclass(frozen=True, slots=True)
class _Change:
    """How one run differs from another: shares of the other's, 0 for what is the same.

    `busy` says that the speed is that of busy time: the runs do the same work in the same
    time, and in one of them threads compute and wait less for it.
    """

    memory: float
    speed: float
    busy: bool

    @property
    def none(self) -> bool:
        return not self.memory and not self.speed

    def turned(self) -> _Change:
        """How the other differs from this one."""
        return _Change(_turned(self.memory), _turned(self.speed), self.busy)

    def __str__(self) -> str:
        return f"{self.taken}, {self.pace}"

    @property
    def taken(self) -> str:
        if not self.memory:
            return "the same memory"
        return f"{_percent(self.memory)} {'more' if self.memory > 0 else 'less'} memory"

    @property
    def pace(self) -> str:
        if not self.speed:
            return "as fast"
        if not self.busy:
            return f"{_percent(self.speed)} {'faster' if self.speed > 0 else 'slower'}"
        time = _turned(self.speed)
        return f"{_percent(time)} {'more' if time > 0 else 'less'} time for the same work"


def _turned(change: float) -> float:
    return -change / (1 + change) if change > -1 else 1.0


def verdict(report: Report) -> tuple[str, ...]:
    """A line that judges and lines that compare; none where there is nothing to compare."""
    return _Judge(report).lines()


class _Judge:
    """Compares the runs of a report by memory on average over time, and by speed."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._speed = report.speed()

    def lines(self) -> tuple[str, ...]:
        """See verdict."""
        baselines = self._report.baselines
        if not self._report.policies:
            return self._among(baselines)
        policy = self._report.policies[0]
        # Of a sweep of the workload, only the baselines of the same values are comparable.
        comparable = [each for each in baselines if set(each.setting) <= set(policy.setting)]
        if not comparable:
            return (f"{policy.title}: {self._alone(policy)}",)
        comparable.sort(key=lambda each: _telling(each, policy))
        telling = comparable[:2]
        several = len(self._report.policies) > 1
        return (
            (f"{policy.title}: " if several else "") + self._judgement(policy, comparable),
            *(f"compared with {x.baseline}: {self._compared(policy, x)}" for x in telling),
            *([self._swept(self._report.policies)] if several else []),
        )

    def _swept(self, policies: Sequence[Column]) -> str:
        """Which of the swept values is best at what."""
        smallest = min(policies, key=_memory)
        fastest = max(policies, key=lambda each: each.mean(self._speed.read))
        largest = max(policies, key=_memory)
        slowest = min(policies, key=lambda each: each.mean(self._speed.read))
        memory, speed = self._change(smallest, largest), self._change(fastest, slowest)
        if not memory.memory and not speed.speed:
            return "the swept values make no difference to memory and speed"
        parts: list[str] = []
        if memory.memory:
            parts.append(f"{memory.taken} with {smallest.title} than with {largest.title}")
        if speed.speed:
            parts.append(f"{speed.pace} with {fastest.title} than with {slowest.title}")
        return f"of the swept values: {'; '.join(parts)}"

    def _change(self, ours: Column, theirs: Column) -> _Change:
        speed, other = (each.mean(self._speed.read) for each in (ours, theirs))
        busy = self._speed.name == "work_rate"
        return _Change(_share(_memory(ours), _memory(theirs)), _share(speed, other), busy)

    def _judgement(self, policy: Column, baselines: Sequence[Column]) -> str:
        least = min(baselines, key=_killed)
        if _killed(policy) > _killed(least):
            return f"Bad: {_kills(policy)}, but {_kills(least)} with {least.baseline}."
        fit = [each for each in baselines if _killed(each) <= _killed(policy)]
        killing = [each.baseline for each in baselines if each not in fit]
        kept = f" With stock {_listed(killing)} the OOM killer strikes." if killing else ""
        changes = {each.baseline: self._change(policy, each) for each in fit}
        for name, change in changes.items():
            if change.memory >= 0 and change.speed <= 0 and not change.none:
                other = change.turned()
                if max(abs(other.memory), abs(other.speed)) < _LITTLE:
                    return f"No gain here: stock {name} has {other}.{kept}"
                return f"Not good here: stock {name} does better, with {other}.{kept}"
        same = [name for name, change in changes.items() if change.none]
        if same:
            return f"No difference: memory and speed are those of stock {_listed(same)}.{kept}"
        if all(change.memory <= 0 and change.speed >= 0 for change in changes.values()):
            return f"Good: no stock setting takes less memory or is faster.{kept}"
        return f"A trade-off: {self._trade(changes)}.{kept}"

    def _trade(self, changes: dict[str, _Change]) -> str:
        """The ends of what stock settings offer: what is faster, and what is smaller."""
        parts: list[str] = []
        faster = {name: each for name, each in changes.items() if each.speed < 0}
        smaller = {name: each for name, each in changes.items() if each.memory > 0}
        if faster:
            name = min(faster, key=lambda each: faster[each].speed)
            change = faster[name]
            parts.append(f"{change.taken} than stock {name}, but {change.pace}")
        if smaller:
            name = max(smaller, key=lambda each: smaller[each].memory)
            change = smaller[name]
            parts.append(f"{change.pace} than stock {name}, but {change.taken}")
        return "; ".join(parts)

    def _compared(self, policy: Column, other: Column) -> str:
        if _killed(policy) != _killed(other):
            # Who is killed uses no memory and does no work: the rest says nothing.
            return f"{_kills(policy)} instead of {_killed(other):g}"
        parts = [str(self._change(policy, other))]
        for name, what in (
            ("access_p99_seconds", "accesses"),
            ("fault_p99_seconds", "page faults"),
        ):
            ours, theirs = (each.mean(FIGURES[name].read) for each in (policy, other))
            if ours and theirs and max(ours / theirs, theirs / ours) >= _NOTICEABLE:
                times = f"{spell_seconds(ours)} instead of {spell_seconds(theirs)}"
                parts.append(f"p99 of {what} {times}")
        ours, theirs = (each.mean(FIGURES["pressure_some"].read) for each in (policy, other))
        if abs(ours - theirs) >= _POINT:
            parts.append(f"pressure {ours:.1f}% instead of {theirs:.1f}%")
        return ", ".join([*parts, _kills(policy)])

    def _among(self, baselines: Sequence[Column]) -> tuple[str, ...]:
        """Without a policy: the extremes of the baselines."""
        if len(baselines) < 2:
            return tuple(f"{each.title}: {self._alone(each)}" for each in baselines)
        smallest = min(baselines, key=_memory)
        fastest = max(baselines, key=lambda each: each.mean(self._speed.read))
        killing = [f"{each.title} ({_killed(each):g})" for each in baselines if _killed(each)]
        return (
            f"least memory: {smallest.title}, {self._alone(smallest)}",
            f"fastest: {fastest.title}, {self._alone(fastest)}",
            f"OOM kills: {', '.join(killing) if killing else 'none'}",
        )

    def _alone(self, column: Column) -> str:
        seconds = spell_seconds(column.mean(FIGURES["run_seconds"].read))
        return f"{spell_bytes(_memory(column))} on average, run time {seconds}, {_kills(column)}"


def _telling(column: Column, policy: Column) -> int:
    hooks = {rule.hook for rule in policy.first.rules}
    order = _TELLING_NUMA if hooks == {"numa"} else _TELLING
    name = column.baseline
    return order.index(name) if name in order else len(order)


def _memory(column: Column) -> float:
    """Memory on average over time, which also tells of processes that have ended."""
    return column.mean(FIGURES["memory_mean_bytes"].read) or column.mean(_end)


def _end(figures: Figures) -> float:
    return figures.memory_bytes


def _killed(column: Column) -> float:
    return column.mean(FIGURES["oom_kill"].read)


def _share(ours: float, theirs: float) -> float:
    """How much more ours is, as a share of theirs; 0 for what counts as the same."""
    if ours == theirs:
        return 0.0
    change = ours / theirs - 1 if theirs else 1.0
    return 0.0 if abs(change) < SAME else change


def _kills(column: Column) -> str:
    killed = _killed(column)
    return f"{killed:g} OOM kill{'' if killed == 1 else 's'}" if killed else "no OOM kill"


def _percent(share: float) -> str:
    return f"{100 * abs(share):.1f}%"


def _listed(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    if len(names) == 1:
        return names[0]
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"
