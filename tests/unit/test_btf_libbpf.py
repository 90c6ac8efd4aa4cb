"""The reader beside libbpf: every type of the running kernel, and every relocation."""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache
from pathlib import Path

import pytest

from policyc.emit.clang import compile_object
from policyc.hooks.btf import types as t
from policyc.hooks.btf.match import match
from policyc.hooks.btf.needs import needs_of
from policyc.hooks.btf.reader import parse_btf, read_btf
from policyc.hooks.loader import attributes, profiles
from tests.differential.lanes import kernel
from tests.unit.btf_bytes import FIXTURES
from tests.unit.btf_policies import CASES, attribute_c, needs_clang

VMLINUX = Path("/sys/kernel/btf/vmlinux")

#: Bytes after a type's own twelve, and for each member (libbpf's btf_type_size).
_EXTRA = {1: 4, 3: 12, 14: 4, 17: 4}
_PER_MEMBER = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}


@cache
def library() -> ctypes.CDLL:
    try:
        found = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        pytest.skip(f"libbpf.so.1 cannot be loaded: {error}")
    for name in ("btf__parse", "btf__type_by_id", "btf__raw_data"):
        getattr(found, name).restype = ctypes.c_void_p
    found.btf__name_by_offset.restype = ctypes.c_char_p
    return found


def described(handle: ctypes.c_void_p, number: int) -> tuple[object, ...]:
    """A type as libbpf has it: its words, and the names among them as text."""
    at = library().btf__type_by_id(handle, ctypes.c_uint32(number))
    name, info, third = struct.unpack("=III", ctypes.string_at(at, 12))
    kind, count = info >> 24 & 0x1F, info & 0xFFFF
    size = _EXTRA.get(kind, 0) + _PER_MEMBER.get(kind, 0) * count
    words = struct.unpack(f"={size // 4}I", ctypes.string_at(at + 12, size))
    width = _PER_MEMBER.get(kind, 0) // 4

    def text(offset: int) -> str:
        return library().btf__name_by_offset(handle, ctypes.c_uint32(offset)).decode()

    if width and kind != t.Kind.DATASEC:
        rows = [words[i : i + width] for i in range(0, len(words), width)]
        return (kind, text(name), info >> 31, third, [(text(row[0]), *row[1:]) for row in rows])
    return (kind, text(name), info >> 31, third, list(words), count)


def redescribed(  # noqa: C901 - a case for each kind
    item: t.BtfType, theirs: tuple[object, ...]
) -> tuple[object, ...]:
    """The same from our side; the order of a type's own words is that of include/uapi."""
    match item:
        case t.Integer():
            encoding = item.signed | item.character << 1 | item.boolean << 2
            word = encoding << 24 | item.bit_offset << 16 | item.bits
            return (1, item.name, 0, item.size, [word], 0)
        case t.Pointer():
            return (2, item.name, 0, item.target, [], 0)
        case t.Array():
            return (3, item.name, 0, 0, [item.element, item.index, item.length], 0)
        case t.Record():
            # Whether members can be bit-fields is a matter of how they are written.
            flag = theirs[2]
            rows = [(m.name, m.type, m.bits << 24 | m.bit_offset) for m in item.members]
            return (5 if item.union else 4, item.name, flag, item.size, rows)
        case t.Enumeration():
            low = [(name, value & 0xFFFFFFFF) for name, value in item.members]
            high = [(value >> 32 & 0xFFFFFFFF,) for _, value in item.members]
            wide = item.size == 8
            rows = [(*a, *b) for a, b in zip(low, high, strict=True)] if wide else low
            return (19 if wide else 6, item.name, int(item.signed), item.size, rows)
        case t.Forward():
            return (7, item.name, int(item.union), 0, [], 0)
        case t.Typedef():
            return (8, item.name, 0, item.target, [], 0)
        case t.Modifier():
            return (int(item.kind), item.name, int(item.attribute), item.target, [], 0)
        case t.Function():
            return (12, item.name, 0, item.prototype, [], item.linkage)
        case t.Prototype():
            return (13, item.name, 0, item.returns, [tuple(p) for p in item.parameters])
        case t.Variable():
            return (14, item.name, 0, item.target, [item.linkage], 0)
        case t.Section():
            words = [word for place in item.places for word in place]
            return (15, item.name, 0, item.size, words, len(item.places))
        case t.Float():
            return (16, item.name, 0, item.size, [], 0)
        case t.DeclarationTag():
            words = [item.component & 0xFFFFFFFF]
            return (17, item.name, int(item.attribute), item.target, words, 0)
        case _:
            pytest.fail(f"{item} is of no kind that this kernel has")


def compare(path: Path) -> int:
    """Compare every type of a file; how many there are."""
    handle = ctypes.c_void_p(library().btf__parse(str(path).encode(), None))
    btf = read_btf(path)
    try:
        assert library().btf__type_cnt(handle) == len(btf)
        for number in range(1, len(btf)):
            theirs = described(handle, number)
            assert redescribed(btf.type(number), theirs) == theirs
    finally:
        library().btf__free(handle)
    return len(btf)


