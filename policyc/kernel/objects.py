"""Loading an object file into the kernel, and what is then there: programs, maps, instances."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from policyc.kernel.closing import Closing
from policyc.kernel.errors import KernelError, KernelToolMissing, NotOffered, Rejected
from policyc.kernel.library import (
    STRUCT_OPS_VERSION,
    OpenOptions,
    ProgramInfo,
    check_version,
    libbpf,
    messages,
)
from policyc.kernel.links import Link, attach_to_cgroup
from policyc.kernel.maps import Map
from policyc.kernel.struct_ops import Member, kernel_value, members_of
from policyc.kernel.verifier_log import statistics_of

__all__ = ["Loaded", "Program", "load"]

_BPF_MAP_TYPE_STRUCT_OPS = 26
_BPF_PROG_TYPE_STRUCT_OPS = 27

#: BPF_LOG_LEVEL1 and BPF_LOG_STATS of the kernel's include/linux/bpf_verifier.h.
_TRACE, _STATISTICS = 1, 4

#: Room for statistics, and for the end of the trace of a refused program.
_STATISTICS_SIZE, _TRACE_SIZE = 1 << 16, 1 << 24


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded program and what the verifier made of it.

    `instructions` are those of the object with its functions, `verified_instructions` how
    many the verifier looked at (of at most a million); it kept `states` in all and
    `peak_states` at once. `stack` is the depth in bytes of the program and each of its
    functions. `verification_ns` is how long it took.
    """

    name: str
    instructions: int
    verified_instructions: int
    states: int
    peak_states: int
    stack: tuple[int, ...]
    verification_ns: int


def load(
    object_bytes: bytes,
    *,
    data: Mapping[str, int] | None = None,
) -> Loaded:
    """Load a compiled object through the verifier of the running kernel.

    `data` are the data members of its struct_ops instances by name (`pid`, `hot_thresh`,
    `cgroup_id`).

    Raises Rejected if the verifier refuses a program, NotOffered if the kernel has not the
    struct_ops type, KernelToolMissing if libbpf or a capability is missing, KernelError for
    everything else, and ValueError for a data member that the object has not.
    """
    return Loaded(object_bytes, data or {})


