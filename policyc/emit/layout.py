"""The byte layout of requests and answers of the `testrun` profile, and of the parameters.

Numbers are unsigned 64-bit in the byte order of the machine. A request starts with
words of presence bits and then has each attribute that the hook uses, in the order of
attributes.toml. The compiled program writes its answer behind the request.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policyc.emit.uses import uses_of
from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.evaluate import ancestors
from policyc.plan.types import U64_MAX, Kind

__all__ = [
    "MAX_RECORDED_BLOCKS",
    "NO_INDEX",
    "NO_THRESHOLD",
    "Answer",
    "AnswerLayout",
    "LayoutField",
    "RequestLayout",
    "answer_layout",
    "average_of_percent",
    "is_pressure",
    "pack_request",
    "params_layout",
    "pressure_text",
    "request_layout",
    "unpack_answer",
]

#: How many blocks of a hook an answer has room for; the rules of later ones are not told.
MAX_RECORDED_BLOCKS = 512

#: "No threshold of ours" in the answer of a numa hook.
NO_THRESHOLD = U64_MAX

#: "No rule" in an element of a table.
NO_INDEX = (1 << 32) - 1

_COMM_BYTES = 16

_UNITS = {Kind.SIZE: "bytes", Kind.DURATION: "nanoseconds", Kind.PERCENT: "hundredths of a percent"}


@dataclass(frozen=True, slots=True)
class LayoutField:
    """One field: where it is, how C declares its type, its unit, its presence bit (-1: none)."""

    name: str
    offset: int
    size: int
    type: str
    unit: str
    present: int = -1

    @property
    def c_name(self) -> str:
        """The name of the member in C."""
        return self.name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class RequestLayout:
    """A request as bytes."""

    present_words: int
    fields: tuple[LayoutField, ...]
    size: int

    def field(self, name: str) -> LayoutField:
        """The field of an attribute; KeyError if the hook does not use it."""
        for item in self.fields:
            if item.name == name:
                return item
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class AnswerLayout:
    """An answer as bytes; `blocks` rules are recorded."""

    fields: tuple[LayoutField, ...]
    blocks: int
    size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer read back: `value` is the orders (thp) or on (numa), `fired` rule indexes."""

    value: int
    opinion: bool
    hot_threshold: int | None
    fired: tuple[int | None, ...]


def is_pressure(name: str) -> bool:
    """Whether an attribute is a pressure average, which requests carry as the kernel keeps it."""
    return name.startswith(("psi.", "cgroup.psi."))


def pressure_text(name: str, text: str) -> str:
    """How C reads a pressure average: state and window come from the attribute's name."""
    resource, share, window = name.split(".")[-3:]
    state = f"PSI_{ {'memory': 'MEM', 'cpu': 'CPU', 'io': 'IO'}[resource] }_{share.upper()}"
    windows = ("avg10", "avg60", "avg300")
    return text.replace("{state}", state).replace("{window}", str(windows.index(window)))