@pytest.mark.slow
@pytest.mark.skipif(not VMLINUX.exists(), reason=f"the running kernel has no {VMLINUX}")
def test_every_type_of_the_running_kernel() -> None:
    assert compare(VMLINUX) > 10_000


def test_every_type_of_the_shapes() -> None:
    assert all(compare(path) > 50 for path in sorted((FIXTURES / "shapes").glob("*.btf")))


@pytest.mark.slow
@pytest.mark.skipif(not VMLINUX.exists(), reason=f"the running kernel has no {VMLINUX}")
def test_the_other_byte_order_as_libbpf_writes_it() -> None:
    handle = ctypes.c_void_p(library().btf__parse(str(VMLINUX).encode(), None))
    size = ctypes.c_uint32()
    big = 1
    assert library().btf__set_endianness(handle, big) == 0
    at = library().btf__raw_data(handle, ctypes.byref(size))
    other = parse_btf(ctypes.string_at(at, size.value))
    library().btf__free(handle)
    own = read_btf(VMLINUX)
    assert (own.little_endian, other.little_endian) == (True, False)
    assert list(other.own_types()) == list(own.own_types())


# -- relocations

_ENTRY = """
SEC("socket")
int probe(void *context)
{
	struct HOOK_request request = {};

	HOOK_fill(&request, ARGUMENTS);
	return HOOK_decide(&request, (void *)0).FIELD;
}
"""
_ARGUMENTS = {
    "thp-v12": ("thp", "context, 0, 1, 0x3fe", "orders"),
    "mthp-v2": ("thp", "context, 0x3fe", "orders"),
    "numab-rfc1": ("numa", "context", "on"),
}

#: Kernels that differ in more than their hooks, and one that does not.
_SHAPES = ("v12", "no-psi", "no-memcg", "narrow", "wide", "moved")

RELOCATED = [
    (profile, name)
    for profile, name in CASES
    if profile in _ARGUMENTS and needs_of(profiles()[profile], attributes()[name]).needs
]


def probe_object(profile: str, name: str) -> bytes:
    """The object of a policy, its program without a hook."""
    hook, arguments, field = _ARGUMENTS[profile]
    head, marker, _ = attribute_c(profile, name).partition("/* The programs that the kernel")
    assert marker
    entry = _ENTRY.replace("HOOK", hook).replace("ARGUMENTS", arguments).replace("FIELD", field)
    return compile_object(f'#pragma clang diagnostic ignored "-Wunused-function"\n{head}{entry}')


class _OpenOptions(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
        ("attach_prog_fd", ctypes.c_uint32),
        ("kconfig", ctypes.c_char_p),
        ("btf_custom_path", ctypes.c_char_p),
    ]


_Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


def log_of_relocation(data: bytes, types: Path) -> str:
    """What libbpf says while it fits an object to a kernel with these types."""
    lines: list[str] = []

    def keep(_level: int, form: bytes, arguments: int) -> int:
        text = ctypes.create_string_buffer(1024)
        ctypes.CDLL(None).vsnprintf(text, 1024, form, ctypes.c_void_p(arguments))
        lines.append(text.value.decode("utf-8", "replace"))
        return 0

    callback = _Print(keep)
    lib = library()
    lib.bpf_object__open_mem.restype = ctypes.c_void_p
    options = _OpenOptions(ctypes.sizeof(_OpenOptions), b"probe")
    options.btf_custom_path = os.fsencode(types)
    lib.libbpf_set_print.restype = ctypes.c_void_p
    before = lib.libbpf_set_print(callback)
    try:
        buffer = ctypes.create_string_buffer(data, len(data))
        opened = lib.bpf_object__open_mem(buffer, ctypes.c_size_t(len(data)), ctypes.byref(options))
        assert opened, lines
        handle = ctypes.c_void_p(opened)
        # That the kernel then refuses the program is of no interest: its types are others.
        lib.bpf_object__load(handle)
        lib.bpf_object__close(handle)
    finally:
        lib.libbpf_set_print(ctypes.c_void_p(before))
    return "".join(lines)


@pytest.mark.slow
@pytest.mark.kernel
@pytest.mark.skipif(bool(kernel.available()), reason=kernel.available() or "-")
@pytest.mark.parametrize(("profile", "name"), RELOCATED)
def test_libbpf_agrees_on_what_can_be_read(profile: str, name: str) -> None:
    needs_clang()
    data = probe_object(profile, name)
    for shape in _SHAPES:
        path = FIXTURES / "shapes" / f"{shape}.btf"
        log = log_of_relocation(data, path)
        assert "CO-RE relocating" in log, log
        refused = "invalid insn" in log
        status = match(read_btf(path)).attributes[profile, name].status
        assert refused == (status != "readable"), (shape, status, log)
