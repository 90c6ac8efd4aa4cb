"""What a compiled program returns for an outcome, and what the kernel makes of that."""

from __future__ import annotations

from policyc.hooks.model import Profile
from policyc.plan.evaluate import Outcome

__all__ = ["effective_orders", "raw_answer"]


def raw_answer(profile: Profile, outcome: Outcome, requested: int) -> int:
    """The value that the profile's program returns.

    A mask is the allowed set itself. A single order is the highest that is allowed; a
    request that stays as it was is left alone where the interface has a way to say so.
    """
    match profile.answer:
        case "bool":
            return 1 if outcome.on else profile.deny
        case "mask":
            return outcome.orders
        case "order":
            return _order(profile, outcome, requested)


def _order(profile: Profile, outcome: Outcome, requested: int) -> int:
    allowed = outcome.orders
    if profile.leave is not None and (not outcome.opinions or (allowed and allowed == requested)):
        return profile.leave
    return allowed.bit_length() - 1 if allowed else profile.deny


def effective_orders(profile: Profile, raw: int, requested: int) -> int:
    """The orders that are left of a thp request after the kernel's own checks of an answer.

    Order 0 is taken away from what single-order interfaces leave: no later mask of the
    kernel contains it.
    """
    kernel = profile.kernel
    if kernel is None:
        return raw
    kept = requested & ~1
    if raw < 0:
        return kept if kernel.negative == "keep" else 0
    if raw >= requested.bit_length():
        return kept if kernel.above_highest == "keep" else 0
    if not requested >> raw & 1 and kernel.not_requested == "none":
        return 0
    return (1 << raw) & ~1
