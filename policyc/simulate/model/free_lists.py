"""The free memory of a node by order (mm/page_alloc.c, a buddy allocator by its counts)."""

from __future__ import annotations

__all__ = ["FreeLists"]


class FreeLists:
    """Free pages of one node.

    `allocate` and `release` take numbers of folios of an order and know no addresses.
    """

    __slots__ = ("free_pages", "pages")

    def __init__(self, pages: int, pmd_order: int = 9, fragmentation: float = 0.0) -> None:
        self.pages = pages
        self.free_pages = pages

    def allocate(self, order: int, count: int) -> int:
        """Take up to `count` folios of an order; how many there were."""
        got = min(count, self.free_pages >> order)
        self.free_pages -= got << order
        return got

    def release(self, order: int, count: int) -> None:
        """Give folios back."""
        self.free_pages += count << order
