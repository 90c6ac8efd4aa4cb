"""What is claimed of a policy, each proved, refuted with a counterexample, or left unknown.

The properties of the policy come first, then what every policy promises: an answer is within
the request, every request is answered, every interface understands the answer and its kernel
uses no order that the policy does not allow, and every rule is reached and makes a difference.
All of it is for every request, every member of the sets and every value of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.cases import RESULT, RESULT_HOT_THRESHOLD, Property
from policyc.plan.encode import effective_orders, raw_answer
from policyc.plan.evaluate import Outcome
from policyc.plan.promises import property_holds
from policyc.prove import kernels
from policyc.prove import terms as t
from policyc.prove.encode import Answer, BlockTerms, Encoding
from policyc.prove.inputs import Inputs, Term
from policyc.prove.questions import Questions
from policyc.prove.rules import LONG, RuleSearch
from policyc.prove.witness import DEEPEST, Witness, replayed, wishes, witness

__all__ = ["Claim", "Subject", "Verdict", "claims"]

Verdict = Literal["proved", "refuted", "unknown"]

Subject = Literal["property", "within", "answered", "legal", "kernel", "rule"]

_NO_TIME = "the solver did not settle it within the time limit"
_NOT_REPLAYED = (
    "the solver has a counterexample that the evaluator does not confirm, "
    "which is a defect of policyc"
)
_NOT_SHOWN = "there is a counterexample, but only with a cgroup that is too deep to be shown"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about one hook and what became of it.

    `text` is the claim. `why` says what refutes it where that is not a request, and what
    hindered the solver where nothing is known. `rule` is the rule or None, `by` are the
    rules that shadow it. `profile` is the interface that the claim is about, or None.
    """

    subject: Subject
    hook: n.HookName
    verdict: Verdict
    text: str
    why: str = ""
    counterexample: Witness | None = None
    outcome: Outcome | None = None
    rule: n.Rule | None = None
    by: tuple[n.Rule, ...] = ()
    profile: Profile | None = None
    promise: Property | None = None


def claims(
    plan: n.Plan, hook: n.HookName, profiles: Sequence[Profile], seconds: float
) -> Iterator[Claim]:
    """What becomes of every claim about a hook; each question has so many seconds."""
    yield from _Prover(plan, hook, seconds).claims(profiles)


