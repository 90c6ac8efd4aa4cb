"""From a failure to the smallest one that still fails, and to what a person needs to see of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random

from policyc.plan.evaluate import State
from policyc.syntax import tree as t
from tests.differential.compare import (
    Lane,
    LaneFactory,
    Mismatch,
    Question,
    Verdict,
    checked_plan,
    mismatches,
    optional_attributes,
    plan_of,
    verdicts_on,
)
from tests.strategies.policies import Generated, policy_of_seed
from tests.strategies.requests import Request, World, first_state
from tests.strategies.shrink import shrink

__all__ = ["Failure", "find_failure", "smallest_failure"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A policy and a question to it that lanes answer differently."""

    text: str
    question: Question
    verdicts: dict[str, Verdict]

    def __str__(self) -> str:
        request, state = self.question.request, self.question.state
        lines = [
            "the executors disagree",
            "",
            self.text,
            f"hook:     {self.question.hook.hook.value}",
            f"request:  {request.values}",
            f"averages: {request.averages}",
            f"tail:     {request.tail!r}",
            f"sets:     { {name: sorted(map(repr, m)) for name, m in state.sets.items()} }",
            f"params:   {dict(state.params)}",
            *(f"{name + ':':18}{verdict}" for name, verdict in self.verdicts.items()),
        ]
        return "\n".join(lines)


def find_failure(seed: int, count: int, factories: Sequence[LaneFactory]) -> Failure | None:
    """The first failure of the policy of a seed, as it was found."""
    return _failure(policy_of_seed(seed), seed, count, factories)


def smallest_failure(
    seed: int, count: int, factories: Sequence[LaneFactory], *, seconds: float = 60
) -> Failure | None:
    """The failure of a seed, made smaller for as long as that; None if there is none."""
    generated = policy_of_seed(seed)
    found = _failure(generated, seed, count, factories)
    if found is None:
        return None

    def fails(file: t.PolicyFile) -> bool:
        candidate = replace(generated, file=file)
        if plan_of(candidate) is None:
            return False
        return _failure(candidate, seed, count, factories) is not None

    file = shrink(generated.file, fails, deadline=time.monotonic() + seconds)
    return _failure(replace(generated, file=file), seed, count, factories) or found


def _failure(
    generated: Generated, seed: int, count: int, factories: Sequence[LaneFactory]
) -> Failure | None:
    text, plan = checked_plan(generated)
    world = World(plan, Random(seed))
    with ExitStack() as stack:
        lanes = [factory(plan, world, stack) for factory in factories]
        for mismatch in mismatches(plan, world, lanes, seed, count):
            question = _simplest(mismatch, first_state(plan), lanes)
            return Failure(text, question, verdicts_on(question, lanes))
    return None


def _simplest(mismatch: Mismatch, first: State, lanes: Sequence[Lane]) -> Question:
    """The question with as much left out as can be without the lanes agreeing."""

    def differs(question: Question) -> bool:
        verdicts = [*verdicts_on(question, lanes).values()]
        return not all(verdicts[0].agrees(other) for other in verdicts[1:])

    question, going = mismatch.question, True
    while going:
        going = False
        for simpler in _simpler(question, first):
            if differs(simpler):
                question, going = simpler, True
                break
    return question


def _simpler(question: Question, first: State) -> Iterator[Question]:
    """The same question with one thing less in it."""
    request = question.request
    if question.state != first:
        yield replace(question, state=first)
    if request.tail:
        yield replace(question, request=replace(request, tail=b""))
    for name, value in request.values.items():
        if value is not None and name in optional_attributes():
            yield replace(question, request=_without(request, name))
        elif isinstance(value, int) and value and name not in request.averages:
            values = {**request.values, name: type(value)(0)}
            yield replace(question, request=replace(request, values=values))


def _without(request: Request, name: str) -> Request:
    values = {**request.values, name: None}
    if name == "cgroup":
        values["cgroup.id"] = None
    averages = {key: value for key, value in request.averages.items() if key != name}
    return replace(request, values=values, averages=averages)
