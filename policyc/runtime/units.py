"""Numbers of the language as text: percentages, durations and sizes with their units."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["parse_value", "spell_value"]

_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SIZE_UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_PERCENT = re.compile(r"([0-9][0-9_]*)(?:\.([0-9]{1,2})0*)?%", re.ASCII)
_QUANTITY = re.compile(r"([0-9][0-9_]*)([A-Za-z]*)", re.ASCII)
_BOOLS = {"true": 1, "on": 1, "1": 1, "false": 0, "off": 0, "0": 0}
_LONGEST_NUMBER = 40
_SPELLINGS = {
    "bool": "true or false",
    "int": "a number such as 3",
    "size": "a size such as 64K or 2M",
    "duration": "a duration such as 200ms",
    "percent": "a percentage such as 12.5%",
    "orders": "a mask of orders",
}


def parse_value(kind: str, text: str) -> int:
    """The number that a text such as "12.5%", "200ms", "8M" or "true" stands for.

    A bare number is in the units of the language: hundredths of a percent, nanoseconds, bytes.
    """
    value = _parsed(kind, text.strip())
    if value is None:
        raise ValueError(f"expected {_SPELLINGS[kind]}, got {text!r}")
    return value


def _parsed(kind: str, text: str) -> int | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    if kind == "bool":
        return _BOOLS.get(text)
    if kind == "percent" and (percent := _PERCENT.fullmatch(text)):
        return int(percent[1]) * 100 + int((percent[2] or "0").ljust(2, "0"))
    quantity = _QUANTITY.fullmatch(text)
    if quantity is None:
        return None
    scale = _scale(kind, quantity[2])
    return None if scale is None else int(quantity[1].replace("_", "")) * scale


def _scale(kind: str, unit: str) -> int | None:
    if not unit:
        return 1
    if kind == "duration":
        return _DURATION_UNITS.get(unit)
    if kind == "size":
        return _SIZE_UNITS.get(unit.removesuffix("iB") if len(unit) == 3 else unit)
    return None


def spell_value(kind: str, value: int) -> str:
    """A number of the language as a policy would write it: 1250 of kind percent as "12.5%"."""
    match kind:
        case "bool":
            return "true" if value else "false"
        case "percent":
            return f"{value // 100}.{value % 100:02}".rstrip("0").rstrip(".") + "%"
        case "duration":
            return _with_unit(value, _DURATION_UNITS)
        case "size":
            return _with_unit(value, _SIZE_UNITS)
        case _:
            return str(value)


def _with_unit(value: int, units: Mapping[str, int]) -> str:
    """The value in the largest unit that it is a whole number of; the units ascend."""
    fitting = [unit for unit, scale in units.items() if value % scale == 0 and value >= scale]
    unit = fitting[-1] if fitting else next(iter(units))
    return f"{value // units[unit]}{unit}"