def average_of_percent(percent: int) -> int:
    """The smallest kernel average that reads as a number of hundredths of a percent."""
    average = -(-percent * 2048 // 100)
    if average * 100 > U64_MAX:
        raise ValueError(
            f"{percent} hundredths of a percent is more than a pressure average can be"
        )
    return average


def request_layout(plan: n.Plan, hook: n.HookPlan) -> RequestLayout:
    """How a request of the hook is laid out."""
    used = uses_of(plan, hook).attributes
    rows = [row for row in attributes().values() if row.name in used]
    words = (len(rows) + 63) // 64
    offset, fields = 8 * words, list[LayoutField]()
    for bit, row in enumerate(rows):
        kind, size, declared = row.type.kind, 8, "u64"
        unit = "1/2048 percent" if is_pressure(row.name) else _UNITS.get(kind, "")
        if kind is Kind.STRING:
            size, declared, unit = _COMM_BYTES, "struct comm", "bytes, zero padded"
        elif kind is Kind.CGROUP:
            size, declared = 8 * n.MAX_CGROUP_LEVELS, f"u64[{n.MAX_CGROUP_LEVELS}]"
            unit = "cgroup ids, the cgroup itself first"
            fields.append(LayoutField("cgroup.levels", offset, 8, "u64", "cgroup ids that follow"))
            offset += 8
        elif kind is Kind.ENUM:
            unit = f"number of enum {row.type.enum}"
        fields.append(LayoutField(row.name, offset, size, declared, unit, bit))
        offset += size
    return RequestLayout(words, tuple(fields), offset)


def answer_layout(plan: n.Plan, hook: n.HookPlan) -> AnswerLayout:
    """How the answer of the hook is laid out."""
    blocks = min(len(hook.blocks), MAX_RECORDED_BLOCKS)
    value = "orders" if hook.hook is n.HookName.THP else "on"
    fields = (
        LayoutField(value, 0, 8, "u64", "order mask" if value == "orders" else "0 or 1"),
        LayoutField("opinions", 8, 8, "u64", "1 if any block has an opinion"),
        LayoutField("hot_threshold", 16, 8, "u64", "nanoseconds, all bits set for none"),
        LayoutField(
            "fired", 24, 2 * blocks, f"u16[{blocks}]", "rule index + 1 of each block, or 0"
        ),
    )
    return AnswerLayout(fields, blocks, (24 + 2 * blocks + 7) // 8 * 8)


def params_layout(plan: n.Plan) -> tuple[LayoutField, ...]:
    """Where each parameter is in the map `.data.params`."""
    return tuple(
        LayoutField(param.name, 8 * place, 8, "u64", _UNITS.get(param.type.kind, ""))
        for place, param in enumerate(plan.params)
    )


def pack_request(
    layout: RequestLayout,
    values: Mapping[str, n.ConstValue | None],
    ids: Callable[[str], int],
) -> bytes:
    """The bytes of a request; `ids` gives the id of each cgroup path on the way to the root.

    A rollout looks at the id of the request's own cgroup, so `ids` must agree with its
    `cgroup.id`.
    """
    data = bytearray(layout.size)
    present = [0] * layout.present_words
    for item in layout.fields:
        value = values.get(item.name)
        if item.present < 0 or value is None:
            continue
        word, bit = divmod(item.present, 64)
        present[word] |= 1 << bit
        data[item.offset : item.offset + item.size] = _bytes_of(item, value)
        if attributes()[item.name].type.kind is Kind.CGROUP:
            levels = [ids(path) for path in ancestors(str(value))]
            packed = struct.pack(f"={len(levels)}Q", *levels)
            data[item.offset : item.offset + len(packed)] = packed
            data[item.offset - 8 : item.offset] = struct.pack("=Q", len(levels))
    struct.pack_into(f"={layout.present_words}Q", data, 0, *present)
    return bytes(data)


def _bytes_of(item: LayoutField, value: n.ConstValue) -> bytes:
    row = attributes()[item.name]
    match row.type.kind:
        case Kind.STRING:
            assert isinstance(value, bytes)
            return value[: _COMM_BYTES - 1].ljust(_COMM_BYTES, b"\0")
        case Kind.CGROUP:
            return bytes(item.size)
        case Kind.ENUM:
            return struct.pack("=Q", enumerations()[row.type.enum].member(str(value)).value)
        case _:
            number = int(value)
            return struct.pack(
                "=Q", average_of_percent(number) if is_pressure(item.name) else number
            )


def unpack_answer(layout: AnswerLayout, data: bytes) -> Answer:
    """An answer from its bytes."""
    value, opinion, threshold = struct.unpack_from("=3Q", data)
    fired = struct.unpack_from(f"={layout.blocks}H", data, 24)
    return Answer(
        value,
        opinion != 0,
        None if threshold == NO_THRESHOLD else threshold,
        tuple(number - 1 if number else None for number in fired),
    )