class Loaded(Closing):
    """An object in the kernel until it is closed; a context manager.

    Instances that are attached stay attached as long as their links.
    """

    def __init__(self, object_bytes: bytes, data: Mapping[str, int]) -> None:
        self._library = libbpf()
        opening = _Opening(object_bytes, data)
        try:
            opening.load(_STATISTICS)
        except Rejected as refused:
            # Once more, to hear it all: the trace is expensive, and few programs are refused.
            opening = _Opening(object_bytes, data)
            opening.load(_TRACE | _STATISTICS)
            opening.close()
            raise refused from None
        self._opening = opening
        self.programs = tuple(map(self._program, opening.programs.items()))
        self._maps = opening.maps()
        self.map_names = frozenset(self._maps)
        self.struct_ops = tuple(opening.struct_ops)

    def _program(self, item: tuple[str, int]) -> Program:
        name, handle = item
        info = ProgramInfo()
        size = ctypes.c_uint32(ctypes.sizeof(info))
        descriptor = self._library.bpf_program__fd(ctypes.c_void_p(handle))
        error = self._library.bpf_obj_get_info_by_fd(
            descriptor, ctypes.byref(info), ctypes.byref(size)
        )
        if error:
            raise KernelError(f"the program {name} cannot be asked about itself", error)
        statistics = statistics_of(self._opening.log(name))
        return Program(
            name=name,
            instructions=int(self._library.bpf_program__insn_cnt(ctypes.c_void_p(handle))),
            verified_instructions=int(info.verified_insns) or statistics.processed,
            states=statistics.total_states,
            peak_states=statistics.peak_states,
            stack=statistics.stack,
            verification_ns=statistics.microseconds * 1000,
        )

    # -- programs and maps

    def program_descriptor(self, name: str) -> int:
        """The descriptor of a program; KeyError if there is no such program."""
        return self._library.bpf_program__fd(ctypes.c_void_p(self._opening.programs[name]))

    def log(self, name: str) -> str:
        """What the verifier said about a program; KeyError if there is no such program."""
        return self._opening.log(name)

    def map(self, name: str) -> Map:
        """A map by its name in the C; KeyError if there is no such map."""
        handle = self._maps[name]
        return Map.of(name, self._library.bpf_map__fd(ctypes.c_void_p(handle)))

    def struct_ops_handle(self, name: str) -> int:
        """libbpf's struct bpf_map of an instance; KeyError if there is none of that name."""
        return self._opening.struct_ops[name]

    def iterate(self, program: str) -> bytes:
        """Everything that a program of type `iter` prints."""
        found = self._opening.programs[program]
        link = self._library.bpf_program__attach(ctypes.c_void_p(found))
        if not link:
            raise KernelError(f"{program} cannot be attached", ctypes.get_errno())
        try:
            descriptor = self._library.bpf_iter_create(
                self._library.bpf_link__fd(ctypes.c_void_p(link))
            )
            if descriptor < 0:
                raise KernelError(f"{program} cannot be iterated", descriptor)
            with os.fdopen(descriptor, "rb") as file:
                return file.read()
        finally:
            self._library.bpf_link__destroy(ctypes.c_void_p(link))

    # -- instances

    def attach(self, cgroup: Path | None = None, *, name: str | None = None) -> Link:
        """Attach an instance; the link detaches it when it is closed.

        `cgroup` is the directory of a cgroup for instances that belong to one by their link
        (mthp); those with a data member for it need none. `name` is needed if the object has
        more than one instance. Raises KernelError: EBUSY if another one is in the way.
        """
        chosen = self._instance(name)
        if cgroup is not None:
            return attach_to_cgroup(self.prepare(chosen), cgroup, chosen)
        handle = ctypes.c_void_p(self._opening.struct_ops[chosen])
        link = self._library.bpf_map__attach_struct_ops(handle)
        if not link:
            raise KernelError(f"{chosen} cannot be attached", ctypes.get_errno())
        return Link(link, self._library.bpf_link__fd(ctypes.c_void_p(link)), chosen)

    def prepare(self, name: str) -> int:
        """Give the map of an instance its value, as attaching it does first; its descriptor."""
        handle = ctypes.c_void_p(self._opening.struct_ops[name])
        descriptor = self._library.bpf_map__fd(handle)
        shadow = self._library.bpf_map__initial_value(handle, None)
        value = kernel_value(descriptor, self._opening.btf, self._opening.struct_type(name), shadow)
        zero = ctypes.c_uint32(0)
        error = self._library.bpf_map_update_elem(
            descriptor, ctypes.byref(zero), value, ctypes.c_uint64(0)
        )
        # EBUSY: it has its value already, which never changes.
        if error and error != -errno.EBUSY:
            raise KernelError(f"{name} cannot be prepared", error)
        return descriptor

    def _instance(self, name: str | None) -> str:
        if name is not None:
            if name not in self._opening.struct_ops:
                raise ValueError(f"the object has no instance {name}")
            return name
        if len(self.struct_ops) != 1:
            raise ValueError(f"the object has {len(self.struct_ops)} instances, name one")
        return self.struct_ops[0]

    def close(self) -> None:
        """Unload what nothing else holds."""
        self._opening.close()


