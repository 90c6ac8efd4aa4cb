"""Links: what keeps a struct_ops instance attached."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from policyc.kernel.closing import Closing
from policyc.kernel.errors import KernelError
from policyc.kernel.library import LinkCreateOptions, libbpf

if TYPE_CHECKING:
    from policyc.kernel.objects import Loaded

__all__ = ["Link", "attach_to_cgroup"]

#: enum bpf_attach_type of the kernel's uapi/linux/bpf.h.
_BPF_STRUCT_OPS = 44

#: "target_fd is a cgroup", of the interface of mthp_ext.
_BPF_F_CGROUP_FD = 1 << 7


class Link(Closing):
    """An attached instance, until it is detached or the block ends; a pinned one stays."""

    def __init__(self, handle: int, descriptor: int, map_name: str) -> None:
        """`handle` is libbpf's struct bpf_link, or 0 for a link that is a descriptor only."""
        self._handle = handle
        self._map_name = map_name
        self.descriptor = descriptor

    def update(self, other: Loaded) -> None:
        """Put the instance of the same name of another object in the place of this one.

        No request is without an answer in between. Raises KernelError: the kernel says
        EOPNOTSUPP where a profile has no update, and EINVAL for another kind of instance.
        """
        library, replacement = libbpf(), other.struct_ops_handle(self._map_name)
        if self._handle:
            error = library.bpf_link__update_map(
                ctypes.c_void_p(self._handle), ctypes.c_void_p(replacement)
            )
        else:
            descriptor = other.prepare(self._map_name)
            error = library.bpf_link_update(self.descriptor, descriptor, None)
        if error:
            raise KernelError(f"{self._map_name} cannot be updated", error)

    def pin(self, path: Path) -> None:
        """Keep the link under a path of a BPF file system; raises KernelError."""
        error = libbpf().bpf_obj_pin(self.descriptor, os.fsencode(path))
        if error:
            raise KernelError(f"the link of {self._map_name} cannot be pinned to {path}", error)

    def detach(self) -> None:
        """Detach the instance, also from under a pin; nothing happens the second time."""
        if self.descriptor < 0:
            return
        libbpf().bpf_link_detach(self.descriptor)  # kernels before 6.11 detach when it is closed
        self.close()

    def close(self) -> None:
        """Let go of the link, which detaches it unless it is pinned."""
        if self.descriptor < 0:
            return
        if self._handle:
            # Closes the descriptor, which detaches the instance unless it is pinned. The
            # descriptor of a disconnected link would stay open.
            libbpf().bpf_link__destroy(ctypes.c_void_p(self._handle))
        else:
            os.close(self.descriptor)
        self.descriptor = -1


def attach_to_cgroup(map_descriptor: int, cgroup: Path, map_name: str) -> Link:
    """Link a struct_ops map that has its value to a cgroup's subtree; raises KernelError."""
    options = LinkCreateOptions(ctypes.sizeof(LinkCreateOptions), _BPF_F_CGROUP_FD)
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = libbpf().bpf_link_create(
            map_descriptor, directory, _BPF_STRUCT_OPS, ctypes.byref(options)
        )
    finally:
        os.close(directory)
    if descriptor < 0:
        raise KernelError(f"{map_name} cannot be attached to {cgroup}", descriptor)
    return Link(0, descriptor, map_name)
