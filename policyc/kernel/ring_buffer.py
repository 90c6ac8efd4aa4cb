"""Reading what programs put into a ring buffer."""

from __future__ import annotations

import ctypes

from policyc.kernel.closing import Closing
from policyc.kernel.errors import KernelError
from policyc.kernel.library import libbpf
from policyc.kernel.maps import Map

__all__ = ["RingBuffer"]

_Sample = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class RingBuffer(Closing):
    """A reader of a BPF_MAP_TYPE_RINGBUF; a context manager."""

    def __init__(self, map: Map) -> None:
        self._records: list[bytes] = []
        # Kept here because libbpf holds nothing but its address.
        self._callback = _Sample(self._take)
        self._handle = libbpf().ring_buffer__new(map.descriptor, self._callback, None, None)
        if not self._handle:
            raise KernelError(f"the map {map.name} is no ring buffer", ctypes.get_errno())

    def _take(self, _: int, data: int, size: int) -> int:
        self._records.append(ctypes.string_at(data, size))
        return 0

    def read(self, timeout_ms: int = 0) -> list[bytes]:
        """The records so far; waits for the first if there is none. Raises KernelError."""
        result = libbpf().ring_buffer__consume(ctypes.c_void_p(self._handle))
        if result == 0 and timeout_ms:
            result = libbpf().ring_buffer__poll(ctypes.c_void_p(self._handle), timeout_ms)
        if result < 0:
            raise KernelError("a ring buffer cannot be read", result)
        records, self._records = self._records, []
        return records

    def close(self) -> None:
        """Let go of the buffer."""
        if self._handle:
            libbpf().ring_buffer__free(ctypes.c_void_p(self._handle))
            self._handle = None
