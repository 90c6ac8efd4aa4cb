"""The data members and the value of a struct_ops map, by their names in type information."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from policyc.kernel.errors import KernelError
from policyc.kernel.library import BtfMember, BtfType, MapInfo, libbpf
from policyc.kernel.maps import map_info

__all__ = ["Member", "kernel_value", "members_of"]

_POINTER = 8
_BTF_KIND_PTR = 2


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct: its type, where it is and how many bytes it has.

    `type` is an id without modifiers and typedefs; `pointer` says that it is a pointer.
    """

    name: str
    type: int
    offset: int
    size: int
    pointer: bool


def _type(btf: int, number: int) -> BtfType:
    address = libbpf().btf__type_by_id(ctypes.c_void_p(btf), number)
    if not address:
        raise KernelError(f"type {number} is not in the type information")
    return BtfType.from_address(address)


def members_of(btf: int, number: int) -> tuple[Member, ...]:
    """The members of the struct with that type id in libbpf's struct btf `btf`."""
    library, handle = libbpf(), ctypes.c_void_p(btf)
    struct = _type(btf, number)
    count = struct.info & 0xFFFF
    raw = (BtfMember * count).from_address(ctypes.addressof(struct) + ctypes.sizeof(BtfType))
    found: list[Member] = []
    for item in raw:
        name = library.btf__name_by_offset(handle, item.name_off).decode()
        resolved = int(library.btf__resolve_type(handle, item.type))
        size = int(library.btf__resolve_size(handle, item.type))
        pointer = _type(btf, resolved).info >> 24 & 0x1F == _BTF_KIND_PTR
        found.append(Member(name, resolved, item.offset // 8, size, pointer))
    return tuple(found)


@cache
def _vmlinux() -> int:
    """The types of the running kernel, parsed once."""
    found = libbpf().btf__load_vmlinux_btf()
    if not found:
        raise KernelError("the kernel's type information cannot be read", ctypes.get_errno())
    return found


def kernel_value(map_descriptor: int, btf: int, type_id: int, data: int) -> bytes:
    """The value that attaches a struct_ops map, as BPF_MAP_UPDATE_ELEM takes it.

    `data` is the address of libbpf's shadow of the user's struct (bpf_map__initial_value),
    whose function pointers are struct bpf_program; in the kernel's they are descriptors
    (bpf_struct_ops_map_update_elem of kernel/bpf/bpf_struct_ops.c).
    """
    info = map_info(map_descriptor)
    library, kernel, module = libbpf(), _vmlinux(), 0
    if info.btf_vmlinux_value_type_id >= library.btf__type_cnt(ctypes.c_void_p(kernel)):
        module = library.btf__load_from_kernel_by_id_split(
            info.btf_vmlinux_id, ctypes.c_void_p(kernel)
        )
        if not module:
            raise KernelError("a module's type information cannot be read", ctypes.get_errno())
    try:
        value = bytearray(info.value_size)
        for offset, content in _contents(module or kernel, info, btf, type_id, data):
            value[offset : offset + len(content)] = content
        return bytes(value)
    finally:
        if module:
            library.btf__free(ctypes.c_void_p(module))


def _contents(
    kernel: int, info: MapInfo, btf: int, type_id: int, data: int
) -> Iterator[tuple[int, bytes]]:
    """Each member of ours with its offset in the kernel's value."""
    library, value_type = libbpf(), info.btf_vmlinux_value_type_id
    outer = {item.name: item for item in members_of(kernel, value_type)}["data"]
    theirs = {item.name: item for item in members_of(kernel, outer.type)}
    for ours in members_of(btf, type_id):
        source = data + ours.offset
        if ours.pointer:
            program = ctypes.c_void_p.from_address(source).value
            number = library.bpf_program__fd(ctypes.c_void_p(program)) if program else 0
            content = number.to_bytes(_POINTER, sys.byteorder)
        else:
            content = ctypes.string_at(source, ours.size)
        yield outer.offset + theirs[ours.name].offset, content
