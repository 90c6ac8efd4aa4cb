"""What a key of a workload's file is: its kind, its bounds, what it means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["LARGEST", "LONGEST", "Field", "Kind", "Table"]

#: Of no use for a simulation of seconds, and far from what arithmetic can hold:
#: nanoseconds and bytes.
LONGEST = 30 * 24 * 3600 * 10**9
LARGEST = 1 << 50


class Kind(Enum):
    """What a key takes. The first group are single values."""

    TEXT = "a text"
    NAME = "a name"
    COMM = "a name of at most 15 bytes"
    CGROUP = "a path of a cgroup"
    CHOICE = "one of some words"
    BOOL = "true or false"
    INT = "a whole number"
    COUNT = "a count"
    SIZE = "a size"
    LIMIT = 'a size or "max"'
    DURATION = "a duration"
    SHARE = "a share"
    NUMBER = "a number"
    RATE = "a rate"
    BANDWIDTH = "a bandwidth"

    MODES = "modes by page size"
    ACTIONS = "a list of actions"
    VALUES = "named values"
    TABLE = "a table"
    TABLES = "tables"
    BY_PATH = "tables by the path of a cgroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of a table. `low` and `high` bound numbers (sizes in bytes, durations in
    nanoseconds); `table` is the name of the table or tables below the key; `nothing` is what
    stands in the reference where the default is None.
    """

    key: str
    kind: Kind
    meaning: str
    low: float = 0
    high: float | None = None
    choices: tuple[str, ...] = ()
    table: str = ""
    required: bool = False
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: how its header is written, the class it becomes, and its keys."""

    header: str
    meaning: str
    makes: type[Any] | None
    fields: tuple[Field, ...]

    def field(self, key: str) -> Field | None:
        """The key of that name."""
        return next((field for field in self.fields if field.key == key), None)
