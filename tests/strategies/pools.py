"""What policies and requests are made of: ends of ranges, and what is easily confused."""

from __future__ import annotations

from policyc.plan import nodes as n
from policyc.plan.types import DURATION, INT, PERCENT, SIZE, U64_MAX, Type

__all__ = ["COMMS", "LABELS", "NAMES", "NUMBERS", "PATHS", "order_numbers", "path_text"]

_LONG = "n" * 63

#: Names that the languages we emit, the runtime or the emitted text use for something else.
NAMES = (
    "a",
    "ceiling",
    "int",
    "class",
    "return",
    "struct",
    "None",
    "None_",
    "True",
    "def",
    "lambda",
    "static",
    "unsigned",
    "bool",
    "u64",
    "main",
    "NULL",
    "errno",
    "params",
    "state",
    "request",
    "rules",
    "decide",
    "thp_orders",
    "fired",
    "values",
    "rule_counters",
    "policy_paths",
    "cgroup_id",
    "LICENSE",
    "SEC",
    "__init__",
    "__class__",
    "_",
    "_1",
    "self",
    "min",
    "print",
    "khugepaged_",
    "memory_free",
    "saturating_add",
    "when_",
    _LONG + "a",
    _LONG + "b",
    "n" * 64,
)

LABELS = ("first", "second", "int", "goto", "None", "class_", "x" * 64, "end", "a", "default")

PATHS = (
    b"/a",
    b"/a/b",
    b"/a/bc",
    b"/a/b/c",
    b"/",
    b"/ab",
    "/kühl/ß".encode(),
    b"/kubepods/java",
    b"/not-utf-8-\xff",
    b'/quote"/back\\slash',
    b"/space and % and {}",
    b"/" + b"c" * 255,
    b"".join(b"/%d" % level for level in range(40)),
    b"".join(b"/%d" % level for level in range(8)),
)

COMMS = (
    b"postgres",
    b"redis-server",
    b"exactly15bytes!",
    b"exactly15bytes",
    b"x",
    b"",
    "kühl".encode(),
    b"\xff\x80\x7f",
    b"redis",
    b"Redis",
)

_MILLISECOND = 1_000_000

#: Interesting numbers of each type, simple ones first.
NUMBERS: dict[Type, tuple[int, ...]] = {
    INT: (0, 1, 2, 3, 1000, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63,
          U64_MAX - 1, U64_MAX),
    SIZE: (0, 1, 4096, 65536, 2 << 20, 8 << 20, 4 << 30, 4097, 1 << 50, (1 << 63) - 1, 1 << 63,
           U64_MAX - 4095, U64_MAX),
    DURATION: (0, 1, _MILLISECOND, 200 * _MILLISECOND, 1_000_000_000, 3_600_000_000_000, 1 << 63,
               U64_MAX),
    PERCENT: (0, 1, 50, 1000, 2500, 5000, 9999, 10_000),
}  # fmt: skip


def order_numbers(target: n.Target) -> list[int]:
    """The orders that a policy can name, without order 1, which does not exist."""
    return [0, *range(2, target.pmd_order + 1)]


def path_text(path: bytes) -> str:
    """A path as the plan has it."""
    return path.decode("utf-8", "surrogateescape")