class _Prover:
    def __init__(self, plan: n.Plan, hook: n.HookName, seconds: float) -> None:
        self.plan = plan
        self.hook = hook
        self.seconds = seconds
        self.inputs = Inputs([plan], hook)
        self.encoding = Encoding(plan, self.inputs)
        self.answer = self.encoding.answer()
        promises = [item for item in plan.properties if item.hook is hook]
        result = {
            RESULT: Term(True, self.answer.orders if hook is n.HookName.THP else self.answer.on),
            RESULT_HOT_THRESHOLD: Term(self.answer.has_threshold, self.answer.threshold),
        }
        self.promises = [
            (promise, self.encoding.holds(promise.condition, result)) for promise in promises
        ]
        # All variables have been made by now, and with them their constraints.
        self.questions = Questions(self.inputs.constraints, seconds)
        self.search = RuleSearch(plan, self.inputs, self.encoding, seconds)

    def claims(self, profiles: Sequence[Profile]) -> Iterator[Claim]:
        for promise, holds in self.promises:
            yield self._property(promise, holds)
        if self.hook is n.HookName.THP:
            yield self._within()
        yield self._answered()
        for profile in profiles:
            yield from self._profile(profile)
        for block in self.encoding.blocks:
            for place in range(len(block.block.rules)):
                yield self._rule(block, place)

    # -- claims with a counterexample

    def _refuted_by(
        self, claim: Claim, broken: t.Bool, confirms: Callable[[Witness, Outcome], bool]
    ) -> Claim:
        """The claim with its verdict: proved if it cannot be broken."""
        found = self.questions.smallest(lambda: wishes(self.inputs), broken)
        if found == "no":
            return _with(claim, "proved")
        if found == "unknown":
            return _with(claim, "unknown", _NO_TIME)
        example = witness(self.inputs, self.questions)
        if example is None:
            return _with(claim, "unknown", _NOT_SHOWN)
        outcome = replayed(self.plan, example, self.inputs)
        if not confirms(example, outcome):
            return _with(claim, "unknown", _NOT_REPLAYED)
        return _with(claim, "refuted", "", example, outcome)

    def _property(self, promise: Property, holds: t.Bool) -> Claim:
        claim = Claim("property", self.hook, "unknown", promise.name, promise=promise)

        def broken(example: Witness, outcome: Outcome) -> bool:
            state = self.inputs.state_of(self.plan, example.state)
            return not property_holds(self.plan, promise, example.values, outcome, state)

        return self._refuted_by(claim, t.negation(holds), broken)

    def _within(self) -> Claim:
        claim = Claim("within", self.hook, "unknown", "an answer is within the request")
        outside = t.except_for(self.answer.orders, self.inputs.requested)
        return self._refuted_by(
            claim,
            t.negation(t.equal(outside, 0)),
            lambda example, outcome: bool(outcome.orders & ~_requested(example)),
        )

    def _answered(self) -> Claim:
        claim = Claim("answered", self.hook, "unknown", "every request is answered")
        silent = [
            t.all_of((block.applies, t.negation(t.any_of(block.fires))))
            for block in self.encoding.blocks
            # One of the rules of the others holds whatever is asked.
            if not any(rule.condition is None for rule in block.block.rules)
        ]
        match self.questions.ask(t.any_of(silent)):
            case "no":
                return _with(claim, "proved")
            case "yes":
                return _with(claim, "refuted", "a block ends without a rule that always holds")
            case "unknown":
                return _with(claim, "unknown", _NO_TIME)

    def _profile(self, profile: Profile) -> Iterator[Claim]:
        texts: list[tuple[Subject, str]] = [("legal", "the raw value is one that it knows")]
        if self.hook is n.HookName.THP:
            text = "its kernel uses no order that the policy does not allow"
            texts.append(("kernel", text))
        for subject, text in texts:
            claim = Claim(subject, self.hook, "unknown", text, profile=profile)
            broken = _broken_interface(claim, profile, self.answer, self.inputs.requested)
            if self._holds_for_any_answer(claim, profile):
                yield _with(claim, "proved")
                continue
            confirms = _is_illegal if subject == "legal" else _uses_more
            yield self._refuted_by(
                claim,
                broken,
                lambda example, outcome, confirms=confirms: confirms(
                    profile, outcome, _requested(example)
                ),
            )

    def _holds_for_any_answer(self, claim: Claim, profile: Profile) -> bool:
        """Whether a claim about an interface holds whatever a policy answers within the request.

        That is one question however long the policy is; if not, it is asked of the policy.
        """
        rules = sum(len(block.block.rules) for block in self.encoding.blocks)
        if rules <= LONG or not self._is_within:
            return False
        any_answer, requested = _any_answer(self.hook), t.free_number("any request")
        within = t.equal(t.except_for(any_answer.orders, requested), 0)
        left_alone = t.any_of((any_answer.opinion, t.equal(any_answer.orders, requested)))
        broken = _broken_interface(claim, profile, any_answer, requested)
        facts = [within, left_alone] if self.hook is n.HookName.THP else []
        return Questions(facts, self.seconds).ask(broken) == "no"

    @cached_property
    def _is_within(self) -> bool:
        """Whether every answer is within the request, and all of it where there is no opinion."""
        if self.hook is n.HookName.NUMA:
            return True
        orders, requested = self.answer.orders, self.inputs.requested
        beyond = t.negation(t.equal(t.except_for(orders, requested), 0))
        changed = t.all_of(
            (t.negation(self.answer.opinion), t.negation(t.equal(orders, requested)))
        )
        return self.questions.ask(t.any_of((beyond, changed))) == "no"

    # -- claims about rules

    def _rule(self, block: BlockTerms, place: int) -> Claim:
        rule = block.block.rules[place]
        claim = Claim("rule", self.hook, "unknown", "the rule decides something", rule=rule)
        fate = self.search.fate(block, place)
        if fate.decides:
            return _with(claim, "proved")
        if fate.behind is not None:
            return self._never_reached(claim, block, place, fate.behind)
        fires = block.fires[place]
        if rule.condition is not None:
            # What the block says to these requests if it has not this rule.
            without = self.encoding.answer({block.block.index: block.says[place + 1]})
            matters = self.questions.ask(fires, self.answer.differs(without))
            if matters == "yes":
                return self._confirmed(claim, rule)
            if matters == "unknown":
                return _with(claim, "unknown", _NO_TIME)
        if not fate.reached:
            reached = self.questions.ask(fires)
            if reached == "no":
                return self._never_reached(claim, block, place, range(place))
            if reached == "unknown":
                return _with(claim, "unknown", _NO_TIME)
            if rule.condition is None:
                return self._confirmed(claim, rule)
        return _with(claim, "refuted", "it is redundant: without it every answer is the same")

    def _confirmed(self, claim: Claim, rule: n.Rule) -> Claim:
        """The claim, proved by an example in which the evaluator has the rule fire too."""
        self.questions.hope(t.at_most(self.inputs.depth, DEEPEST))
        example = witness(self.inputs, self.questions)
        if example is None:
            return _with(claim, "unknown", _NOT_SHOWN)
        fired = replayed(self.plan, example, self.inputs).fired
        return _with(claim, "proved") if rule in fired else _with(claim, "unknown", _NOT_REPLAYED)

    def _never_reached(
        self, claim: Claim, block: BlockTerms, place: int, behind: Sequence[int]
    ) -> Claim:
        """The claim, refuted: the rules at some earlier places keep every request from it."""
        questions = self.search.questions
        applies = questions.ask(block.applies)
        if applies == "no":
            return _with(claim, "refuted", "it is dead: its block applies to no request")
        earlier = [t.negation(block.holds[index]) for index in behind]
        with questions.given(block.applies, block.holds[place]):
            alone = questions.ask()
            if alone == "no":
                return _with(claim, "refuted", "it is dead: its condition never holds")
            if "unknown" in (applies, alone):
                return _with(claim, "refuted", "it is never reached")
            needed = [behind[index] for index in questions.needed(earlier)]
            by = tuple(block.block.rules[index] for index in needed)
        why = "it is shadowed: earlier rules answer all that it asks for"
        return Claim(claim.subject, claim.hook, "refuted", claim.text, why, rule=claim.rule, by=by)


