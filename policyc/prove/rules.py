"""Whether a rule decides anything, looked for with questions that are small.

The solver is asked about a rule alone. Where an example of it is answered by an earlier rule, it
is asked again with that rule excluded, and so on: most rules compete with few others, however
long the policy is. An example counts only if the reference evaluator has the rule fire and gives
another answer without it; that a rule is never reached counts because it holds already of
some of the earlier rules. Whatever is left has to be asked about the policy as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, evaluate
from policyc.prove import terms as t
from policyc.prove.encode import BlockTerms, Encoding
from policyc.prove.inputs import Inputs
from policyc.prove.questions import Questions
from policyc.prove.witness import DEEPEST, Witness, every_order, request_of, witness

if TYPE_CHECKING:
    from policyc.runtime.decisions import Decision
    from policyc.runtime.request import Request
    from policyc.runtime.state import State as PolicyState

__all__ = ["LONG", "Fate", "RuleSearch"]

#: With more rules than this it pays to have the policy as Python, which tells which rule fires,
#: and to prove of any answer what is claimed of its answers.
LONG = 60

#: So many examples of one kind are looked at.
_EXAMPLES = 12

#: What takes longer is not small, and left to the solver that knows all of the policy.
_SECONDS = 1.0

#: So many later rules are tried as what would answer without the rule.
_SUCCESSORS = 4


@dataclass(frozen=True, slots=True)
class Fate:
    """What was found out about a rule.

    `decides`: there is a request that is answered otherwise without it. `reached`: it fires for
    some request. `behind` are places of earlier rules of its block that keep every request
    from it (none if its own condition does), or None where that is not known.
    """

    decides: bool = False
    reached: bool = False
    behind: tuple[int, ...] | None = None


class RuleSearch:
    """Looks for examples in which rules of one hook decide."""

    def __init__(self, plan: n.Plan, inputs: Inputs, encoding: Encoding, seconds: float) -> None:
        self.plan = plan
        self.inputs = inputs
        self.encoding = encoding
        self.hook = encoding.hook
        #: A solver of its own, which does not carry what is asked about the whole policy.
        self.questions = Questions(inputs.constraints, min(seconds, _SECONDS))
        rules = sum(len(block.rules) for block in self.hook.blocks)
        self._fast = _Fast(plan) if rules > LONG else None

    def fate(self, block: BlockTerms, place: int) -> Fate:
        """What becomes of a rule, as far as small questions tell."""
        with self.questions.given(block.applies, block.holds[place]):
            return _Rule(self, block, place).fate()

    def fired(self, example: Witness, block: n.Block) -> int | None:
        """The index of the rule that fires in a block."""
        if self._fast is not None:
            return self._fast.fired(example)[block.index]
        rule = self.outcome(self.hook, example).fired[block.index]
        return None if rule is None else rule.index

    def outcome(self, hook: n.HookPlan, example: Witness) -> Outcome:
        """The reference evaluator's answer, perhaps with other blocks than the policy's."""
        state = self.inputs.state_of(self.plan, example.state)
        return evaluate(self.plan, hook, example.values, state)


class _Fast:
    """The policy as Python, for the one thing that is needed of it."""

    def __init__(self, plan: n.Plan) -> None:
        from policyc.emit.python import loaded_module

        module = loaded_module(plan)
        self._decide: Callable[[Request], Decision] = module["decide"]
        self._policy_state: PolicyState = module["state"]
        self._state: State | None = None

    def fired(self, example: Witness) -> list[int | None]:
        """The index of the rule that fires in each block."""
        if example.state != self._state:
            for name, members in example.state.sets.items():
                self._policy_state.sets[name].replace(members)
            for name, value in example.state.params.items():
                self._policy_state.params[name] = value
            self._state = example.state
        decision = self._decide(request_of(example))
        return [None if rule is None else rule.index for rule in decision.fired]


_Found = Literal["decides", "same", "no", "unknown"]


class _Rule:
    """One rule. The solver has been given that its block applies and its condition holds."""

    def __init__(self, search: RuleSearch, block: BlockTerms, place: int) -> None:
        self.search = search
        self.block = block
        self.place = place
        self.rule = block.block.rules[place]
        self.places = {rule.index: index for index, rule in enumerate(block.block.rules)}
        self.behind: list[int] = []
        self.reached = False
        later = replace(block.block, rules=block.block.rules[place + 1 :])
        hook = search.hook
        blocks = tuple(later if b.index == later.index else b for b in hook.blocks)
        #: What would answer the requests for which the rule fires.
        self.without = replace(hook, blocks=blocks)

    def fate(self) -> Fate:
        """Look for an example of the usual kind, then of any, then of one for each successor."""
        inputs = self.search.inputs
        usual = [t.at_most(inputs.depth, DEEPEST)]
        if inputs.hook is n.HookName.THP:
            usual.append(t.equal(inputs.requested, every_order(self.search.plan.target)))
        found = self._look(usual)
        if found == "no" and not self.reached:
            found = self._look(())
            if found == "no" and not self.reached:
                return Fate(behind=tuple(sorted(self.behind)))
        for hints in self._successors() if self.reached and found != "unknown" else ():
            if found == "decides":
                break
            found = self._look([*usual, *hints])
        return Fate(found == "decides", self.reached)

    def _look(self, hints: Sequence[t.Bool]) -> _Found:
        """Look for an example for which the hints hold."""
        questions, holds = self.search.questions, self.block.holds
        earlier = (t.negation(holds[place]) for place in self.behind)
        with questions.given(*earlier, *hints):
            for _ in range(_EXAMPLES):
                found = questions.ask()
                if found != "yes":
                    return found
                found, instead = self._judged()
                if instead is None:
                    return found
                # Another rule answers this example, or would: the next is to be none of its.
                questions.assume(t.negation(holds[instead]))
        return "unknown"

    def _judged(self) -> tuple[_Found, int | None]:
        """What the example shows; and the place of the rule that is in the way, if one is."""
        search = self.search
        example = witness(search.inputs, search.questions)
        if example is None:
            return "unknown", None
        fired = search.fired(example, self.block.block)
        if fired == self.rule.index:
            return self._decides(example)
        place = None if fired is None else self.places.get(fired)
        if place is None or place > self.place or place in self.behind:
            return "unknown", None
        self.behind.append(place)
        return "same", place

    def _decides(self, example: Witness) -> tuple[_Found, int | None]:
        """Whether the rule decides an example; if not, the later rule that says the same."""
        index = self.block.block.index
        with_it = self.search.outcome(self.search.hook, example)
        if with_it.fired[index] is not self.rule:
            return "unknown", None
        self.reached = True
        if self.rule.condition is None:
            return "decides", None
        without = self.search.outcome(self.without, example)
        if any(
            getattr(with_it, part) != getattr(without, part)
            for part in ("orders", "on", "hot_threshold")
        ):
            return "decides", None
        following = without.fired[index]
        if following is None or following.condition is None:
            return "same", None
        return "same", self.places[following.index]

    def _successors(self) -> Iterator[list[t.Bool]]:
        """Hints for examples that a later rule, which says something else, would answer."""
        rules, encoding = self.block.block.rules, self.search.encoding
        places = [len(rules) - 1, *range(self.place + 1, len(rules) - 1)]
        places = [place for place in places if rules[place].action != self.rule.action]
        says = encoding.says(self.rule.action)
        requested = self.search.inputs.requested
        outside = [
            t.negation(other.applies)
            for other in encoding.blocks
            if other is not self.block and other.block.scope is not None
        ]
        for place in places[:_SUCCESSORS]:
            other = encoding.says(rules[place].action)
            if self.search.hook.hook is n.HookName.THP:
                orders = (t.both(item.orders, requested) for item in (says, other))
                differs = t.negation(t.equal(*orders))
            else:
                differs = t.negation(t.same(says.on, other.on))
            hints = [self.block.holds[place], differs]
            if outside:
                yield [*hints, *outside]
            yield hints
