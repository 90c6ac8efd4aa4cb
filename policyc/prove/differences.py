"""Where two policies answer differently, or that they never do.

Sets and parameters that both of them have are the same for both, whatever is in them; others
are as declared. If they agree then, but do not start with the same state, they are
compared once more as they are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.encode import effective_orders, raw_answer
from policyc.plan.evaluate import Outcome
from policyc.plan.promises import first_state
from policyc.prove import kernels
from policyc.prove import terms as t
from policyc.prove.encode import Encoding
from policyc.prove.inputs import Inputs
from policyc.prove.questions import Questions
from policyc.prove.witness import Witness, replayed, wishes, witness

__all__ = ["Comparison", "Difference", "ProfileComparison", "compare"]

Verdict = Literal["equivalent", "differ", "unknown"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A request that two policies answer differently, with both answers."""

    witness: Witness
    old: Outcome
    new: Outcome


@dataclass(frozen=True, slots=True)
class ProfileComparison:
    """The same question about the orders that a kernel goes on with.

    The difference is the smallest request for which they are not the same.
    """

    profile: Profile
    verdict: Verdict
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of a hook.

    Each of `differences` is the smallest of its pair of rules; `complete` says whether there
    are no other pairs. `loaded` says that the two differ only in the state that they start
    with. `profiles` are compared in the state in which the differences were looked for.
    """

    hook: n.HookName
    verdict: Verdict
    differences: tuple[Difference, ...]
    complete: bool
    loaded: bool
    profiles: tuple[ProfileComparison, ...]


def compare(
    old: n.Plan,
    new: n.Plan,
    hook: n.HookName,
    profiles: Sequence[Profile],
    seconds: float,
    *,
    every: bool = False,
) -> Comparison:
    """Compare the answers of one hook; `every` looks for a difference of each pair of rules.

    Nothing is asked of the solver where the plans are the same.
    """
    if replace(old, file=new.file) == new:
        same = tuple(ProfileComparison(profile, "equivalent") for profile in profiles)
        return Comparison(hook, "equivalent", (), every, False, same)
    found = _Comparer(old, new, hook, seconds, free=True).comparison(profiles, every=every)
    if found.verdict != "equivalent" or not _start_differently(old, new):
        return found
    loaded = _Comparer(old, new, hook, seconds, free=False).comparison(profiles, every=every)
    return found if loaded.verdict == "equivalent" else loaded


def _start_differently(old: n.Plan, new: n.Plan) -> bool:
    """Whether a set or a parameter that both have is not the same in both at first."""
    before, after = first_state(old), first_state(new)
    return any(
        name in other and other[name] != value
        for one, other in ((before.sets, after.sets), (before.params, after.params))
        for name, value in one.items()
    )


class _Comparer:
    def __init__(
        self, old: n.Plan, new: n.Plan, hook: n.HookName, seconds: float, *, free: bool
    ) -> None:
        self.old, self.new, self.hook, self.free = old, new, hook, free
        self.inputs = Inputs([old, new], hook, free=free)
        self.encodings = tuple(Encoding(plan, self.inputs) for plan in (old, new))
        self.answers = tuple(encoding.answer() for encoding in self.encodings)
        self.questions = Questions(self.inputs.constraints, seconds)

    def comparison(self, profiles: Sequence[Profile], *, every: bool) -> Comparison:
        """Compare meanings, then what each kernel makes of them."""
        before, after = self.answers
        differs = before.differs(after)
        found: list[Difference] = []
        blocked: list[t.Bool] = []
        while True:
            verdict, difference = self._smallest(differs, *blocked)
            if difference is None:
                break
            if not _answers_differ(difference):
                # The solver and the evaluator do not agree: nothing is known.
                verdict = "unknown"
                break
            found.append(difference)
            if every:
                blocked.append(t.negation(self._decided_by(difference)))
            if not every:
                break
        complete = every and verdict == "equivalent"
        whole: Verdict = "differ" if found else verdict
        first = found[0] if found else None
        return Comparison(
            self.hook,
            whole,
            tuple(found),
            complete,
            not self.free,
            tuple(self._profile(profile, whole, first) for profile in profiles),
        )

    def _decided_by(self, found: Difference) -> t.Bool:
        """Whether the same two rules give the answers."""
        decided = [encoding.decided_by() for encoding in self.encodings]
        pairs = zip(decided, (found.old, found.new), strict=True)
        return t.all_of(t.equal(term, _index(outcome)) for term, outcome in pairs)

    def _smallest(self, *facts: t.Bool) -> tuple[Verdict, Difference | None]:
        found = self.questions.smallest(lambda: wishes(self.inputs), *facts)
        if found != "yes":
            return ("equivalent" if found == "no" else "unknown"), None
        example = witness(self.inputs, self.questions)
        if example is None:
            return "unknown", None
        outcomes = [replayed(plan, example, self.inputs) for plan in (self.old, self.new)]
        return "differ", Difference(example, *outcomes)

    def _profile(
        self, profile: Profile, meaning: Verdict, first: Difference | None
    ) -> ProfileComparison:
        if self.hook is n.HookName.NUMA:
            return ProfileComparison(profile, meaning, first)
        if first is not None and _kernels_differ(profile, first):
            return ProfileComparison(profile, "differ", first)
        requested = self.inputs.requested
        used = [
            kernels.effective(profile, kernels.raw(profile, answer, requested), requested)
            for answer in self.answers
        ]
        verdict, difference = self._smallest(t.negation(t.equal(*used)))
        if difference is not None and not _kernels_differ(profile, difference):
            return ProfileComparison(profile, "unknown")
        return ProfileComparison(profile, verdict, difference)


def _index(outcome: Outcome) -> int:
    return 0 if outcome.decided_by is None else outcome.decided_by.index + 1


def _answers_differ(found: Difference) -> bool:
    return any(
        getattr(found.old, part) != getattr(found.new, part)
        for part in ("orders", "on", "hot_threshold")
    )


def _kernels_differ(profile: Profile, found: Difference) -> bool:
    requested = int(found.witness.values.get("orders") or 0)
    old, new = (
        effective_orders(profile, raw_answer(profile, outcome, requested), requested)
        for outcome in (found.old, found.new)
    )
    return old != new
