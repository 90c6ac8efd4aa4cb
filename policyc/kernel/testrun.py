"""Asking a `testrun` program through BPF_PROG_TEST_RUN."""

from __future__ import annotations

import ctypes

from policyc.kernel.errors import KernelError
from policyc.kernel.library import TestRunOptions, libbpf

__all__ = ["SMALLEST_PACKET", "TestRun"]

#: The smallest packet that the kernel takes, an Ethernet header.
SMALLEST_PACKET = 14

_XDP_PASS = 2


class TestRun:
    """Runs a program on packets of one size again and again, with the same buffers.

    `size` is that of the request and the answer behind it, in bytes.
    """

    __test__ = False

    def __init__(self, descriptor: int, size: int) -> None:
        size = max(size, SMALLEST_PACKET)
        self._run = libbpf().bpf_prog_test_run_opts
        self._descriptor = descriptor
        self._packet = ctypes.create_string_buffer(size)
        self._options = TestRunOptions(
            sz=ctypes.sizeof(TestRunOptions),
            data_in=ctypes.addressof(self._packet),
            data_out=ctypes.addressof(self._packet),
            data_size_in=size,
            data_size_out=size,
            repeat=1,
        )
        self._reference = ctypes.byref(self._options)
        self._size = size

    def run(self, data: bytes) -> bytes:
        """The packet as the program leaves it; `data` may be shorter than the packet."""
        self._run_packet(data, 1)
        return self._packet.raw

    def time(self, data: bytes, repeat: int) -> int:
        """The nanoseconds that a run takes, as the kernel measures it over many."""
        self._run_packet(data, repeat)
        return self._options.duration

    def _run_packet(self, data: bytes, repeat: int) -> None:
        self._packet[: len(data)] = data
        self._options.data_size_out = self._size
        self._options.repeat = repeat
        error = self._run(self._descriptor, self._reference)
        if error:
            raise KernelError("the program cannot be run", error)
        if self._options.retval != _XDP_PASS:
            raise KernelError(f"the program refused the packet: {self._options.retval}")
