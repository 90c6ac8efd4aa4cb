"""The pages of one mapping: which folio maps each, on which node, and what is in it.

One byte a page and fact, so that 64 GiB of 4 KiB pages are some 100 MB. Index 0 is on a PMD
boundary: a mapping that starts behind one has pages that are OUTSIDE before and after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.workload.specification import Vma

if TYPE_CHECKING:
    from policyc.simulate.model.host import ProcessState
    from policyc.simulate.model.patterns import Stream

__all__ = [
    "HUGE_ZERO",
    "LARGEST",
    "NONE",
    "OUTSIDE",
    "SWAPPED",
    "ZERO",
    "Area",
    "Bools",
    "Bytes",
    "Pages",
]

#: Indices of pages, from the start of the area.
Pages = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

#: Values of `Area.folio` above any order.
OUTSIDE, HUGE_ZERO, ZERO, SWAPPED, NONE = 251, 252, 253, 254, 255

#: `folio <= LARGEST`: memory of its own is mapped.
LARGEST = 31

#: No node.
NOWHERE = 255


@dataclass(slots=True, eq=False)
class Area:
    """A mapping of a process, or a shmem object.

    `folio` has the order of the folio that maps a page, or one of NONE (never touched, or
    freed), SWAPPED, ZERO (the shared zero page), HUGE_ZERO, OUTSIDE. `filled`: something
    other than zeros was written. `young`: accessed since a scan cleared it. `protected`:
    marked for a hint fault. `cow`: shared with another process until one of them writes.
    `borrowed`: of such a page, it is charged to the other one.

    `first` is the index of its first page, `pages` their number, `length` that of the
    arrays, a multiple of the PMD size. The counts are kept by `folios.py`, which makes all
    changes: `by_order` pages in folios of each order, `by_node` pages by node, `missing`
    pages that fault when touched (NONE and SWAPPED), `zero_mapped` pages that fault when
    written (ZERO and HUGE_ZERO), `protected_count`, `cow_count`.
    """

    process: ProcessState
    vma: Vma
    first: int
    pages: int
    block: int
    folio: Bytes
    node: Bytes
    filled: Bools
    young: Bools
    protected: Bools
    by_order: list[int]
    by_node: list[int]
    missing: int
    zero_mapped: int = 0
    swapped: int = 0
    protected_count: int = 0
    cow: Bools | None = None
    borrowed: Bools | None = None
    cow_count: int = 0
    #: For tiering mode: when a page was marked, in ms; made when first used.
    stamp: NDArray[np.uint32] | None = None
    #: For the two-stage filter: node of the last hint fault, NOWHERE if none.
    last_node: Bytes | None = None
    #: Has a page table for small pages: such a block is not "pmd_none" when all are freed.
    tables: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    #: Pages resident, but zero-filled: never written, or written with zeros only.
    unfilled: int = 0
    #: Pages that were unmapped from the middle of a PMD folio, still charged: by block.
    lingering: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    #: Other areas that share its pages since a fork.
    relatives: list[Area] = field(default_factory=list["Area"])
    #: The accesses that go on, and a number that changes with them.
    streams: list[Stream] = field(default_factory=list["Stream"])
    version: int = 0
    #: Unmapped for good: its process has ended.
    freed: bool = False
    #: khugepaged was told of it (khugepaged_enter_vma).
    registered: bool = False
    #: Whatever a mechanism keeps for an area, by the name of its module.
    notes: dict[str, object] = field(default_factory=dict[str, object])

    @classmethod
    def make(
        cls, process: ProcessState, vma: Vma, page_size: int, pmd_order: int, nodes: int
    ) -> Area:
        """An empty mapping. Its size is rounded up to whole pages."""
        block = 1 << pmd_order
        pages = max(1, -(-vma.size // page_size))
        first = vma.misalign // page_size % block
        length = -(-(first + pages) // block) * block
        folio = np.full(length, OUTSIDE, np.uint8)
        folio[first : first + pages] = NONE
        return cls(
            process=process,
            vma=vma,
            first=first,
            pages=pages,
            block=block,
            folio=folio,
            node=np.full(length, NOWHERE, np.uint8),
            filled=np.zeros(length, np.bool_),
            young=np.zeros(length, np.bool_),
            protected=np.zeros(length, np.bool_),
            by_order=[0] * (pmd_order + 1),
            by_node=[0] * nodes,
            missing=pages,
            tables=np.zeros(length // block, np.bool_),
        )

    @property
    def order(self) -> int:
        """The PMD order."""
        return len(self.by_order) - 1

    @property
    def length(self) -> int:
        """Pages in the arrays."""
        return len(self.folio)

    @property
    def end(self) -> int:
        """The index behind the last page."""
        return self.first + self.pages

    @property
    def blocks(self) -> int:
        """PMD-sized blocks in the arrays."""
        return self.length // self.block

    @property
    def resident(self) -> int:
        """Pages with memory of their own (or borrowed by fork)."""
        return sum(self.by_order)

    @property
    def advised(self) -> bool:
        """VM_HUGEPAGE."""
        return self.vma.advice == "hugepage"

    def rows(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """A view of an array of the area with a row for each PMD-sized block."""
        return values.reshape(self.blocks, self.block)
