"""How the opinions of several blocks became one decision, and which rule it is attributed to."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.explain.spelling import spell_orders
from policyc.plan import nodes as n
from policyc.plan.evaluate import Opinion
from policyc.runtime.units import spell_value
from policyc.simulate.explain import Explanation

__all__ = ["Combination", "combination", "spell_opinion"]


@dataclass(frozen=True, slots=True)
class Combination:
    """The opinions that counted and those that did not, both outermost first.

    `sentences` say how the first became the decision and why it is attributed to its rule.
    """

    counted: tuple[Opinion, ...]
    ignored: tuple[Opinion, ...]
    sentences: tuple[str, ...]


def combination(explanation: Explanation) -> Combination:
    """How the blocks of an explanation combined."""
    outcome, combine = explanation.outcome, explanation.hook.combine
    opinions = outcome.opinions
    match combine:
        case n.Combine.MEET:
            counted, ignored = opinions, ()
        case n.Combine.NEAREST:
            counted, ignored = opinions[-1:], opinions[:-1]
        case n.Combine.OUTERMOST:
            counted, ignored = opinions[:1], opinions[1:]
    if not counted:
        left = "the request is left as it was" if _is_thp(explanation) else "not balanced"
        return Combination((), (), (f"no block has an opinion: {left}",))
    if combine is n.Combine.MEET:
        sentences = _met(explanation, counted)
    else:
        sentences = _chosen(explanation, counted[0], ignored)
    return Combination(counted, ignored, tuple(sentences))


def _is_thp(explanation: Explanation) -> bool:
    return explanation.hook.hook is n.HookName.THP


def spell_opinion(opinion: Opinion, explanation: Explanation) -> str:
    """What a block says, in a few words."""
    if _is_thp(explanation):
        return spell_orders(opinion.orders, explanation.plan.target)
    if not opinion.on:
        return "off"
    if opinion.hot_threshold is None:
        return "balance"
    return f"balance ({spell_value('duration', opinion.hot_threshold)})"


def _where(opinion: Opinion) -> str:
    return f"line {opinion.rule.line}"


def _chosen(explanation: Explanation, chosen: Opinion, ignored: tuple[Opinion, ...]) -> list[str]:
    combine = explanation.hook.combine
    end = "innermost" if combine is n.Combine.NEAREST else "outermost"
    said = spell_opinion(chosen, explanation)
    sentences = [f"{combine.value}: the {end} opinion counts, {said} of {_where(chosen)}"]
    if ignored:
        others = [f"{spell_opinion(other, explanation)} ({_where(other)})" for other in ignored]
        sentences.append(f"not counted: {', '.join(others)}")
    return sentences


def _met(explanation: Explanation, counted: tuple[Opinion, ...]) -> list[str]:
    outcome = explanation.outcome
    target = explanation.plan.target
    parts = [f"{spell_opinion(o, explanation)} ({_where(o)})" for o in counted]
    if not _is_thp(explanation):
        whole = "balance" if outcome.on else "off"
        met = f"meet: {' and '.join(parts)} = {whole}"
        if outcome.on and outcome.hot_threshold is not None:
            smallest = spell_value("duration", outcome.hot_threshold)
            met += f", with the smallest threshold that is stated, {smallest}"
        return [met, *_attributed(counted, [o for o in counted if o.on == outcome.on])]
    requested = f"{spell_orders(int(explanation.values['orders'] or 0), target)} (requested)"
    # Parentheses keep `16K | 2M & 64K` from being read the wrong way.
    met = " & ".join(_in_parentheses(part) for part in [requested, *parts])
    exact = [opinion for opinion in counted if opinion.orders == outcome.orders]
    whole = spell_orders(outcome.orders, target)
    return [f"meet: {met} = {whole}", *_attributed(counted, exact)]


def _in_parentheses(part: str) -> str:
    orders, opening, where = part.rpartition(" (")
    return f"({orders}){opening}{where}" if " | " in orders or " - " in orders else part


def _attributed(counted: tuple[Opinion, ...], exact: list[Opinion]) -> list[str]:
    if len(counted) < 2:
        return []
    if exact:
        return [f"attributed to {_where(exact[-1])}, the innermost that says so by itself"]
    return [f"attributed to {_where(counted[-1])}, the innermost: it took several to get there"]
