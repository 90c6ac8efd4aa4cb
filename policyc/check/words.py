"""Types: the words that diagnostics share, and what arithmetic makes of them."""

from __future__ import annotations

from policyc.plan.types import INT, Kind, Type

__all__ = ["EXAMPLES", "WITH_UNIT", "arithmetic_type", "with_article"]

#: The kinds that arithmetic works on.
WITH_UNIT = frozenset({Kind.INT, Kind.SIZE, Kind.DURATION})

#: What a value of a kind looks like.
EXAMPLES = {
    Kind.INT: "a plain number such as `3`",
    Kind.SIZE: "a size such as `64K` or `2M`",
    Kind.DURATION: "a duration such as `200ms`",
    Kind.PERCENT: "a percent such as `10%`",
    Kind.STRING: 'a string such as `"postgres"`',
    Kind.CGROUP: 'a path such as `"/kubepods"`',
}


def with_article(type: Type) -> str:
    """The name of a type in a sentence."""
    names = {Kind.ORDERS: "an order set", Kind.INT: "an int", Kind.ENUM: f"a value of {type.enum}"}
    return names.get(type.kind, f"a {type}")


def arithmetic_type(operator: str, left: Type, right: Type) -> Type | None:
    """The type of a result, None if the operands do not go together."""
    if left.kind not in WITH_UNIT or right.kind not in WITH_UNIT:
        return None
    if operator == "*":
        return left if right == INT else right if left == INT else None
    if left == right:
        return INT if operator == "/" else left
    return left if operator == "/" and right == INT else None