def _with(
    claim: Claim,
    verdict: Verdict,
    why: str = "",
    counterexample: Witness | None = None,
    outcome: Outcome | None = None,
) -> Claim:
    return replace(claim, verdict=verdict, why=why, counterexample=counterexample, outcome=outcome)


def _requested(example: Witness) -> int:
    return int(example.values.get("orders") or 0)


def _any_answer(hook: n.HookName) -> Answer:
    """An answer of some policy."""
    opinion, on = t.free_bool("any opinion"), t.free_bool("any on")
    orders = t.free_number("any orders") if hook is n.HookName.THP else 0
    return Answer(opinion, orders, on, False, 0)


def _broken_interface(
    claim: Claim, profile: Profile, answer: Answer, requested: t.Number
) -> t.Bool:
    """Whether an interface makes of an answer what a claim says that it does not."""
    value = kernels.raw(profile, answer, requested)
    if claim.subject == "legal":
        return t.negation(kernels.is_legal(profile, value, requested))
    used = kernels.effective(profile, value, requested)
    return t.negation(t.equal(t.except_for(used, answer.orders), 0))


def _is_illegal(profile: Profile, outcome: Outcome, requested: int) -> bool:
    raw = raw_answer(profile, outcome, requested)
    match profile.answer:
        case "bool":
            return raw not in (0, 1)
        case "mask":
            return bool(raw & ~requested)
        case "order":
            return raw not in (profile.leave, profile.deny) and not (
                raw >= 0 and requested >> raw & 1
            )


def _uses_more(profile: Profile, outcome: Outcome, requested: int) -> bool:
    raw = raw_answer(profile, outcome, requested)
    return bool(effective_orders(profile, raw, requested) & ~outcome.orders)
