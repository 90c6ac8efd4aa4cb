"""Asks the reference evaluator what a recording program was asked in the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from policyc.emit.records import Record, Recorded, RecordLayout, record_layout, unpack_record
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.encode import raw_answer
from policyc.plan.evaluate import State, Values, ancestors, evaluate
from policyc.plan.types import U64_MAX

__all__ = ["Answer", "Replay", "Result"]

#: With more values that changed while the program decided, not all combinations are tried.
_MOST_CHANGES = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program told of a decision, or what the evaluator says it should have."""

    raw: int
    value: int
    opinion: bool
    hot_threshold: int | None
    fired: tuple[int | None, ...]


@dataclass(slots=True)
class Result:
    """How a replay went.

    `settled` decisions had one request; in `changed` ones a value was another after the
    decision than before. `wrong` are those that the request does not explain.
    """

    settled: int = 0
    changed: int = 0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def decisions(self) -> int:
        """All decisions."""
        return self.settled + self.changed


@dataclass(frozen=True, slots=True)
class Replay:
    """A policy in a state; `paths` are those of the cgroups by id, as the policy calls them."""

    plan: n.Plan
    hook: n.HookPlan
    profile: Profile
    state: State
    paths: Mapping[int, str]

    @property
    def layout(self) -> RecordLayout:
        """How the records are laid out."""
        return record_layout(self.plan, self.hook)

    def records(self, data: Iterable[bytes]) -> Iterator[Record]:
        """The decisions in the records of a ring buffer."""
        layout = self.layout
        return (unpack_record(layout, item) for item in data)

    def check(self, records: Iterable[Record], result: Result | None = None) -> Result:
        """Compare the decisions with what the policy means."""
        result = result or Result()
        for record in records:
            if record.before is record.after or record.before == record.after:
                result.settled += 1
            else:
                result.changed += 1
            wrong = self.problem(record)
            if wrong:
                result.wrong.append(wrong)
        return result

    def problem(self, record: Record) -> str:
        """What is wrong with a decision, empty if nothing is."""
        given = _given(record)
        for request in _requests(record):
            misplaced = self._misplaced(request.lineage)
            if misplaced:
                return f"decision {record.sequence}: {misplaced}"
            if self.expected(request) == given:
                return ""
        expected = self.expected(record.before)
        values = self.values(record.before)
        return f"decision {record.sequence}: {given} instead of {expected} for {values}"

    def expected(self, request: Recorded) -> Answer:
        """What the policy means for a request."""
        values = self.values(request)
        outcome = evaluate(self.plan, self.hook, values, self.state)
        thp = self.hook.hook is n.HookName.THP
        requested = int(values["orders"] or 0) if thp else 0
        return Answer(
            raw_answer(self.profile, outcome, requested) & U64_MAX,
            outcome.orders if thp else int(outcome.on),
            bool(outcome.opinions),
            outcome.hot_threshold,
            tuple(None if rule is None else rule.index for rule in outcome.fired),
        )

    def values(self, request: Recorded) -> Values:
        """A request as the evaluator takes it."""
        if not request.lineage:
            return request.values
        own = request.lineage[0]
        return {**request.values, "cgroup": self.path(request.lineage), "cgroup.id": own}

    def path(self, lineage: tuple[int, ...]) -> str:
        """The path of a cgroup; one that nobody knows is named after the ids."""
        known = self.paths.get(lineage[0])
        if known is not None:
            return known
        if len(lineage) == 1:
            return "/"
        return f"{self.path(lineage[1:]).rstrip('/')}/{lineage[0]}"

    def _misplaced(self, lineage: tuple[int, ...]) -> str:
        """Whether the ids on the way to the root are those of the path's ancestors."""
        if not lineage:
            return ""
        own = self.path(lineage)
        expected = ancestors(own)[: len(lineage)]
        found = [self.path(lineage[place:]) for place in range(len(expected))]
        return "" if found == expected else f"{own} is below {found[1:]}, not {expected[1:]}"


def _given(record: Record) -> Answer:
    return Answer(
        record.raw & U64_MAX, record.value, record.opinion, record.hot_threshold, record.fired
    )


def _requests(record: Record) -> Iterator[Recorded]:
    """The requests that the program may have seen, the most likely first."""
    before, after = record.before, record.after
    yield before
    if after == before:
        return
    yield after
    names = [
        name
        for name in before.values.keys() | after.values.keys()
        if before.values.get(name) != after.values.get(name)
    ]
    if len(names) > _MOST_CHANGES:
        return
    for chosen in product((before.values, after.values), repeat=len(names)):
        values = {k: v for k, v in before.values.items() if k not in names}
        sources = zip(names, chosen, strict=True)
        values |= {name: source[name] for name, source in sources if name in source}
        yield replace(before, values=values)
        if after.lineage != before.lineage:
            yield replace(after, values=values)
