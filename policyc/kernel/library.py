"""libbpf: which one, its functions and structures, and what it says.

Nothing of this is loaded before it is used, and nothing that libbpf prints reaches the
terminal: `messages` collects it.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from policyc.kernel.errors import KernelToolMissing

__all__ = [
    "BtfMember",
    "BtfType",
    "LinkCreateOptions",
    "MapInfo",
    "OpenOptions",
    "ProgramInfo",
    "TestRunOptions",
    "check_version",
    "libbpf",
    "messages",
    "possible_cpus",
    "unavailable",
    "version",
]

#: The oldest version that loads struct_ops of modules and gives access to their data members.
STRUCT_OPS_VERSION = (1, 4)

#: The oldest version of the interface that is used here at all.
_OLDEST = (1, 0)

_HOW_TO_GET = (
    "Debian 13, Ubuntu 24.10, Fedora 40 and newer have it as their package (libbpf1, libbpf); "
    "elsewhere `make libbpf` of policyc builds it; "
    "POLICYC_LIBBPF names the file of another one"
)


class OpenOptions(ctypes.Structure):
    """The beginning of struct bpf_object_open_opts of libbpf.h."""

    _fields_ = [
        ("sz", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
    ]


class TestRunOptions(ctypes.Structure):
    """struct bpf_test_run_opts of bpf.h."""

    __test__ = False
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


class LinkCreateOptions(ctypes.Structure):
    """The beginning of struct bpf_link_create_opts of bpf.h."""

    _fields_ = [("sz", ctypes.c_size_t), ("flags", ctypes.c_uint32), ("padding", ctypes.c_uint32)]


class ProgramInfo(ctypes.Structure):
    """struct bpf_prog_info of the kernel's uapi/linux/bpf.h."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", ctypes.c_uint32),
        ("xlated_prog_len", ctypes.c_uint32),
        ("jited_prog_insns", ctypes.c_uint64),
        ("xlated_prog_insns", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by_uid", ctypes.c_uint32),
        ("nr_map_ids", ctypes.c_uint32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
        ("ifindex", ctypes.c_uint32),
        ("gpl_compatible", ctypes.c_uint32),
        ("netns_dev", ctypes.c_uint64),
        ("netns_ino", ctypes.c_uint64),
        ("nr_jited_ksyms", ctypes.c_uint32),
        ("nr_jited_func_lens", ctypes.c_uint32),
        ("jited_ksyms", ctypes.c_uint64),
        ("jited_func_lens", ctypes.c_uint64),
        ("btf_id", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("func_info", ctypes.c_uint64),
        ("nr_func_info", ctypes.c_uint32),
        ("nr_line_info", ctypes.c_uint32),
        ("line_info", ctypes.c_uint64),
        ("jited_line_info", ctypes.c_uint64),
        ("nr_jited_line_info", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("jited_line_info_rec_size", ctypes.c_uint32),
        ("nr_prog_tags", ctypes.c_uint32),
        ("prog_tags", ctypes.c_uint64),
        ("run_time_ns", ctypes.c_uint64),
        ("run_cnt", ctypes.c_uint64),
        ("recursion_misses", ctypes.c_uint64),
        ("verified_insns", ctypes.c_uint32),
        ("attach_btf_obj_id", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    ]


class MapInfo(ctypes.Structure):
    """struct bpf_map_info of the kernel's uapi/linux/bpf.h."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
        ("ifindex", ctypes.c_uint32),
        ("btf_vmlinux_value_type_id", ctypes.c_uint32),
        ("netns_dev", ctypes.c_uint64),
        ("netns_ino", ctypes.c_uint64),
        ("btf_id", ctypes.c_uint32),
        ("btf_key_type_id", ctypes.c_uint32),
        ("btf_value_type_id", ctypes.c_uint32),
        ("btf_vmlinux_id", ctypes.c_uint32),
        ("map_extra", ctypes.c_uint64),
    ]


class BtfType(ctypes.Structure):
    """struct btf_type of the kernel's uapi/linux/btf.h."""

    _fields_ = [("name_off", ctypes.c_uint32), ("info", ctypes.c_uint32), ("size", ctypes.c_uint32)]


class BtfMember(ctypes.Structure):
    """struct btf_member of the kernel's uapi/linux/btf.h; the offset is in bits."""

    _fields_ = [
        ("name_off", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
    ]


#: Functions that return something else than an int.
_RESULTS: dict[str, object] = {
    "bpf_map__attach_struct_ops": ctypes.c_void_p,
    "bpf_map__initial_value": ctypes.c_void_p,
    "bpf_map__name": ctypes.c_char_p,
    "bpf_object__btf": ctypes.c_void_p,
    "bpf_object__find_map_by_name": ctypes.c_void_p,
    "bpf_object__find_program_by_name": ctypes.c_void_p,
    "bpf_object__next_map": ctypes.c_void_p,
    "bpf_object__next_program": ctypes.c_void_p,
    "bpf_object__open_mem": ctypes.c_void_p,
    "bpf_program__attach": ctypes.c_void_p,
    "bpf_program__insn_cnt": ctypes.c_size_t,
    "bpf_program__name": ctypes.c_char_p,
    "btf__load_from_kernel_by_id_split": ctypes.c_void_p,
    "btf__load_vmlinux_btf": ctypes.c_void_p,
    "btf__name_by_offset": ctypes.c_char_p,
    "btf__type_by_id": ctypes.c_void_p,
    "libbpf_version_string": ctypes.c_char_p,
    "ring_buffer__new": ctypes.c_void_p,
}

_Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

#: libbpf's levels: warnings, information, debugging.
_DEBUG = 2

_collected: list[str] = []


def _print(level: int, template: bytes, arguments: int) -> int:
    if level >= _DEBUG:
        return 0
    text = ctypes.create_string_buffer(4096)
    # A va_list reaches a function as a pointer on all of libbpf's architectures of 64 bits.
    ctypes.CDLL(None).vsnprintf(text, ctypes.c_size_t(4096), template, ctypes.c_void_p(arguments))
    _collected.append(text.value.decode("utf-8", "replace").rstrip("\n"))
    return 0


#: Kept here because libbpf holds nothing but its address.
_callback = _Print(_print)


def _candidates() -> list[str]:
    chosen = os.environ.get("POLICYC_LIBBPF")
    if chosen:
        return [chosen]
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    own = cache_home / "policyc" / "lib" / "libbpf.so.1"
    return [*([str(own)] if own.is_file() else []), "libbpf.so.1"]


@cache
def libbpf() -> ctypes.CDLL:
    """The library: $POLICYC_LIBBPF, else that of `make libbpf` in the cache, else the system's.

    Raises KernelToolMissing if there is none.
    """
    errors: list[str] = []
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate, use_errno=True)
            for name, result in _RESULTS.items():
                getattr(library, name).restype = result
        except (OSError, AttributeError) as error:
            errors.append(str(error))
            continue
        library.libbpf_set_print(_callback)
        return library
    raise KernelToolMissing("libbpf 1.0 or newer", f"{'; '.join(errors)}; {_HOW_TO_GET}")


def version() -> tuple[int, int]:
    """The version of the library, such as (1, 5)."""
    found = re.match(rb"v?(\d+)\.(\d+)", libbpf().libbpf_version_string())
    return (int(found[1]), int(found[2])) if found else _OLDEST


def check_version(needed: tuple[int, int], what: str) -> None:
    """Raise KernelToolMissing if the library is older than `what` needs."""
    if version() < needed:
        ours, theirs = (".".join(map(str, each)) for each in (needed, version()))
        raise KernelToolMissing(f"libbpf {ours} for {what} (this one is {theirs})", _HOW_TO_GET)


@contextmanager
def messages() -> Generator[list[str]]:
    """Collects libbpf's warnings, a line each, until the end of the block."""
    start = len(_collected)
    lines: list[str] = []
    try:
        yield lines
    finally:
        lines += _collected[start:]
        del _collected[start:]


@cache
def possible_cpus() -> int:
    """How many values an element of a per-CPU map has."""
    return int(libbpf().libbpf_num_possible_cpus())


@cache
def unavailable() -> str:
    """Why programs cannot be loaded here, empty if they can."""
    try:
        library = libbpf()
    except KernelToolMissing as missing:
        return str(missing)
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "the kernel has no type information (/sys/kernel/btf/vmlinux)"
    # A map is the smallest thing that bpf(2) must let us make.
    descriptor = library.bpf_map_create(2, b"probe", 4, 8, 1, None)
    if descriptor < 0:
        return f"bpf(2) is not allowed: {os.strerror(-descriptor)}"
    os.close(descriptor)
    return ""
