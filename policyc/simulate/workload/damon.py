"""Reads what DAMON recorded: regions of memory, and in how many samples each was accessed.

- the tracepoint damon:damon_aggregated as `perf script`, tracefs or `trace-cmd report` print
  it (include/trace/events/damon.h; until 5.16 without the age), and damos_before_apply
- `damo report access --raw_form`, in older versions `damo report raw`
- `damo report access --json`, `damo report raw --json`, and the file of `damo record` in its
  JSON formats, compressed or not
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from policyc.simulate.workload.lines import RecordError, nanoseconds, shown, text_lines

__all__ = ["PRINT", "Region", "Snapshot", "read_snapshots"]

#: Commands whose output is read, for messages.
PRINT = "damo report access --raw_form --raw_number"
_TRACED = "perf script (of damon:damon_aggregated)"

#: JSON cannot be read piece by piece with what Python has.
MOST_JSON = 256 << 20

_TOP, _MOST_ACCESSES = 1 << 62, 1 << 31


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes `start` to `end`, accessed in `accesses` samples of an aggregation interval.

    `age` is for how many intervals that has been so, None where it is not told.
    """

    start: int
    end: int
    accesses: int
    age: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The regions of a target over an aggregation interval, which ended at `end`.

    `start` is None where only the end is told; `sample` and `aggregation` are the intervals
    that DAMON was set to, None where they are not told. All in nanoseconds.
    """

    target: str
    start: int | None
    end: int
    regions: tuple[Region, ...]
    sample: int | None = None
    aggregation: int | None = None


def read_snapshots(stream: BinaryIO) -> Iterator[Snapshot]:
    """The snapshots of a recording in any of the formats; raises RecordError.

    Text is read line by line; JSON as a whole, of at most MOST_JSON bytes.
    """
    head = stream.readline(8192)
    while head.strip() == b"" and head:
        head = stream.readline(8192)
    if not head:
        raise RecordError(f"there is nothing in it; expected the output of `{PRINT}`")
    if head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        yield from _json(_decompressed(head, stream))
    elif head.lstrip()[:1] in (b"[", b"{"):
        yield from _json(_whole(head, stream))
    else:
        yield from _text(text_lines(stream, head))


def _text(lines: Iterable[str]) -> Iterator[Snapshot]:
    """Text in one of two layouts, which the first lines tell."""
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _AGGREGATED.search(line):
            yield from _traced(_again(number, line, numbered))
            return
        if line.startswith(("base_time", "monitoring_start", "data source", "kdamond", "ctx")):
            yield from _raw_form(_again(number, line, numbered))
            return
        if number > 200 or not _looks_like_trace(line):
            raise RecordError(
                f"line {number}: expected the output of `{PRINT}` or of {_TRACED}, found "
                f"{shown(line)}"
            )
    raise RecordError(
        "there are no regions of DAMON in it; record them with `damo record` or with "
        "`perf record -e damon:damon_aggregated -a`"
    )


def _again(number: int, line: str, rest: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield number, line
    yield from rest


_AGGREGATED = re.compile(
    r"(?:^|\s)(\d{1,9})\.(\d{1,9}): +(?:\d+ +)?"
    r"(?:damon:)?(?:damon_aggregated|damos_before_apply): "
    r"(?:ctx_idx=\d+ scheme_idx=\d+ )?(?:target_id|target_idx|pid)=(\d+) nr_regions=(\d+) "
    r"(\d+)-(\d+): (\d+)(?: (\d+))?"
)
_STAMPED = re.compile(r"\d+\.\d+: ")


def _looks_like_trace(line: str) -> bool:
    return _STAMPED.search(line) is not None


def _traced(lines: Iterable[tuple[int, str]]) -> Iterator[Snapshot]:
    """Lines of the tracepoint: one for each region, `nr_regions` of them for a snapshot."""
    regions: dict[str, list[Region]] = {}
    before: dict[str, int] = {}
    found = 0
    for number, line in lines:
        match = _AGGREGATED.search(line)
        if match is None:
            continue
        seconds, fraction, target, count, start, end, accesses, age = match.groups()
        time = nanoseconds(seconds, fraction)
        gathered = regions.setdefault(target, [])
        if gathered and int(start) < gathered[-1].end:
            # An event was lost: this is the first region of another snapshot.
            gathered.clear()
        gathered.append(_region(start, end, accesses, age, f"line {number}"))
        if len(gathered) >= int(count):
            yield Snapshot(target, before.get(target), time, tuple(gathered))
            before[target] = time
            gathered.clear()
            found += 1
    if not found:
        raise RecordError(
            "no snapshot of DAMON is complete: each has nr_regions lines of damon_aggregated; "
            "record with a larger buffer (`perf record -m 8M`)"
        )


def _region(start: str, end: str, accesses: str, age: str | None, place: str) -> Region:
    """A region of decimal numbers; raises RecordError if there can be no such one."""
    # No address has more digits, and longer numbers take long to read.
    if max(map(len, (start, end, accesses, age or ""))) > 20:
        raise RecordError(f"{place}: a number is too long: {shown(f'{start}-{end}: {accesses}')}")
    region = Region(int(start), int(end), int(accesses), None if age is None else int(age))
    if not region.start < region.end <= _TOP or region.accesses > _MOST_ACCESSES:
        raise RecordError(
            f"{place}: expected start, end and accesses of a region, found "
            f"{shown(f'{start}-{end}: {accesses}')}"
        )
    return region


_RAW_REGION = re.compile(r"([0-9a-f]{6,16})-([0-9a-f]{6,16}) \([^)]*\)\s+(-?\d+)\s+(-?\d+)")
_RAW_KEY = re.compile(r"(\w[\w ]*):\s*(.*)")


@dataclass(slots=True)
class _RawForm:
    """The snapshot that is being read of the raw form; `expected` is None before its regions."""

    base: int = 0
    start: int = 0
    end: int = 0
    target: str = "0"
    expected: int | None = None
    regions: list[Region] = field(default_factory=list[Region])

    def snapshot(self) -> Iterator[Snapshot]:
        """What was read up to now, if that is one; and begin anew."""
        if self.expected is not None and self.regions:
            start, end = self.base + self.start, self.base + self.end
            yield Snapshot(self.target, start, end, tuple(self.regions))
        self.regions, self.expected = [], None

    def key(self, name: str, value: str, number: int) -> None:
        """A line such as "target_id: 0"."""
        match name:
            case "base_time_absolute":
                self.base = _time(value, number)
            case "monitoring_start":
                self.start = _time(value, number)
            case "monitoring_end":
                self.end = _time(value, number)
            case "target_id":
                self.target = value.strip()
            case "nr_regions":
                self.expected = int(value) if value.isdecimal() else 0
            case _:
                pass


def _raw_form(lines: Iterable[tuple[int, str]]) -> Iterator[Snapshot]:
    """The raw form of damo: times and target of a snapshot, then a line for each region."""
    form = _RawForm()
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        region = _RAW_REGION.fullmatch(text)
        if region is not None and form.expected is not None:
            start, end = str(int(region[1], 16)), str(int(region[2], 16))
            age = None if region[4].startswith("-") else region[4]
            if not region[3].startswith("-"):  # damo adds one to a record of a single snapshot
                form.regions.append(_region(start, end, region[3], age, f"line {number}"))
            continue
        key = _RAW_KEY.fullmatch(text)
        if key is None:
            raise RecordError(
                f"line {number}: expected a region such as "
                f"'7f2d53c00000-7f2d54400000 (8388608)  20  5', found {shown(line)}"
            )
        if key[1] in ("base_time_absolute", "monitoring_start"):
            yield from form.snapshot()
        form.key(key[1], key[2], number)
    yield from form.snapshot()


_UNITS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 24 * 3600 * 10**9,
}
_AMOUNT = re.compile(r"([\d,]+(?:\.\d+)?)\s*([a-z]*)")


def _time(value: object, where: int | str) -> int:
    """Nanoseconds of a time as damo writes it: 102400, "100 ms", "1 m 3.5 s"; or raises."""
    text = str(value).strip()
    total, rest = 0.0, text.removeprefix("-").strip()
    while rest:
        amount = _AMOUNT.match(rest)
        if amount is None or (amount[2] and amount[2] not in _UNITS):
            place = f"line {where}" if isinstance(where, int) else where
            raise RecordError(f"{place}: expected a time such as '100 ms', found {shown(text)}")
        number = amount[1].replace(",", "")
        scale = _UNITS[amount[2] or "ns"]
        total += int(number) * scale if number.isdecimal() else float(number) * scale
        rest = rest[amount.end() :].strip()
    return round(-total if text.startswith("-") else total)


def _whole(head: bytes, stream: BinaryIO) -> bytes:
    data = head + stream.read(MOST_JSON + 1)
    if len(data) > MOST_JSON:
        raise RecordError(_too_large())
    return data


def _decompressed(head: bytes, stream: BinaryIO) -> bytes:
    inflate = zlib.decompressobj()
    pieces: list[bytes] = []
    size, data = 0, head
    try:
        while data:
            piece = inflate.decompress(data, MOST_JSON + 1 - size)
            size += len(piece)
            if size > MOST_JSON:
                raise RecordError(_too_large())
            pieces.append(piece)
            data = inflate.unconsumed_tail or stream.read(1 << 20)
    except zlib.error as error:
        raise RecordError(f"it begins like the file of `damo record`, but {error}") from None
    if not inflate.eof:
        raise RecordError("it begins like the file of `damo record`, but ends too early")
    return b"".join(pieces)


def _too_large() -> str:
    return (
        f"it has more than {MOST_JSON >> 20} MiB of JSON, which is read as a whole; "
        f"`{PRINT}` prints the same as text, which is read line by line"
    )


def _json(data: bytes) -> Iterator[Snapshot]:
    """The records of `damo report access --json`, of an older one, or of a whole record."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"it begins like JSON, but is not: {error}") from None
    if isinstance(document, dict):
        table = cast(dict[str, Any], document)
        table = cast(dict[str, Any], table.get("damon_records") or table)
        document = table.get("record_list", [table])
    found = 0
    try:
        for record in cast(list[Any], document):
            for snapshot in _json_record(record):
                found += 1
                yield snapshot
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(
            f"snapshot {found + 1}: expected the JSON of `damo report access --json`, where "
            f"{_missing(error)}"
        ) from None
    if not found:
        raise RecordError("there are no snapshots in it; record for longer than an aggregation")


