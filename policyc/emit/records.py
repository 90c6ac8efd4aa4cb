"""The decisions that a recording program tells of, read back from its ring buffer.

Only tests ask for such programs. A record has numbers in the byte order of the machine: a
header, the request before and after the decision (as policyc.emit.layout lays requests
out, but with pressure in hundredths of a percent, as the policy compares it), and the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyc.emit.layout import (
    NO_THRESHOLD,
    LayoutField,
    RequestLayout,
    answer_layout,
    request_layout,
)
from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.types import Kind

__all__ = ["Record", "RecordLayout", "Recorded", "record_layout", "unpack_record"]

_HEADER_WORDS = 7
_ANSWER_WORDS = 4


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """A record as bytes; `blocks` rules are told."""

    request: RequestLayout
    blocks: int
    size: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as the program read it.

    `values` has what was present, by the name of the attribute, but for `cgroup`: of that,
    `lineage` has the ids from the cgroup itself towards the root, empty if it was absent.
    """

    values: Mapping[str, n.ConstValue]
    lineage: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One decision.

    `time` is in nanoseconds of CLOCK_MONOTONIC, `current` the process that asked, `owner`
    the process that the memory belongs to (0 for none, and always for mthp), `start` and
    `end` the area (0 where the hook has none). `raw` is what the program returned; `value`
    is the orders (thp) or on (numa); `fired` has the rule index of each block.
    """

    sequence: int
    time: int
    cpu: int
    current: int
    owner: int
    start: int
    end: int
    before: Recorded
    after: Recorded
    raw: int
    value: int
    opinion: bool
    hot_threshold: int | None
    fired: tuple[int | None, ...]


def record_layout(plan: n.Plan, hook: n.HookPlan) -> RecordLayout:
    """How a record of the hook is laid out."""
    request = request_layout(plan, hook)
    blocks = answer_layout(plan, hook).blocks
    size = 8 * (_HEADER_WORDS + _ANSWER_WORDS) + 2 * request.size + (2 * blocks + 7) // 8 * 8
    return RecordLayout(request, blocks, size)


def unpack_record(layout: RecordLayout, data: bytes) -> Record:
    """A record from its bytes.

    Raises ValueError if the size is another or if an enumeration has an unknown number.
    """
    if len(data) != layout.size:
        raise ValueError(f"a record of {len(data)} bytes, not {layout.size}")
    words = memoryview(data).cast("Q")
    request_words = layout.request.size // 8
    first, second = _HEADER_WORDS, _HEADER_WORDS + request_words
    answer = second + request_words
    before = _request(layout.request, data, words, first)
    same = words[first:second] == words[second:answer]
    raw, value, opinions, threshold = words[answer : answer + _ANSWER_WORDS]
    rules = memoryview(data).cast("H")[4 * (answer + _ANSWER_WORDS) :][: layout.blocks]
    return Record(
        *words[:_HEADER_WORDS],
        before=before,
        after=before if same else _request(layout.request, data, words, second),
        raw=raw - (1 << 64) if raw >> 63 else raw,
        value=value,
        opinion=opinions != 0,
        hot_threshold=None if threshold == NO_THRESHOLD else threshold,
        fired=tuple(number - 1 if number else None for number in rules),
    )


def _request(layout: RequestLayout, data: bytes, words: memoryview, start: int) -> Recorded:
    values: dict[str, n.ConstValue] = {}
    lineage: tuple[int, ...] = ()
    for item in layout.fields:
        word, bit = divmod(item.present, 64)
        if item.present < 0 or not words[start + word] >> bit & 1:
            continue
        place = start + item.offset // 8
        if attributes()[item.name].type.kind is Kind.CGROUP:
            lineage = tuple(words[place : place + words[place - 1]])
        else:
            values[item.name] = _value(item, data, words[place], 8 * place)
    return Recorded(values, lineage)


def _value(item: LayoutField, data: bytes, word: int, offset: int) -> n.ConstValue:
    row = attributes()[item.name]
    match row.type.kind:
        case Kind.STRING:
            return data[offset : offset + item.size].split(b"\0", 1)[0]
        case Kind.BOOL:
            return word != 0
        case Kind.ENUM:
            for member in enumerations()[row.type.enum].members:
                if member.value == word:
                    return member.name
            raise ValueError(f"{word} is no number of {row.type.enum}")
        case _:
            return word
