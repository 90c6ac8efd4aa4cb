"""System calls that Python's library does not have, by ctypes."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from policyc.simulate.workload.runner.errors import Missing

__all__ = [
    "MADV_COLLAPSE",
    "MADV_DONTNEED",
    "MADV_HUGEPAGE",
    "MADV_NOHUGEPAGE",
    "advise",
    "die_with_parent",
    "disable_thp",
    "map_memory",
    "name_process",
    "prefer_node",
    "private_mappings",
    "settle",
    "thp_disabled",
    "unmap",
]

MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE = 4, 14, 15
MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_COLLAPSE = 22, 23, 25

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_PR_SET_THP_DISABLE, _PR_GET_THP_DISABLE = 41, 42
_PR_THP_DISABLE_EXCEPT_ADVISED = 1 << 1
_SIGKILL = 9

_MAP_SHARED, _MAP_PRIVATE, _MAP_FIXED = 0x01, 0x02, 0x10
_MAP_ANONYMOUS, _MAP_NORESERVE = 0x20, 0x4000
_PROT_NONE, _PROT_READ_WRITE = 0, 3

_MPOL_DEFAULT, _MPOL_PREFERRED = 0, 1

#: set_mempolicy has no function in libc; its number by what platform.machine() says.
_SET_MEMPOLICY = {
    "x86_64": 238,
    "aarch64": 237,
    "riscv64": 237,
    "loongarch64": 237,
    "ppc64le": 261,
    "s390x": 270,
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_long,
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_libc.syscall.restype = ctypes.c_long


def _failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def _mmap(address: int, size: int, protection: int, flags: int, descriptor: int) -> int:
    found = _libc.mmap(address or None, size, protection, flags, descriptor, 0)
    if found == ctypes.c_void_p(-1).value:
        raise _failed("mmap")
    return int(found)


def map_memory(
    size: int, *, alignment: int, misalign: int, shared: bool, descriptor: int = -1
) -> int:
    """Map memory that starts `misalign` bytes behind a multiple of `alignment`; its address.

    It is inside a reservation that nothing else is mapped next to, so that it is a VMA of its
    own. `descriptor` is that of a memfd, -1 for memory without a name. Raises OSError.
    """
    room = -(-(misalign + size) // alignment) * alignment + 2 * alignment
    flags = _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE
    reserved = _mmap(0, room, _PROT_NONE, flags, -1)
    start = -(-(reserved + 1) // alignment) * alignment + misalign
    flags = _MAP_FIXED | _MAP_NORESERVE | (_MAP_SHARED if shared else _MAP_PRIVATE)
    if descriptor == -1:
        flags |= _MAP_ANONYMOUS
    return _mmap(start, size, _PROT_READ_WRITE, flags, descriptor)


def unmap(start: int, size: int) -> None:
    """munmap(2). Raises OSError."""
    if _libc.munmap(start, size):
        raise _failed("munmap")


def advise(start: int, size: int, advice: int) -> None:
    """madvise(2). Raises OSError."""
    if _libc.madvise(start, size, advice):
        raise _failed("madvise")


def name_process(name: str) -> None:
    """Set comm; the kernel keeps 15 bytes."""
    text = ctypes.create_string_buffer(name.encode())
    _libc.prctl(_PR_SET_NAME, ctypes.addressof(text), 0, 0, 0)


def die_with_parent() -> None:
    """Be killed when the process that forked this one is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def thp_disabled() -> int:
    """What PR_GET_THP_DISABLE says: 0, 1, or 3 for except-advised."""
    return max(0, int(_libc.prctl(_PR_GET_THP_DISABLE, 0, 0, 0, 0)))


def disable_thp(state: str) -> None:
    """PR_SET_THP_DISABLE: "no", "yes" or "except-advised" (Linux 6.18).

    Raises OSError where the kernel does not know it.
    """
    flags = _PR_THP_DISABLE_EXCEPT_ADVISED if state == "except-advised" else 0
    if _libc.prctl(_PR_SET_THP_DISABLE, int(state != "no"), flags, 0, 0):
        raise _failed("PR_SET_THP_DISABLE")


def prefer_node(node: int | None) -> None:
    """set_mempolicy(2): place memory on a node while it has room; None: where the CPU is.

    Raises Missing on an architecture whose number of the call is not known.
    """
    number = _SET_MEMPOLICY.get(platform.machine())
    if number is None:
        raise Missing(f"how to place memory on nodes is not known for {platform.machine()}")
    mask = ctypes.c_ulong(0 if node is None else 1 << node)
    mode = _MPOL_DEFAULT if node is None else _MPOL_PREFERRED
    bits = 0 if node is None else ctypes.sizeof(mask) * 8
    pointer = None if node is None else ctypes.byref(mask)
    if _libc.syscall(ctypes.c_long(number), mode, pointer, ctypes.c_ulong(bits)):
        raise _failed("set_mempolicy")


def private_mappings() -> Iterator[tuple[int, int, bool]]:
    """Start, size and writability of the private mappings of this process."""
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    for line in lines:
        addresses, permissions = line.split()[:2]
        if permissions.startswith("r") and permissions.endswith("p"):
            start, end = (int(part, 16) for part in addresses.split("-"))
            yield start, end - start, "w" in permissions


def settle(mappings: list[tuple[int, int, bool]]) -> None:
    """Have the interpreter's own memory here, in base pages, so that it faults no more.

    After a fork it would be copied page by page, and its files mapped anew, which would be
    counted with the workload.
    """
    for start, size, writable in mappings:
        if writable:
            # Special mappings refuse; a kernel without THP does not know the advice.
            _libc.madvise(start, size, MADV_NOHUGEPAGE)
        _libc.madvise(start, size, MADV_POPULATE_WRITE if writable else MADV_POPULATE_READ)


#: Bytes of a base page.
PAGE = mmap.PAGESIZE
