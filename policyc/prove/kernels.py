"""What compiled programs return and what kernels make of it, as logic: policyc/plan/encode.py."""

from __future__ import annotations

from typing import Literal

from policyc.hooks.model import Profile
from policyc.plan.types import U64_MAX
from policyc.prove import terms as t
from policyc.prove.encode import Answer

__all__ = ["effective", "is_legal", "raw"]

_BITS = 64


def raw(profile: Profile, answer: Answer, requested: t.Number) -> t.Number:
    """The value that the program returns; a negative one as its 64 bits."""
    match profile.answer:
        case "bool":
            return t.choose_number(answer.on, 1, profile.deny)
        case "mask":
            return answer.orders
        case "order":
            return _order(profile, answer, requested)


def _order(profile: Profile, answer: Answer, requested: t.Number) -> t.Number:
    some = t.negation(t.equal(answer.orders, 0))
    highest: t.Number = 0
    for order in range(_BITS):
        highest = t.choose_number(t.bit(answer.orders, order), order, highest)
    order = t.choose_number(some, highest, profile.deny)
    if profile.leave is None:
        return order
    whole = t.all_of((some, t.equal(answer.orders, requested)))
    left = t.any_of((t.negation(answer.opinion), whole))
    return t.choose_number(left, profile.leave & U64_MAX, order)


def is_legal(profile: Profile, value: t.Number, requested: t.Number) -> t.Bool:
    """Whether the interface knows the value: its words, or an order that was requested."""
    match profile.answer:
        case "bool":
            return t.any_of((t.equal(value, 0), t.equal(value, 1)))
        case "mask":
            return t.equal(t.except_for(value, requested), 0)
        case "order":
            words = {profile.deny, profile.deny if profile.leave is None else profile.leave}
            word = t.any_of(t.equal(value, word & U64_MAX) for word in sorted(words))
            orders = [
                t.all_of((t.equal(value, order), t.bit(requested, order))) for order in range(_BITS)
            ]
            return t.any_of((word, *orders))


def effective(profile: Profile, value: t.Number, requested: t.Number) -> t.Number:
    """The orders that are left of a request after the kernel's own checks."""
    kernel = profile.kernel
    if kernel is None:
        return value
    kept = t.both(requested, U64_MAX ^ 1)
    # An order of the answer that the request has not, below its highest one.
    single = t.both(t.power_of_two(value), U64_MAX ^ 1)
    if kernel.not_requested == "none":
        found = t.negation(t.equal(t.both(t.power_of_two(value), requested), 0))
        single = t.choose_number(found, single, 0)
    above = t.equal(t.shifted_right(requested, value), 0)
    single = t.choose_number(above, _kept(kernel.above_highest, kept), single)
    return t.choose_number(t.below(U64_MAX >> 1, value), _kept(kernel.negative, kept), single)


def _kept(word: Literal["keep", "none"], kept: t.Number) -> t.Number:
    return kept if word == "keep" else 0
