"""Page sizes as text and as orders."""

from __future__ import annotations

from policyc.runtime.units import parse_value, spell_value
from policyc.simulate.workload.conversions import UnfitError

__all__ = ["order_of"]


def order_of(text: str, page_size: int, lowest: int, highest: int) -> int:
    """The order of a page size such as "64K" where base pages have `page_size` bytes."""
    low, high = (spell_value("size", page_size << order) for order in (lowest, highest))
    try:
        size = parse_value("size", text)
    except ValueError:
        raise UnfitError(f"found {text!r}, expected a page size of {low} to {high}") from None
    pages, rest = divmod(size, page_size)
    order = pages.bit_length() - 1
    if rest or pages.bit_count() != 1 or not lowest <= order <= highest:
        base = spell_value("size", page_size)
        raise UnfitError(
            f"found {text!r}, expected a power of two from {low} to {high} (base pages have {base})"
        )
    return order
