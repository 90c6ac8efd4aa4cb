"""Words that diagnostics about types share."""

from __future__ import annotations

from policyc.plan.types import Kind, Type

__all__ = ["EXAMPLES", "with_article"]

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