def _missing(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"a record has {error.args[0]!r}, which is not there"
    return f"something is of another kind ({error})"


def _json_record(record: Any) -> Iterator[Snapshot]:
    target = str(record["target_id"])
    intervals: dict[str, Any] = record.get("intervals") or {}
    sample = _interval(intervals, "sample_us")
    aggregation = _interval(intervals, "aggr_us")
    for number, snapshot in enumerate(record["snapshots"], 1):
        place = f"snapshot {number} of target {target}"
        own = snapshot.get("sample_interval_us")
        regions = [_json_region(region, place) for region in snapshot["regions"]]
        yield Snapshot(
            target,
            _time(snapshot["start_time"], place),
            _time(snapshot["end_time"], place),
            tuple(region for region in regions if region is not None),
            sample if own is None else _micro(own),
            aggregation,
        )


def _interval(intervals: dict[str, Any], key: str) -> int | None:
    return None if intervals.get(key) is None else _micro(intervals[key])


def _micro(value: object) -> int:
    """Nanoseconds of a time that is in microseconds unless it has units."""
    text = str(value).strip().replace(",", "")
    return int(text) * 1000 if text.isdecimal() else _time(text, "intervals")


def _json_region(region: Any, place: str) -> Region | None:
    accesses, age = region["nr_accesses"], region.get("age")
    if isinstance(accesses, dict):
        accesses = cast(dict[str, Any], accesses)["samples"]
    if isinstance(age, dict):
        age = cast(dict[str, Any], age).get("aggr_intervals")
    if _plain(accesses).startswith("-"):
        return None  # damo adds such a one to a record of a single snapshot
    start, end = _plain(region["start"]), _plain(region["end"])
    return _region(start, end, _plain(accesses), None if age is None else _plain(age), place)


def _plain(value: object) -> str:
    """The digits of a number, which damo can write with commas."""
    return str(value).replace(",", "")