class _Opening:
    """An object that libbpf has opened, on the way into the kernel."""

    def __init__(self, object_bytes: bytes, data: Mapping[str, int]) -> None:
        self._library = libbpf()
        # libbpf reads from here until the object is closed.
        self._bytes = ctypes.create_string_buffer(object_bytes, len(object_bytes))
        self._logs: dict[str, ctypes.Array[ctypes.c_char]] = {}
        options = OpenOptions(
            sz=ctypes.sizeof(OpenOptions),
            object_name=b"policy",
        )
        with messages() as said:
            self.handle = self._library.bpf_object__open_mem(
                self._bytes, ctypes.c_size_t(len(object_bytes)), ctypes.byref(options)
            )
            number = ctypes.get_errno()
        if not self.handle:
            raise KernelError("the object cannot be opened", number, "\n".join(said))
        self.btf = self._library.bpf_object__btf(ctypes.c_void_p(self.handle)) or 0
        self.programs = self._named("bpf_object__next_program", "bpf_program__name")
        found = self.maps()
        self.struct_ops = {name: item for name, item in found.items() if self._is_struct_ops(item)}
        try:
            if any(map(self._is_for_a_hook, self.programs.values())):
                check_version(STRUCT_OPS_VERSION, "the hooks")
            self._set_data(data)
        except Exception:
            self.close()
            raise

    def _named(self, following: str, name_of: str) -> dict[str, int]:
        found: dict[str, int] = {}
        handle = getattr(self._library, following)(ctypes.c_void_p(self.handle), None)
        while handle:
            name = getattr(self._library, name_of)(ctypes.c_void_p(handle))
            found[name.decode()] = handle
            handle = getattr(self._library, following)(
                ctypes.c_void_p(self.handle), ctypes.c_void_p(handle)
            )
        return found

    def maps(self) -> dict[str, int]:
        """libbpf's struct bpf_map of each map by its name."""
        return self._named("bpf_object__next_map", "bpf_map__name")

    def _is_struct_ops(self, handle: int) -> bool:
        return self._library.bpf_map__type(ctypes.c_void_p(handle)) == _BPF_MAP_TYPE_STRUCT_OPS

    def _is_for_a_hook(self, handle: int) -> bool:
        return self._library.bpf_program__type(ctypes.c_void_p(handle)) == _BPF_PROG_TYPE_STRUCT_OPS

    # -- data members

    def struct_type(self, name: str) -> int:
        """The type of an instance in the object's own types."""
        variable = self._library.btf__find_by_name(ctypes.c_void_p(self.btf), name.encode())
        if variable < 0:
            raise KernelError(f"the object's types have no {name}", variable)
        return int(self._library.btf__resolve_type(ctypes.c_void_p(self.btf), variable))

    def _set_data(self, data: Mapping[str, int]) -> None:
        left = dict(data)
        for name, handle in self.struct_ops.items():
            shadow = self._library.bpf_map__initial_value(ctypes.c_void_p(handle), None)
            for member in members_of(self.btf, self.struct_type(name)):
                if member.name in data and not member.pointer:
                    _store(shadow, member, data[member.name])
                    left.pop(member.name, None)
        if left:
            raise ValueError(f"the object has no data member {', '.join(left)}")

    # -- loading

    def log(self, name: str) -> str:
        """What the verifier has said about a program."""
        return self._logs[name].value.decode("utf-8", "replace")

    def load(self, log_level: int) -> None:
        """Load it; if that fails the object is closed and KernelError or Rejected raised."""
        size = _TRACE_SIZE if log_level & _TRACE else _STATISTICS_SIZE
        for name, handle in self.programs.items():
            self._logs[name] = ctypes.create_string_buffer(size)
            self._library.bpf_program__set_log_level(ctypes.c_void_p(handle), log_level)
            self._library.bpf_program__set_log_buf(
                ctypes.c_void_p(handle), self._logs[name], ctypes.c_size_t(size)
            )
        with messages() as said:
            error = self._library.bpf_object__load(ctypes.c_void_p(self.handle))
        if error:
            self.close()
            self._fail(error, said)

    def _fail(self, error: int, said: list[str]) -> NoReturn:
        text = "\n".join(said)
        program = re.search(r"prog '([^']+)': BPF program load failed", text)
        log = self.log(program[1]) if program and program[1] in self._logs else ""
        if program and log.strip():
            raise Rejected(program[1], log, error)
        if -error == errno.EPERM:
            raise KernelToolMissing(
                "the right to load BPF programs",
                "run as root, or with CAP_BPF and CAP_PERFMON (and CAP_NET_ADMIN for testrun); "
                "in a container, its runtime must allow bpf(2)",
            )
        if "struct_ops init_kern" in text:
            raise NotOffered("the kernel does not offer the hook", error, text)
        if "failed to find valid kernel BTF" in text:
            raise KernelToolMissing(
                "type information of the running kernel (/sys/kernel/btf/vmlinux)",
                "use a kernel that is built with CONFIG_DEBUG_INFO_BTF",
            )
        raise KernelError("the object cannot be loaded", error, text)

    def close(self) -> None:
        """Unload it."""
        if self.handle:
            self._library.bpf_object__close(ctypes.c_void_p(self.handle))
            self.handle = 0


def _store(shadow: int, member: Member, value: int) -> None:
    """Write a number into a member; ValueError if it does not fit."""
    try:
        content = value.to_bytes(member.size, sys.byteorder, signed=value < 0)
    except OverflowError:
        raise ValueError(f"{value} does not fit into {member.name}") from None
    ctypes.memmove(shadow + member.offset, content, member.size)
