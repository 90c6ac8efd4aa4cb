"""The free memory of a node by order (mm/page_alloc.c, a buddy allocator by its counts).

The model knows numbers of blocks and no addresses, so whether the buddy of a freed page is
free cannot be looked up. It is settled by two pools:

- the *whole* pool: memory whose neighbours are freed with it, because processes get and give
  back memory in runs. Its blocks always merge again, so it is as good as packed: of F pages,
  F >> order folios of an order can be had, and the pool is one number;
- the *broken* pool: blocks below the PMD order whose buddies are used by something that
  stays. They split when a smaller folio is asked for, and merge again up to the size they had
  at the start, never further. Only compaction takes pages out of this pool for good.

Small folios are taken from the smallest broken block that fits, as `__rmqueue_smallest` does,
then from the whole pool; a folio of the PMD order or more comes from the whole pool only.
"""

from __future__ import annotations

__all__ = ["MAX_ORDER", "FreeLists"]

#: MAX_PAGE_ORDER of x86-64 and arm64 with 4 KiB pages.
MAX_ORDER = 10


class FreeLists:
    """Free pages of one node.

    `allocate` and `release` take numbers of folios of an order and know no addresses. Each
    call takes a time that depends on the number of orders only.
    """

    __slots__ = ("_below", "_broken", "_cap", "_small", "_taken", "_whole", "pages", "pmd_order")

    def __init__(self, pages: int, pmd_order: int = 9, fragmentation: float = 0.0) -> None:
        """`fragmentation` is the share of the pages that lie in the broken pool at the start,
        in equal shares for each order below PMD, as far as whole blocks allow; what is left
        over is single pages.

        Raises ValueError for a share outside 0 to 1.
        """
        if not 0.0 <= fragmentation <= 1.0:
            raise ValueError(f"fragmentation is a share from 0 to 1, not {fragmentation}")
        self.pages = pages
        self.pmd_order = pmd_order
        fragments = int(pages * fragmentation)
        share = fragments // pmd_order if pmd_order else 0
        self._broken = [share >> order for order in range(pmd_order)]
        self._broken[0] += fragments - sum(n << order for order, n in enumerate(self._broken))
        #: How many blocks of each order the broken pool has when nothing is taken from it.
        self._cap = list(self._broken)
        self._below = fragments
        self._whole = pages - fragments
        #: Pages taken from the broken pool, and of all folios below the PMD order.
        self._taken = 0
        self._small = 0

    @property
    def free_pages(self) -> int:
        """All free pages."""
        return self._whole + self._below

    def counts(self) -> tuple[int, ...]:
        """Free blocks of each order from 0 to MAX_ORDER, as /proc/buddyinfo shows them."""
        top = self._whole >> MAX_ORDER
        found = [(self._whole >> order) & 1 for order in range(MAX_ORDER)] + [top]
        for order, blocks in enumerate(self._broken):
            found[order] += blocks
        return tuple(found)

    def available(self, order: int) -> int:
        """How many folios of an order `allocate` could give."""
        broken = sum(n << (k - order) for k, n in enumerate(self._broken) if k >= order)
        return (self._whole >> order) + broken

    def allocate(self, order: int, count: int) -> int:
        """Take up to `count` folios of an order; how many there were."""
        if count <= 0:
            return 0
        got = self._take_broken(order, count) if order < self.pmd_order else 0
        more = min(count - got, self._whole >> order)
        self._whole -= more << order
        if order < self.pmd_order:
            self._small += (got + more) << order
        return got + more

    def release(self, order: int, count: int, *, scattered: bool = False) -> None:
        """Give folios back.

        Small folios go to the pools in proportion to what is out of each. `scattered` says
        that these lie among pages that stay (the zero pages of a split folio): they stay
        broken until compaction.

        Raises ValueError where more is given back than was taken.
        """
        if count <= 0:
            return
        number = count << order
        if self.free_pages + number > self.pages:
            raise ValueError(
                f"{number} pages are given back to a node that lacks {self.pages - self.free_pages}"
            )
        if order >= self.pmd_order:
            self._whole += number
            return
        if scattered:
            self._broken[order] += count
            self._cap[order] += count
            self._below += number
            return
        out = max(self._small, number, self._taken)
        back = min(self._taken * number // out, self._taken) >> order
        self._small = max(0, self._small - number)
        self._give_broken(order, back)
        self._whole += number - (back << order)

    def compact(self, order: int, count: int) -> int:
        """Make room for up to `count` folios by moving used pages out of the way
        (mm/compaction.c); how many pages were moved.

        As in `__compaction_suitable`, there must be twice the size of a folio free beyond it.
        A block of free share f needs (1 - f) of its pages moved, f being the share of free
        pages in memory that is not in whole blocks.
        """
        size = 1 << order
        wanted = max(0, count - self.available(order))
        wanted = min(wanted, self._below // size)
        while wanted and self.free_pages < (wanted + 2) * size:
            wanted -= 1
        if not wanted:
            return 0
        share = self._below / max(1, self.pages - self._whole)
        need = wanted * size
        self._drain(need)
        self._whole += need
        return int(wanted * size * (1.0 - share))

    def _take_broken(self, order: int, count: int) -> int:
        """Folios from broken blocks, the smallest block first."""
        got = 0
        for larger in range(order, self.pmd_order):
            if got == count:
                break
            shift = larger - order
            blocks = min(self._broken[larger], -(-(count - got) >> shift))
            if not blocks:
                continue
            used = min(count - got, blocks << shift)
            self._broken[larger] -= blocks
            rest = (blocks << shift) - used
            # What is left of the last block is free in one block for each bit of its size.
            for bit in range(shift):
                self._broken[order + bit] += (rest >> bit) & 1
            got += used
        self._taken += got << order
        self._below -= got << order
        return got

    def _give_broken(self, order: int, count: int) -> None:
        """Blocks back, merged where an order has more than at the start."""
        self._taken -= count << order
        self._below += count << order
        self._broken[order] += count
        for small in range(self.pmd_order - 1):
            excess = self._broken[small] - self._cap[small]
            if excess > 1:
                self._broken[small] -= excess // 2 * 2
                self._broken[small + 1] += excess // 2

    def _drain(self, pages: int) -> None:
        """Take pages out of the broken pool for good, the largest blocks first."""
        self._below -= pages
        for order in reversed(range(self.pmd_order)):
            blocks = min(self._broken[order], pages >> order)
            self._broken[order] -= blocks
            self._cap[order] = max(0, self._cap[order] - blocks)
            pages -= blocks << order
        if pages:
            self._break_up(pages)

    def _break_up(self, pages: int) -> None:
        """Take fewer pages than the smallest block that is left has."""
        order = next(order for order, blocks in enumerate(self._broken) if blocks)
        self._broken[order] -= 1
        self._cap[order] = max(0, self._cap[order] - 1)
        rest = (1 << order) - pages
        for bit in range(order):
            if rest >> bit & 1:
                self._broken[bit] += 1
                self._cap[bit] += 1
