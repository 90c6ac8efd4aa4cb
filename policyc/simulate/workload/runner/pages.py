"""What maps the pages of other processes: folios, nodes, and what is in them."""

from __future__ import annotations

import array
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Survey", "children", "smaps"]

_PRESENT, _SWAPPED, _PFN = 1 << 63, 1 << 62, (1 << 55) - 1
_HEAD, _TAIL, _ZERO_PAGE = 1 << 15, 1 << 16, 1 << 24

#: No folio of Linux has more pages, on any architecture, than 2 ** this.
_LARGEST = 20

#: The lines of smaps with what is mapped by a PMD.
_PMD_MAPPED = ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped")


def smaps(pid: int, start: int, size: int) -> dict[str, int]:
    """The lines of /proc/PID/smaps of what is in a range: bytes by name, summed."""
    found: dict[str, int] = {}
    inside = False
    with Path(f"/proc/{pid}/smaps").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            head, _, rest = line.partition(" ")
            if not head.endswith(":"):
                first, _, last = head.partition("-")
                inside = int(first, 16) < start + size and int(last, 16) > start
            elif inside and rest.rstrip().endswith("kB"):
                name = head[:-1]
                found[name] = found.get(name, 0) + int(rest.split()[0]) * 1024
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has forked and that are still there."""
    found: list[int] = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            text = (directory / "stat").read_text("utf-8", "replace")
        except OSError:
            continue  # it has just ended
        # behind comm, which may hold anything: the state and the parent
        if int(text.rpartition(")")[2].split()[1]) == pid:
            found.append(int(directory.name))
    return sorted(found)


class Survey:
    """A mapping of a process and of the children that share it: what there is, each page once.

    Bytes: `by_order` in folios by their order, `by_node`, `zero_page` of zero pages, `swapped`,
    `pmd_mapped` what the process itself maps by PMDs, `zero_inside` pages of large folios that
    hold only zeros. `lingering` is what of its large folios nothing maps any more. Without the
    privilege to see page frames `exact` is False, and `by_order` is what smaps tells.
    """

    def __init__(self, page: int, pmd_order: int, seen: set[int] | None = None) -> None:
        self._page = page
        self._pmd_order = pmd_order
        self._seen = set[int]() if seen is None else seen
        self._flags = _Flags()
        self._heads: dict[int, int] = {}
        self._in_large = 0
        self.exact = False
        self.by_order = Counter[int]()
        self.by_node = Counter[int]()
        self.zero_page = self.swapped = self.zero_inside = self.pmd_mapped = 0
        self.smaps: dict[str, int] = {}

    @property
    def lingering(self) -> int:
        """Bytes of large folios that nothing here maps."""
        return self._page * (sum(1 << order for order in self._heads.values()) - self._in_large)

    def look(self, pid: int, start: int, size: int) -> None:
        """Look at the mapping of a process. Raises OSError when it is gone."""
        self.smaps = smaps(pid, start, size)
        self.pmd_mapped = sum(self.smaps.get(name, 0) for name in _PMD_MAPPED)
        pagemap = _words(f"/proc/{pid}/pagemap", start // self._page, size // self._page)
        self.swapped = self._page * sum(1 for entry in pagemap if entry & _SWAPPED)
        frames = [entry & _PFN if entry & _PRESENT else 0 for entry in pagemap]
        present = any(entry & _PRESENT for entry in pagemap)
        if present and not (any(frames) and Path("/proc/kpageflags").exists()):
            self.by_order[self._pmd_order] = self.pmd_mapped
            self.by_order[0] = self.smaps.get("Rss", 0) - self.pmd_mapped
            return
        self.exact = True
        large = list(self._count(frames))
        self.zero_inside += self._page * _zeros(pid, start, large, self._page)

    def look_at_child(self, pid: int, start: int, size: int) -> None:
        """Look at what a child of the process has besides."""
        pagemap = _words(f"/proc/{pid}/pagemap", start // self._page, size // self._page)
        frames = [entry & _PFN if entry & _PRESENT else 0 for entry in pagemap]
        large = list(self._count(frames))
        self.zero_inside += self._page * _zeros(pid, start, large, self._page)

    def _count(self, frames: list[int]) -> Iterator[int]:
        """Count frames that were not seen yet; the indices of those in large folios."""
        nodes = _Nodes()
        for index, frame in enumerate(frames):
            if frame == 0:
                continue
            if self._flags.of(frame) & _ZERO_PAGE:
                self.zero_page += self._page
                continue
            if frame in self._seen:
                continue
            self._seen.add(frame)
            head, order = self._flags.folio(frame)
            self.by_order[order] += self._page
            self.by_node[nodes.of(frame)] += self._page
            if order:
                self._heads[head] = order
                self._in_large += 1
                yield index


class _Flags:
    """/proc/kpageflags, read in pieces."""

    _PIECE = 4096

    def __init__(self) -> None:
        self._pieces: dict[int, array.array[int]] = {}
        self._orders: dict[int, int] = {}

    def of(self, frame: int) -> int:
        """The flags of a page frame."""
        number, index = divmod(frame, self._PIECE)
        piece = self._pieces.get(number)
        if piece is None:
            piece = _words("/proc/kpageflags", number * self._PIECE, self._PIECE)
            self._pieces[number] = piece
        return piece[index] if index < len(piece) else 0

    def folio(self, frame: int) -> tuple[int, int]:
        """The first frame and the order of the folio that a page frame is in."""
        if not self.of(frame) & (_HEAD | _TAIL):
            return frame, 0
        head = frame
        while not self.of(head) & _HEAD:
            head -= 1
        if head not in self._orders:
            # the next head, or page of its own, bounds its size
            end = head + 1
            while end - head < 1 << _LARGEST and self.of(end) & _TAIL:
                end += 1
            self._orders[head] = (end - head).bit_length() - 1
        return head, self._orders[head]


class _Nodes:
    """The NUMA node of a page frame, by the spans of zones in /proc/zoneinfo."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int, int]] = []
        node = spanned = 0
        for line in Path("/proc/zoneinfo").read_text("ascii").splitlines():
            words = line.split()
            if words[:1] == ["Node"]:
                node = int(words[1].rstrip(","))
            elif words[:1] == ["spanned"]:
                spanned = int(words[1])
            elif words[:1] == ["start_pfn:"] and spanned:
                self._spans.append((int(words[1]), int(words[1]) + spanned, node))

    def of(self, frame: int) -> int:
        """The node."""
        return next((node for low, high, node in self._spans if low <= frame < high), 0)


def _words(path: str, index: int, count: int) -> array.array[int]:
    """`count` 64-bit numbers of a file of /proc, from one on."""
    found = array.array("Q")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(descriptor, count * 8, index * 8)
    finally:
        os.close(descriptor)
    found.frombytes(data[: len(data) // 8 * 8])
    return found


def _zeros(pid: int, start: int, indices: list[int], page: int) -> int:
    """How many of some pages, by their index, hold only zeros."""
    if not indices:
        return 0
    nothing = bytes(page)
    descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        return sum(os.pread(descriptor, page, start + index * page) == nothing for index in indices)
    finally:
        os.close(descriptor)
