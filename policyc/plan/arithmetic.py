"""Arithmetic of the language, on its own so that the checker can fold constants with it."""

from __future__ import annotations

from policyc.plan.nodes import ArithmeticOperator
from policyc.plan.types import U64_MAX

__all__ = ["saturating"]


def saturating(operator: ArithmeticOperator, a: int, b: int) -> int:
    """Unsigned, 64 bits, saturating; x / 0 and x % 0 are 0."""
    match operator:
        case ArithmeticOperator.ADD:
            return min(a + b, U64_MAX)
        case ArithmeticOperator.SUBTRACT:
            return max(a - b, 0)
        case ArithmeticOperator.MULTIPLY:
            return min(a * b, U64_MAX)
        case ArithmeticOperator.DIVIDE:
            return a // b if b else 0
        case ArithmeticOperator.MODULO:
            return a % b if b else 0
