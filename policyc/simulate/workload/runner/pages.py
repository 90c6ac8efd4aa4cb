"""What maps the pages of another process: folios, nodes, and what is in them."""

from __future__ import annotations

import array
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Contents", "contents", "smaps"]

_PRESENT, _SWAPPED, _PFN = 1 << 63, 1 << 62, (1 << 55) - 1
_HEAD, _TAIL, _ZERO_PAGE = 1 << 15, 1 << 16, 1 << 24

#: No folio of Linux has more pages, on any architecture, than 2 ** this.
_LARGEST = 20


@dataclass(slots=True)
class Contents:
    """A mapping: bytes in folios by their order, of zero pages, in swap, and by node.

    `zero_inside` are the bytes of pages of large folios that hold nothing but zeros. Without
    the privilege to see page frames only `smaps` is there, and `exact` is False.
    """

    exact: bool = False
    by_order: Counter[int] = field(default_factory=Counter[int])
    by_node: Counter[int] = field(default_factory=Counter[int])
    zero_page: int = 0
    swapped: int = 0
    zero_inside: int = 0
    smaps: dict[str, int] = field(default_factory=dict[str, int])


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


def contents(pid: int, start: int, size: int, page: int, pmd_order: int) -> Contents:
    """Look at a mapping. Raises OSError when the process is gone."""
    found = Contents(smaps=smaps(pid, start, size))
    _count_nodes(pid, start, size, found, page)
    pagemap = _words(f"/proc/{pid}/pagemap", start // page, size // page)
    frames = [entry & _PFN if entry & _PRESENT else 0 for entry in pagemap]
    found.swapped = page * sum(1 for entry in pagemap if entry & _SWAPPED)
    if not any(frames) or not Path("/proc/kpageflags").exists():
        found.exact = not any(entry & _PRESENT for entry in pagemap)
        huge = sum(
            found.smaps.get(name, 0)
            for name in ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped")
        )
        found.by_order[pmd_order] = huge
        found.by_order[0] = found.smaps.get("Rss", 0) - huge
        return found
    found.exact = True
    flags = _Flags()
    large: list[int] = []
    for index, frame in enumerate(frames):
        if frame == 0:
            continue
        if flags.of(frame) & _ZERO_PAGE:
            found.zero_page += page
            continue
        order = flags.order(frame)
        found.by_order[order] += page
        if order:
            large.append(index)
    found.zero_inside = page * _zeros(pid, start, large, page)
    return found


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

    def order(self, frame: int) -> int:
        """The order of the folio that a page frame is in."""
        flags = self.of(frame)
        if not flags & (_HEAD | _TAIL):
            return 0
        head = frame
        while not self.of(head) & _HEAD:
            head -= 1
        if head not in self._orders:
            # A folio is aligned, so the next head or page of its own bounds its size.
            end = head + 1
            while end - head < 1 << _LARGEST and self.of(end) & _TAIL:
                end += 1
            self._orders[head] = (end - head).bit_length() - 1
        return self._orders[head]


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


def _count_nodes(pid: int, start: int, size: int, found: Contents, page: int) -> None:
    path = Path(f"/proc/{pid}/numa_maps")
    if not path.exists():
        return
    for line in path.read_text("utf-8", "replace").splitlines():
        address, *words = line.split()
        if not start <= int(address, 16) < start + size:
            continue
        unit = page
        for word in words:
            if word.startswith("kernelpagesize_kB="):
                unit = int(word.partition("=")[2]) * 1024
        for word in words:
            node, _, pages = word.partition("=")
            if node[:1] == "N" and node[1:].isdecimal():
                found.by_node[int(node[1:])] += int(pages) * unit
