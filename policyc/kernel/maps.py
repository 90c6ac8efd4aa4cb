"""The maps of a loaded object, by bytes."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policyc.kernel.errors import KernelError
from policyc.kernel.library import MapInfo, libbpf, possible_cpus

__all__ = ["Map", "map_info"]

#: BPF_MAP_TYPE_PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE.
_PER_CPU = frozenset({5, 6, 10, 21})


def map_info(descriptor: int) -> MapInfo:
    """What the kernel says about a map; raises KernelError."""
    info = MapInfo()
    size = ctypes.c_uint32(ctypes.sizeof(info))
    error = libbpf().bpf_obj_get_info_by_fd(descriptor, ctypes.byref(info), ctypes.byref(size))
    if error:
        raise KernelError("a map cannot be asked about itself", error)
    return info


@dataclass(frozen=True, slots=True)
class Map:
    """A map by its descriptor, which belongs to the object.

    Keys and values are bytes. `value_size` counts what the kernel hands over: in per-CPU
    maps a value for each possible CPU, one after the other in multiples of eight bytes.
    """

    name: str
    descriptor: int
    key_size: int
    value_size: int
    max_entries: int

    @classmethod
    def of(cls, name: str, descriptor: int) -> Map:
        """The map behind a descriptor."""
        info = map_info(descriptor)
        size = int(info.value_size)
        if info.type in _PER_CPU:
            size = (size + 7) // 8 * 8 * possible_cpus()
        return cls(name, descriptor, int(info.key_size), size, int(info.max_entries))

    def _sized(self, data: bytes, size: int, what: str) -> bytes:
        if len(data) != size:
            raise ValueError(f"a {what} of {self.name} has {size} bytes, not {len(data)}")
        return data

    def lookup(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is not there."""
        value = ctypes.create_string_buffer(self.value_size)
        key = self._sized(key, self.key_size, "key")
        error = libbpf().bpf_map_lookup_elem(self.descriptor, key, value)
        if error == -errno.ENOENT:
            return None
        if error:
            raise KernelError(f"the map {self.name} cannot be read", error)
        return value.raw

    def update(self, key: bytes, value: bytes) -> None:
        """Give a key a value, whether it was there or not."""
        error = libbpf().bpf_map_update_elem(
            self.descriptor,
            self._sized(key, self.key_size, "key"),
            self._sized(value, self.value_size, "value"),
            ctypes.c_uint64(0),
        )
        if error:
            raise KernelError(f"the map {self.name} cannot be updated", error)

    def delete(self, key: bytes) -> bool:
        """Remove a key; whether it was there."""
        error = libbpf().bpf_map_delete_elem(
            self.descriptor, self._sized(key, self.key_size, "key")
        )
        if error == -errno.ENOENT:
            return False
        if error:
            raise KernelError(f"the map {self.name} cannot be changed", error)
        return True

    def keys(self) -> list[bytes]:
        """The keys, in the order of the kernel; what is added meanwhile may be missing."""
        found: list[bytes] = []
        next_key = ctypes.create_string_buffer(self.key_size)
        last: bytes | None = None
        while len(found) <= self.max_entries:
            error = libbpf().bpf_map_get_next_key(self.descriptor, last, next_key)
            if error == -errno.ENOENT:
                break
            if error:
                raise KernelError(f"the map {self.name} cannot be read", error)
            last = next_key.raw
            found.append(last)
        return found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """The keys with their values; keys that go meanwhile are left out."""
        for key in self.keys():
            value = self.lookup(key)
            if value is not None:
                yield key, value

    def replace(self, elements: Mapping[bytes, bytes]) -> None:
        """Make these the elements: what is not among them goes first, so that there is room."""
        present = dict(self.items())
        for key in present:
            if key not in elements:
                self.delete(key)
        for key, value in elements.items():
            if present.get(key) != value:
                self.update(key, value)
