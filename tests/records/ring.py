"""A BPF ring buffer, read through its memory: the records are taken in the order of reserving."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from policyc.kernel.maps import Map
from policyc.kernel.objects import Loaded

__all__ = ["Ring", "counts", "recorded", "records_of"]

#: What the kernel puts in front of each record: its length with two flag bits, and an offset.
_HEADER = struct.Struct("=II")
_BUSY = 1 << 31
_DISCARDED = 1 << 30
_LENGTH = _DISCARDED - 1


class Ring:
    """The ring buffer of a map."""

    def __init__(self, map: Map) -> None:
        map_fd, size = map.descriptor, map.max_entries
        self._size = size
        self._consumer = mmap.mmap(map_fd, mmap.PAGESIZE)
        # The data is mapped twice, one after the other, so that no record is torn.
        self._producer = mmap.mmap(
            map_fd,
            mmap.PAGESIZE + 2 * size,
            prot=mmap.PROT_READ,
            offset=mmap.PAGESIZE,
        )

    def take(self) -> bytes:
        """All records that are complete, with their headers; they are gone from the buffer."""
        (start,) = struct.unpack_from("=Q", self._consumer)
        (limit,) = struct.unpack_from("=Q", self._producer)
        first = mmap.PAGESIZE + start % self._size
        end = first
        while end - first < limit - start:
            length, _ = _HEADER.unpack_from(self._producer, end)
            if length & _BUSY:
                break
            end += _taken(length)
        data = self._producer[first:end]
        struct.pack_into("=Q", self._consumer, 0, start + len(data))
        return data

    def close(self) -> None:
        """Unmap the buffer."""
        self._consumer.close()
        self._producer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _taken(length: int) -> int:
    """How many bytes a record takes with its header; records begin at multiples of eight."""
    return (_HEADER.size + (length & _LENGTH) + 7) & ~7


def records_of(data: bytes) -> Iterator[bytes]:
    """The records in what `take` gave; discarded ones are left out."""
    place = 0
    while place < len(data):
        length, _ = _HEADER.unpack_from(data, place)
        start = place + _HEADER.size
        if not length & _DISCARDED:
            yield data[start : start + (length & _LENGTH)]
        place += _taken(length)


def counts(loaded: Loaded) -> tuple[int, int]:
    """How often a recording program was asked, and how many decisions found no room."""
    value = loaded.map("record_counts").lookup(bytes(4))
    assert value is not None
    asked, dropped = struct.unpack("=QQ", value)
    return asked, dropped


def recorded(loaded: Loaded) -> tuple[bytes, int, int]:
    """The records of a program that nobody asks now, and its counts."""
    with Ring(loaded.map("records")) as ring:
        return ring.take(), *counts(loaded)
