"""Turns the values of a TOML document into those of a workload, or says what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from policyc.runtime.checks import COMM_BYTES, checked_cgroup, did_you_mean
from policyc.runtime.units import parse_value, spell_value
from policyc.simulate.workload.schema import Field, Kind

__all__ = ["Given", "UnfitError", "convert", "describe"]

_DECIMAL = re.compile(r"([0-9][0-9_]{0,30}(?:\.[0-9]{1,12})?)([kKMGT]?)")
_RATE = re.compile(r"(.*?)(?:/s)?", re.DOTALL)
_BANDWIDTH = re.compile(r"(.*?)B?(?:/s)?", re.DOTALL)
_SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]+(?: [^\s\x00-\x1f\x7f]+)*")
_LONGEST_NAME = 200
_SHOWN = 60

_EXAMPLES = {
    Kind.TEXT: "a text",
    Kind.NAME: "a name in quotes",
    Kind.COMM: f"a name of at most {COMM_BYTES} bytes in quotes",
    Kind.CGROUP: 'a path such as "/kubepods/java"',
    Kind.BOOL: "true or false",
    Kind.INT: "a whole number",
    Kind.COUNT: 'a count such as 20_000_000 or "20M"',
    Kind.SIZE: 'a size such as "64K" or "8G", or a number of bytes',
    Kind.LIMIT: 'a size such as "8G", or "max"',
    Kind.DURATION: 'a duration such as "200ms" or "30s"',
    Kind.SHARE: 'a share such as "20%" or 0.2',
    Kind.NUMBER: "a number",
    Kind.RATE: 'a rate such as "1M/s", or a number a second',
    Kind.BANDWIDTH: 'a bandwidth such as "200G/s", or a number of bytes a second',
}


class Given(str):
    """A value from the command line: a text, which stands for a number where one belongs."""

    __slots__ = ()


class UnfitError(ValueError):
    """A value that does not fit; the text says what was found and what was expected."""


def describe(value: object) -> str:
    """A value as an error message shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(str(value) if len(value) <= _SHOWN else value[:_SHOWN] + "...")
    if isinstance(value, int | float):
        text = str(value) if abs(value) < 10**40 else "a number beyond all bounds"
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "an array"
    return "a date or time"


def convert(field: Field, value: object) -> Any:
    """The value of a key that takes a single one; raises UnfitError."""
    expected = _expected(field)
    found = _parsed(field, value)
    if found is None:
        hint = did_you_mean(value, field.choices) if isinstance(value, str) else ""
        raise UnfitError(f"found {describe(value)}, expected {expected}{hint}")
    if isinstance(found, int | float) and not isinstance(found, bool):
        _check_range(field, found, value, expected)
    return None if found == "max" and field.kind is Kind.LIMIT else found


def _expected(field: Field) -> str:
    if field.kind is Kind.CHOICE:
        *most, last = field.choices
        return f"{', '.join(most)} or {last}"
    return _EXAMPLES[field.kind]


def _check_range(field: Field, found: float, value: object, expected: str) -> None:
    high = 1.0 if field.kind is Kind.SHARE else field.high
    if found < field.low or (high is not None and found > high):
        low, top = _spelled(field.kind, field.low), high and _spelled(field.kind, high)
        bounds = f"at least {low}" if top is None else f"{low} to {top}"
        raise UnfitError(f"found {describe(value)}, expected {expected}, {bounds}")


def _spelled(kind: Kind, value: float) -> str:
    match kind:
        case Kind.SIZE | Kind.LIMIT:
            return spell_value("size", int(value))
        case Kind.DURATION:
            return spell_value("duration", int(value)) if value else "0"
        case Kind.SHARE:
            return f"{value:.0%}"
        case _:
            return f"{int(value)}" if value == int(value) and value < 10**20 else f"{value:g}"


def _parsed(field: Field, value: object) -> Any:
    """The value, None if it is nothing of the kind."""
    if isinstance(value, Given) and field.kind not in _TEXTS:
        value = _typed(value)
    match field.kind:
        case Kind.BOOL:
            return value if isinstance(value, bool) else None
        case Kind.CHOICE:
            return str(value) if isinstance(value, str) and value in field.choices else None
        case Kind.TEXT | Kind.NAME | Kind.COMM | Kind.CGROUP:
            return _text(field.kind, value)
        case Kind.SIZE | Kind.LIMIT | Kind.DURATION:
            return _quantity(field.kind, value)
        case Kind.INT:
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case Kind.COUNT | Kind.BANDWIDTH:
            number = _decimal(field.kind, value)
            return None if number is None or number != int(number) else int(number)
        case Kind.SHARE:
            return _share(value)
        case Kind.NUMBER | Kind.RATE:
            number = _decimal(field.kind, value)
            return None if number is None else float(number)
        case _:
            return None


_TEXTS = (Kind.TEXT, Kind.NAME, Kind.COMM, Kind.CGROUP, Kind.CHOICE)


def _typed(text: Given) -> object:
    """What the text of a command line would be in a document."""
    if text in ("true", "on", "false", "off"):
        return text in ("true", "on")
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _text(kind: Kind, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    text = str(value)
    if kind is Kind.NAME and text:
        return text if _NAME.fullmatch(text) and len(text) <= _LONGEST_NAME else None
    if kind is Kind.COMM:
        return text if len(text.encode()) <= COMM_BYTES and "\0" not in text else None
    if kind is Kind.CGROUP:
        try:
            return checked_cgroup("cgroup", text)
        except ValueError:
            return None
    return text


def _quantity(kind: Kind, value: object) -> int | str | None:
    """A size in bytes or a duration in nanoseconds; of durations only 0 needs no unit."""
    if kind is Kind.LIMIT and value == "max":
        return "max"
    if isinstance(value, int) and not isinstance(value, bool):
        return value if kind is not Kind.DURATION or value == 0 else None
    if not isinstance(value, str) or (kind is Kind.DURATION and value.strip().isdecimal()):
        return 0 if value == "0" else None
    try:
        return parse_value("duration" if kind is Kind.DURATION else "size", value)
    except ValueError:
        return None


def _decimal(kind: Kind, value: object) -> float | int | None:
    """A number, or a text such as "1.5M", "1M/s" or "200GB/s" with a power of a thousand."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**40 else math.copysign(1e40, value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or kind is Kind.NUMBER:
        return None
    unit = {Kind.RATE: _RATE, Kind.BANDWIDTH: _BANDWIDTH}.get(kind)
    stripped = unit.fullmatch(value.strip()) if unit else None
    number = _DECIMAL.fullmatch(stripped[1] if stripped else value.strip())
    if number is None:
        return None
    digits, scale = number[1].replace("_", ""), _SCALES[number[2]]
    exact = round(float(digits) * scale, 6) if "." in digits else int(digits) * scale
    return int(exact) if exact == int(exact) else exact


def _share(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return parse_value("percent", value) / 10_000 if value.endswith("%") else None
        except ValueError:
            return None
    number = _decimal(Kind.NUMBER, value)
    return None if number is None else float(number)
