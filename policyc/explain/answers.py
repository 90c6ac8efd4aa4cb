"""Why the answer that a kernel gets, and what it makes of it, differ from the decision."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.explain.spelling import spell_orders
from policyc.hooks.model import KernelClamp
from policyc.plan import nodes as n
from policyc.runtime.units import spell_value
from policyc.simulate.explain import Explanation, ProfileAccount

__all__ = ["AnswerReasons", "answer_reasons"]

_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class AnswerReasons:
    """What a profile makes of the decision.

    `encoding` says how the decision became the raw value, `kernel` what the kernel makes of
    that; both are empty for a profile that lacks attributes, and `kernel` is empty where the
    kernel takes the value as it is.
    """

    account: ProfileAccount
    encoding: str
    kernel: str


def answer_reasons(explanation: Explanation) -> tuple[AnswerReasons, ...]:
    """The reasons of each profile, in the order of the explanation."""
    return tuple(_reasons(explanation, account) for account in explanation.profiles)


def _reasons(explanation: Explanation, account: ProfileAccount) -> AnswerReasons:
    if account.lacking:
        return AnswerReasons(account, "", "")
    if explanation.hook.hook is n.HookName.NUMA:
        return AnswerReasons(account, _yes_or_no(explanation), "")
    if account.profile.answer == "mask":
        return AnswerReasons(account, "the allowed orders, as a mask", "")
    return AnswerReasons(account, _encoding(explanation, account), _kernel(explanation, account))


def _yes_or_no(explanation: Explanation) -> str:
    outcome = explanation.outcome
    if outcome.decided_by is None:
        return "no opinion: not balanced by this policy"
    if not outcome.on or outcome.hot_threshold is None:
        return "balanced" if outcome.on else "not balanced"
    if outcome.hot_threshold % _MILLISECOND:
        return "balanced; the threshold is attached as data, in whole milliseconds"
    threshold = spell_value("duration", outcome.hot_threshold)
    return f"balanced; the threshold of {threshold} is attached as data"


def _encoding(explanation: Explanation, account: ProfileAccount) -> str:
    """How orders became one number."""
    allowed, profile = explanation.outcome.orders, account.profile
    untouched = explanation.outcome.decided_by is None or (
        allowed != 0 and allowed == explanation.values["orders"]
    )
    if untouched and profile.leave is not None:
        return f"{profile.leave} leaves the request as it was"
    if not allowed:
        return f"{profile.deny}: no order is allowed"
    highest = _order(allowed.bit_length() - 1, explanation.plan.target)
    if untouched:
        return f"the highest order, {highest}: it cannot say that a request is left as it was"
    if allowed.bit_count() == 1:
        return f"the one allowed order, {highest}"
    return f"the highest allowed order, {highest}: it answers with one order"


def _kernel(explanation: Explanation, account: ProfileAccount) -> str:
    """What the kernel does with a single order."""
    clamp = account.profile.kernel
    if clamp is None:
        return ""
    requested, raw = int(explanation.values["orders"] or 0), account.raw
    target = explanation.plan.target
    kept = spell_orders(account.effective, target)
    if raw < 0:
        return _kept(clamp.negative, "it is negative", kept)
    if raw >= requested.bit_length():
        return _kept(clamp.above_highest, "it is above the highest requested order", kept)
    if raw == 0:
        return "order 0 is no huge page"
    if requested >> raw & 1:
        return "the kernel keeps that order and no other"
    return _not_requested(clamp, _order(raw, target))


def _kept(what: str, why: str, kept: str) -> str:
    if what == "keep":
        return f"{why}: the kernel keeps the requested orders but order 0, {kept}"
    return f"{why}: the kernel gives no huge page"


def _not_requested(clamp: KernelClamp, order: str) -> str:
    if clamp.not_requested == "order":
        return f"{order} was not requested: the kernel uses it all the same"
    return f"{order} was not requested: the kernel gives no huge page"


def _order(order: int, target: n.Target) -> str:
    return f"{order} ({spell_orders(1 << order, target)})"
