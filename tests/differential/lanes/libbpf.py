"""As much of libbpf as the kernel lane needs, through ctypes."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

from tests.differential.lanes.closing import Closing

__all__ = ["BpfFailed", "BpfObject", "TestRun", "possible_cpus", "unavailable"]

_LOG_SIZE = 1 << 24


class BpfFailed(Exception):  # noqa: N818 - says what is wrong
    """The kernel or libbpf refused something; the verifier's log is part of the message."""


class _OpenOptions(ctypes.Structure):
    _fields_ = [
        ("sz", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
        ("attach_prog_fd", ctypes.c_uint32),
        ("kconfig", ctypes.c_char_p),
        ("btf_custom_path", ctypes.c_char_p),
        ("kernel_log_buf", ctypes.c_void_p),
        ("kernel_log_size", ctypes.c_size_t),
        ("kernel_log_level", ctypes.c_uint32),
    ]


class _TestRunOptions(ctypes.Structure):
    _fields_ = [
        ("sz", ctypes.c_size_t),
        ("data_in", ctypes.c_void_p),
        ("data_out", ctypes.c_void_p),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_void_p),
        ("ctx_out", ctypes.c_void_p),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("repeat", ctypes.c_int),
        ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
    ]


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    pointers = (
        "bpf_object__open_mem",
        "bpf_object__find_map_by_name",
        "bpf_object__find_program_by_name",
        "bpf_program__attach",
    )
    for name in pointers:
        getattr(library, name).restype = ctypes.c_void_p
    library.libbpf_get_error.restype = ctypes.c_long
    library.libbpf_set_print(None)
    return library


@cache
def unavailable() -> str:
    """Why programs cannot be loaded here, empty if they can."""
    try:
        _library()
    except OSError as error:
        return f"libbpf.so.1 cannot be loaded: {error}"
    if os.geteuid() != 0:
        return "loading programs needs root"
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "the kernel has no type information (/sys/kernel/btf/vmlinux)"
    # A map is the smallest thing that bpf(2) must let us make.
    fd = _library().bpf_map_create(2, b"probe", 4, 8, 1, None)
    if fd < 0:
        return f"bpf(2) is not allowed: {os.strerror(-fd)}"
    os.close(fd)
    return ""


def possible_cpus() -> int:
    """How many values an element of a per-CPU map has."""
    return _library().libbpf_num_possible_cpus()


class BpfObject(Closing):
    """An object file in the kernel, until it is closed."""

    def __init__(self, data: bytes, *, log_level: int = 0) -> None:
        self._library = _library()
        log = ctypes.create_string_buffer(_LOG_SIZE)
        options = _OpenOptions(
            sz=ctypes.sizeof(_OpenOptions),
            object_name=b"policy",
            kernel_log_buf=ctypes.addressof(log),
            kernel_log_size=_LOG_SIZE,
            kernel_log_level=log_level,
        )
        buffer = ctypes.create_string_buffer(data, len(data))
        handle = self._library.bpf_object__open_mem(
            buffer, ctypes.c_size_t(len(data)), ctypes.byref(options)
        )
        if not handle:
            raise BpfFailed(f"the object cannot be opened: {os.strerror(ctypes.get_errno())}")
        self._handle = ctypes.c_void_p(handle)
        self._links: list[ctypes.c_void_p] = []
        error = self._library.bpf_object__load(self._handle)
        self.log = log.value.decode("utf-8", "replace")
        if error:
            self.close()
            raise BpfFailed(
                f"the object cannot be loaded: {os.strerror(-error)}\n{self.log[-20000:]}"
            )

    def map_fd(self, name: str) -> int | None:
        """The descriptor of a map, None if there is no such map."""
        found = self._library.bpf_object__find_map_by_name(self._handle, name.encode())
        return self._library.bpf_map__fd(ctypes.c_void_p(found)) if found else None

    def program_fd(self, name: str) -> int:
        """The descriptor of a program; KeyError if there is no such program."""
        return self._library.bpf_program__fd(self._program(name))

    def _program(self, name: str) -> ctypes.c_void_p:
        found = self._library.bpf_object__find_program_by_name(self._handle, name.encode())
        if not found:
            raise KeyError(name)
        return ctypes.c_void_p(found)

    def attach(self, program: str) -> int:
        """Attach a program; the descriptor of its link, which the object keeps."""
        link = self._library.bpf_program__attach(self._program(program))
        if not link:
            raise BpfFailed(f"{program} cannot be attached: {os.strerror(ctypes.get_errno())}")
        self._links.append(ctypes.c_void_p(link))
        return self._library.bpf_link__fd(self._links[-1])

    def iterate(self, program: str) -> bytes:
        """Everything that an iterator program prints."""
        fd = self._library.bpf_iter_create(self.attach(program))
        if fd < 0:
            raise BpfFailed(f"{program} cannot be iterated: {os.strerror(-fd)}")
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def update(self, map_fd: int, key: bytes, value: bytes) -> None:
        """Store an element of a map."""
        error = self._library.bpf_map_update_elem(map_fd, key, value, ctypes.c_uint64(0))
        if error:
            raise BpfFailed(f"a map cannot be updated: {os.strerror(-error)}")

    def delete(self, map_fd: int, key: bytes) -> None:
        """Remove an element of a map, if it is there."""
        self._library.bpf_map_delete_elem(map_fd, key)

    def lookup(self, map_fd: int, key: bytes, size: int) -> bytes:
        """An element of a map."""
        value = ctypes.create_string_buffer(size)
        error = self._library.bpf_map_lookup_elem(map_fd, key, value)
        if error:
            raise BpfFailed(f"a map cannot be read: {os.strerror(-error)}")
        return value.raw

    def close(self) -> None:
        """Detach and unload everything."""
        for link in self._links:
            self._library.bpf_link__destroy(link)
        self._links.clear()
        if self._handle:
            self._library.bpf_object__close(self._handle)
            self._handle = ctypes.c_void_p(None)


class TestRun:
    """Runs a program on packets of one size again and again, with the same buffers."""

    __test__ = False

    def __init__(self, fd: int, size: int) -> None:
        self._run = _library().bpf_prog_test_run_opts
        self._fd = fd
        self._packet = ctypes.create_string_buffer(size)
        self._options = _TestRunOptions(
            sz=ctypes.sizeof(_TestRunOptions),
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
        error = self._run(self._fd, self._reference)
        if error:
            raise BpfFailed(f"the program cannot be run: {os.strerror(-error)}")
        if self._options.retval != 2:
            raise BpfFailed(f"the program refused the packet: {self._options.retval}")
