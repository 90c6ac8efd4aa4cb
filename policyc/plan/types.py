"""The types of the language, shared by the checker, the plan and the backends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "BOOL",
    "CGROUP",
    "DURATION",
    "INT",
    "NUMERIC",
    "ORDERS",
    "PERCENT",
    "SIZE",
    "STRING",
    "U64_MAX",
    "Kind",
    "Type",
    "format_size",
]

U64_MAX = (1 << 64) - 1


class Kind(StrEnum):
    """What sort of value it is; the text is how a diagnostic names it."""

    BOOL = "bool"
    INT = "int"
    ORDERS = "orders"
    SIZE = "size"
    DURATION = "duration"
    PERCENT = "percent"
    STRING = "string"
    CGROUP = "cgroup"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Type:
    """A kind, and for an enumeration its name."""

    kind: Kind
    enum: str = ""

    def __str__(self) -> str:
        return f"enum {self.enum}" if self.kind is Kind.ENUM else self.kind.value


BOOL = Type(Kind.BOOL)
INT = Type(Kind.INT)
ORDERS = Type(Kind.ORDERS)
SIZE = Type(Kind.SIZE)
DURATION = Type(Kind.DURATION)
PERCENT = Type(Kind.PERCENT)
STRING = Type(Kind.STRING)
CGROUP = Type(Kind.CGROUP)

#: Kinds whose values are unsigned 64-bit numbers and can be ordered.
NUMERIC = frozenset({Kind.INT, Kind.SIZE, Kind.DURATION, Kind.PERCENT})

_SIZE_UNITS = ((50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K"))


def format_size(size: int) -> str:
    """A size in bytes as the language writes it, in the largest unit that has a whole number."""
    for shift, unit in _SIZE_UNITS:
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return f"{size}B"
