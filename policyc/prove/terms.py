"""Terms of the solver: bools and unsigned 64-bit numbers, folded where they are constants.

A bool is a bool or a z3 term, a number is an int or a z3 term; what can be worked out here
never becomes a term, which keeps questions small. Importing this module needs z3.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, TypeAlias

from policyc.plan import nodes as n
from policyc.plan.arithmetic import saturating
from policyc.plan.types import U64_MAX

__all__ = [
    "Bool",
    "Number",
    "alike",
    "all_of",
    "any_of",
    "at_most",
    "below",
    "bit",
    "both",
    "choose_bool",
    "choose_number",
    "either",
    "equal",
    "except_for",
    "free_bool",
    "free_number",
    "highest_size",
    "implies",
    "negation",
    "number_is",
    "power_of_two",
    "same",
    "saturated",
    "shifted_right",
    "term",
    "z3",
]

#: The solver's library, which comes without types.
z3: Any = import_module("z3")

Bool: TypeAlias = Any
Number: TypeAlias = Any

_BITS = 64


def free_bool(name: str) -> Bool:
    """A bool that can be anything."""
    return z3.Bool(name)


def free_number(name: str) -> Number:
    """A number that can be anything."""
    return z3.BitVec(name, _BITS)


def term(value: Bool) -> Any:
    """A bool as a term, for the solver."""
    return z3.BoolVal(value) if isinstance(value, bool) else value


def _number(value: Number) -> Any:
    return z3.BitVecVal(value, _BITS) if isinstance(value, int) else value


# -- bools


def negation(item: Bool) -> Bool:
    """Not."""
    return not item if isinstance(item, bool) else z3.Not(item)


def all_of(items: Iterable[Bool]) -> Bool:
    """And; true for none."""
    kept: list[Bool] = []
    for item in items:
        if item is False:
            return False
        if item is not True:
            kept.append(item)
    if not kept:
        return True
    return kept[0] if len(kept) == 1 else z3.And(*kept)


def any_of(items: Iterable[Bool]) -> Bool:
    """Or; false for none."""
    kept: list[Bool] = []
    for item in items:
        if item is True:
            return True
        if item is not False:
            kept.append(item)
    if not kept:
        return False
    return kept[0] if len(kept) == 1 else z3.Or(*kept)


def implies(premise: Bool, conclusion: Bool) -> Bool:
    """If the one, then the other."""
    return any_of((negation(premise), conclusion))


def same(left: Bool, right: Bool) -> Bool:
    """Whether two bools are alike."""
    if isinstance(left, bool):
        return right if left else negation(right)
    if isinstance(right, bool):
        return left if right else negation(left)
    return left == right


def choose_bool(condition: Bool, yes: Bool, no: Bool) -> Bool:
    """One bool or the other."""
    if isinstance(condition, bool):
        return yes if condition else no
    if isinstance(yes, bool) or isinstance(no, bool):
        return any_of((all_of((condition, yes)), all_of((negation(condition), no))))
    return z3.If(condition, yes, no)


# -- numbers


def choose_number(condition: Bool, yes: Number, no: Number) -> Number:
    """One number or the other."""
    if isinstance(condition, bool):
        return yes if condition else no
    if yes is no or (isinstance(yes, int) and isinstance(no, int) and yes == no):
        return yes
    return z3.If(condition, _number(yes), _number(no))


def equal(left: Number, right: Number) -> Bool:
    """Whether two numbers are the same."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    return _number(left) == _number(right)


def alike(left: Bool | Number, right: Bool | Number) -> Bool:
    """Whether two values of one type are the same."""
    is_bool = any(isinstance(item, bool) or z3.is_bool(item) for item in (left, right))
    return same(left, right) if is_bool else equal(left, right)


def below(left: Number, right: Number) -> Bool:
    """Less, without signs."""
    if isinstance(left, int) and isinstance(right, int):
        return left < right
    return z3.ULT(_number(left), _number(right))


def at_most(left: Number, right: Number) -> Bool:
    """Less or equal, without signs."""
    return negation(below(right, left))


def number_is(term_: Number, low: int, high: int) -> Bool:
    """Whether a number is in an inclusive range."""
    return all_of((low == 0 or at_most(low, term_), high == U64_MAX or at_most(term_, high)))


def both(left: Number, right: Number) -> Number:
    """The bits that are in both."""
    if not isinstance(left, int):
        left, right = right, left
    if not isinstance(left, int):
        return left & right
    if isinstance(right, int):
        return left & right
    if left == U64_MAX:
        return right
    return _number(left) & right if left else 0


def either(left: Number, right: Number) -> Number:
    """The bits that are in one of them."""
    if isinstance(left, int) and isinstance(right, int):
        return left | right
    return _number(left) | _number(right)


def except_for(left: Number, right: Number) -> Number:
    """The bits of the left that the right has not."""
    if isinstance(right, int):
        return both(left, U64_MAX ^ right)
    return _number(left) & ~_number(right)


def bit(mask: Number, index: int) -> Bool:
    """Whether a mask has a bit."""
    if isinstance(mask, int):
        return bool(mask >> index & 1)
    return z3.Extract(index, index, mask) == 1


def highest_size(mask: Number, page_size: int) -> Number:
    """The size of a page of the highest order of a mask that is not empty, saturating."""
    size: Number = 0
    for order in range(_BITS):
        size = choose_number(bit(mask, order), min(U64_MAX, page_size << order), size)
    return size


def saturated(operator: n.ArithmeticOperator, left: Number, right: Number) -> Number:
    """The arithmetic of the language."""
    if isinstance(left, int) and isinstance(right, int):
        return saturating(operator, left, right)
    a, b = _number(left), _number(right)
    match operator:
        case n.ArithmeticOperator.ADD:
            return z3.If(z3.ULT(a + b, a), _number(U64_MAX), a + b)
        case n.ArithmeticOperator.SUBTRACT:
            return z3.If(z3.ULT(a, b), _number(0), a - b)
        case n.ArithmeticOperator.MULTIPLY:
            return z3.If(z3.BVMulNoOverflow(a, b, signed=False), a * b, _number(U64_MAX))
        case n.ArithmeticOperator.DIVIDE:
            return choose_number(equal(right, 0), 0, z3.UDiv(a, b))
        case n.ArithmeticOperator.MODULO:
            return choose_number(equal(right, 0), 0, z3.URem(a, b))


def power_of_two(exponent: Number) -> Number:
    """A mask with one bit, without any for 64 and more."""
    if isinstance(exponent, int):
        return 1 << exponent & U64_MAX if exponent < _BITS else 0
    return _number(1) << exponent


def shifted_right(mask: Number, count: Number) -> Number:
    """A mask without its lowest bits."""
    if isinstance(mask, int) and isinstance(count, int):
        return mask >> count
    return z3.LShR(_number(mask), _number(count))
