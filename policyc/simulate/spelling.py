"""Figures as people read them: 1.25 GiB, 3.4 us, 12,345."""

from __future__ import annotations

from policyc.simulate.figures import Unit

__all__ = ["spell", "spell_bytes", "spell_count", "spell_order", "spell_seconds"]

#: Counts below this are written out.
_WRITTEN_OUT = 1_000_000


def spell(value: float, unit: Unit) -> str:
    """A figure with its unit, in about four digits."""
    match unit:
        case "bytes":
            return spell_bytes(value)
        case "seconds":
            return spell_seconds(value)
        case "percent":
            return f"{_digits(value)}%"
        case "rate":
            return f"{spell_count(value)}/s"
        case "count":
            return spell_count(value)


def spell_bytes(value: float) -> str:
    """Bytes in the largest binary unit of which there is at least one."""
    for unit, scale in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        # What rounds up to 1024 of a unit is one of the next.
        if abs(value) >= scale * 0.9995:
            return f"{_digits(value / scale)} {unit}"
    return f"{value:.0f} B"


def spell_seconds(value: float) -> str:
    """Seconds in the largest unit of which there is at least one; seconds from there on."""
    if value == 0:
        return "0 s"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= scale * 0.9995:
            return f"{_digits(value / scale)} {unit}"
    return f"{_digits(value * 1e9)} ns"


def spell_count(value: float) -> str:
    """A count with its thousands apart, in millions where it is long; a mean may have parts."""
    if abs(value) >= 1000 * _WRITTEN_OUT:
        return f"{_digits(value / 1e9)} G"
    if abs(value) >= _WRITTEN_OUT:
        return f"{_digits(value / 1e6)} M"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else _digits(value)


def spell_order(order: int, page_size: int) -> str:
    """The size of a folio as people call it: 64K, 2M."""
    size = page_size << order
    return f"{size >> 20}M" if size % (1 << 20) == 0 else f"{size >> 10}K"


def _digits(value: float) -> str:
    """Three digits that count, more only before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"
