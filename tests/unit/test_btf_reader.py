from __future__ import annotations

import lzma
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyc.emit.clang import find_clang
from policyc.hooks.btf import types as t
from policyc.hooks.btf.errors import BtfError
from policyc.hooks.btf.match import match
from policyc.hooks.btf.reader import Btf, parse_btf, read_btf, running
from policyc.hooks.btf.spelling import canonical, spelling, spellings
from tests.unit.btf_bytes import FIXTURES, Builder, swapped

V12 = FIXTURES / "shapes" / "v12.btf"
REAL = FIXTURES / "real"

SOURCE = """
struct outer {
	union { int a; struct { unsigned b : 3; signed c : 5; unsigned long long d; }; };
	const char *volatile names[4];
	int (*call)(struct outer *self, ...);
	struct later *later;
};
enum small { MINUS = -1, ONE = 1 };
enum large : long long { LEAST = -0x7fffffffffffffffLL - 1, MOST = 0x7fffffffffffffffLL };
enum larger : unsigned long long { ALL = 0xffffffffffffffffULL };
typedef float real;
struct outer kept __attribute__((section(".kept"), btf_decl_tag("a tag")));
enum small small; enum large large; enum larger larger; real number;
int __attribute__((btf_type_tag("rcu"))) *tagged;
int function(struct outer *restrict self) { return self->a + (int)self->b; }
"""


def all_types(btf: Btf) -> list[t.BtfType]:
    return [btf.type(number) for number in range(len(btf))]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same source, compiled for either byte order."""
    directory = tmp_path_factory.mktemp("objects")
    source = directory / "kinds.c"
    source.write_text(SOURCE)
    found: dict[str, Path] = {}
    for target in ("bpfel", "bpfeb"):
        found[target] = directory / f"{target}.o"
        flags = ["-target", target, "-g", "-O2", "-Wno-everything", "-c"]
        subprocess.run([find_clang(), *flags, source, "-o", found[target]], check=True)
    return found


def test_every_kind_of_an_object_is_read(objects: dict[str, Path]) -> None:
    btf = read_btf(objects["bpfel"])
    (outer,) = btf.records("outer")
    assert (outer.size, outer.word, [m.name for m in outer.members]) == (
        64,
        "struct",
        ["", "names", "call", "later"],
    )
    union = btf.type(outer.members[0].type)
    assert isinstance(union, t.Record)
    assert union.union
    inner = btf.type(union.members[1].type)
    assert isinstance(inner, t.Record)
    fields = [(m.name, m.bit_offset, m.bits) for m in inner.members]
    assert fields == [("b", 0, 3), ("c", 3, 5), ("d", 64, 0)]
    assert spelling(btf, outer.members[1].type) == "const char *[4]"
    assert spelling(btf, outer.members[2].type) == "int (*)(struct outer *, ...)"
    later = btf.stripped(outer.members[3].type)
    assert isinstance(later, t.Pointer)
    assert btf.type(later.target) == t.Forward(later.target, "later", union=False)
    enumerations = {
        item.name: (item.size, item.signed, dict(item.members))
        for item in btf.own_types()
        if isinstance(item, t.Enumeration)
    }
    assert enumerations == {
        "small": (4, True, {"MINUS": -1, "ONE": 1}),
        "large": (8, True, {"LEAST": -(1 << 63), "MOST": (1 << 63) - 1}),
        "larger": (8, False, {"ALL": (1 << 64) - 1}),
    }
    kinds = {type(item) for item in btf.own_types()}
    assert kinds >= {t.Section, t.Variable, t.Function, t.Prototype, t.Array, t.Float}
    (tag,) = (item for item in btf.own_types() if isinstance(item, t.DeclarationTag))
    assert (tag.name, tag.component, btf.type(tag.target).name) == ("a tag", -1, "kept")
    assert any(isinstance(i, t.Modifier) and i.name == "rcu" for i in btf.own_types())
    (section,) = (item for item in btf.named(".kept", t.Section))
    assert isinstance(section, t.Section)
    assert [btf.type(place.type).name for place in section.places] == ["kept"]


def test_byte_order_makes_no_difference(objects: dict[str, Path]) -> None:
    little, big = (read_btf(objects[target]) for target in ("bpfel", "bpfeb"))
    assert (little.little_endian, big.little_endian) == (True, False)
    assert all_types(little) == all_types(big)
    data = V12.read_bytes()
    assert all_types(parse_btf(swapped(data))) == all_types(parse_btf(data))
    assert match(parse_btf(swapped(data))) == match(parse_btf(data))


def test_a_module_continues_its_kernel() -> None:
    kernel = read_btf(REAL / "debian-6.12.btf.xz")
    module = read_btf(REAL / "policyc_hooks.btf.xz", kernel)
    assert module.first == len(kernel)
    assert kernel.records("bpf_thp_ops") == []
    (ops,) = module.records("bpf_thp_ops")
    assert ops.id >= module.first
    # Its parameters are types of the kernel, by number and by name.
    assert module.records("vm_area_struct") == kernel.records("vm_area_struct")
    assert module.records("vm_area_struct", own=True) == []
    pointer = module.stripped(ops.members[1].type)
    assert isinstance(pointer, t.Pointer)
    assert spellings(module, pointer.target) == [
        "thp_order_fn_t",
        "int (struct vm_area_struct *, enum tva_type, unsigned long)",
    ]


def test_a_module_needs_its_own_kernel() -> None:
    with pytest.raises(BtfError, match="continue those of a kernel") as caught:
        read_btf(REAL / "policyc_hooks.btf.xz")
    assert caught.value.fault == "base-needed"
    other = read_btf(REAL / "vanilla-6.18.btf.xz")
    with pytest.raises(BtfError) as caught:
        read_btf(REAL / "policyc_hooks.btf.xz", other)
    assert caught.value.fault == "wrong-base"


def test_a_module_may_bring_what_it_continues(tmp_path: Path) -> None:
    base = Builder()
    base.integer()
    own = Builder(len(base.strings), 2)
    own.add(t.Kind.TYPEDEF, "number", 1)
    path = tmp_path / "module.ko"
    path.write_bytes(elf({".BTF": own.data(), ".BTF.base": base.data()}))
    btf = read_btf(path)
    (number,) = btf.named("number")
    assert spellings(btf, number.id) == ["number", "int"]


def elf(sections: dict[str, bytes], order: str = "<", *, wide: bool = True) -> bytes:
    """An ELF file with some sections and nothing else."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    contents = [*sections.values(), names]
    header, entry = ("HHIQQQIHHHHHH", "IIQQQQIIQQ") if wide else ("HHIIIIIHHHHHH", "10I")
    at = 16 + struct.calcsize(order + header)
    table, body, offset = [bytes(struct.calcsize(order + entry))], b"", 1
    for name, data in zip((*sections, ".shstrtab"), contents, strict=True):
        fields = (offset, 1, 0, 0, at + len(body), len(data), 0, 0, 1, 0)
        table.append(struct.pack(order + entry, *fields))
        body += data
        offset += len(name) + 1
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    sizes = (0, 0, 0, struct.calcsize(order + entry), len(table), len(table) - 1)
    fields = struct.pack(order + header, 1, 247, 1, 0, 0, at + len(body), 0, *sizes)
    return ident + fields + body + b"".join(table)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_elf_files_of_every_class(tmp_path: Path, order: str, wide: bool) -> None:
    data = V12.read_bytes()
    path = tmp_path / "vmlinux"
    path.write_bytes(elf({".text": b"code", ".BTF": data}, order, wide=wide))
    assert all_types(read_btf(path)) == all_types(parse_btf(data))
    path.write_bytes(elf({".text": b"code"}, order, wide=wide))
    with pytest.raises(BtfError, match=r"without a \.BTF section"):
        read_btf(path)


def test_files_of_other_kinds_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "file"
    image = bytearray(0x300)
    image[0x202:0x206] = b"HdrS"
    cases = [
        (b"", "an empty file"),
        (b"#!/bin/sh\n", "no type information"),
        (bytes(image), "compressed kernel image"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "zstd"),
        (lzma.compress(V12.read_bytes())[:-100], "damaged"),
    ]
    for data, said in cases:
        path.write_bytes(data)
        with pytest.raises(BtfError, match=said) as caught:
            read_btf(path)
        assert caught.value.file == str(path)


def test_a_kind_that_is_newer_is_passed_over_where_the_file_says_its_size() -> None:
    builder = Builder()
    number = builder.add(25, "newer", 0, (1, 2, 3, 4, 5), count=2)
    known = builder.integer()
    with pytest.raises(BtfError, match="kind 25"):
        parse_btf(builder.data())
    layout = bytearray(4 * 26)
    layout[4 * 25 : 4 * 25 + 2] = bytes((4, 8))
    btf = parse_btf(builder.data(layout=bytes(layout)))
    assert btf.type(number) == t.Other(number, "newer", 25)
    assert btf.named("int") == [btf.type(known)]


def test_a_bit_field_of_the_old_kind() -> None:
    builder = Builder()
    plain = builder.integer("int")
    narrow = builder.add(t.Kind.INT, "int", 4, (1 << 24 | 3,))
    names = [builder.string(name) for name in ("a", "b")]
    tail = (names[0], plain, 0, names[1], narrow, 32)
    number = builder.add(t.Kind.STRUCT, "old", 8, tail, count=2)
    record = parse_btf(builder.data()).type(number)
    assert isinstance(record, t.Record)
    assert [(m.name, m.bit_offset, m.bits) for m in record.members] == [("a", 0, 0), ("b", 32, 3)]


def test_names_are_found_also_at_the_end_of_longer_ones() -> None:
    builder = Builder()
    long = builder.add(t.Kind.FWD, "very_long", 0)
    short = builder.add(t.Kind.FWD, "", 0)
    # Strings may share their ends.
    builder.words[3 * (short - 1)] = builder.words[3 * (long - 1)] + len("very_")
    btf = parse_btf(builder.data())
    assert [item.id for item in btf.named("long")] == [short]
    assert [item.id for item in btf.named("very_long")] == [long]
    assert btf.named("ong") == []


def test_chains_without_an_end_are_found() -> None:
    builder = Builder()
    first = builder.add(t.Kind.TYPEDEF, "a", 2)
    builder.add(t.Kind.CONST, "", 1)
    pointer = builder.add(t.Kind.PTR, "", 3)
    array = builder.add(t.Kind.ARRAY, "", 0, (4, 4, 2))
    name = builder.string("self")
    record = builder.add(t.Kind.STRUCT, "inside", 4, (0, 5, 0, name, 5, 0), count=2)
    btf = parse_btf(builder.data())
    with pytest.raises(BtfError, match="end of the chain"):
        btf.stripped(first)
    assert set(spellings(btf, first)) == {"a"}
    assert "..." in spelling(btf, pointer)
    assert "..." in spelling(btf, array)
    assert spelling(btf, record) == "struct inside"


@pytest.mark.parametrize(
    ("offset", "value", "fault"),
    [
        (0, 0x9FEC, "not-btf"),
        (2, 0x0002, "bad-header"),
        (4, 8, "bad-header"),
        (4, 1 << 30, "truncated"),
        (8, 2, "bad-header"),
        (12, 1 << 30, "truncated"),
        (16, 1 << 31, "truncated"),
        (20, 1, "bad-string"),
    ],
)
def test_a_damaged_header_says_what_is_wrong(offset: int, value: int, fault: str) -> None:
    builder = Builder()
    builder.integer()
    data = bytearray(builder.data())
    width = 2 if offset < 4 else 4
    data[offset : offset + width] = value.to_bytes(width, "little")
    if offset == 20:
        data[-1] = ord("x")
        data[20:24] = len(builder.strings).to_bytes(4, "little")
    with pytest.raises(BtfError) as caught:
        parse_btf(bytes(data))
    assert caught.value.fault == fault
    assert str(caught.value)


def test_damaged_types_say_where(tmp_path: Path) -> None:
    builder = Builder()
    builder.integer()
    builder.add(30, "unknown")
    with pytest.raises(BtfError, match=r"type 2 of kind 30 at byte 44") as caught:
        parse_btf(builder.data())
    assert caught.value.offset == 24 + 16 + 4
    builder = Builder()
    builder.add(t.Kind.STRUCT, "cut", 4, (), count=9)
    with pytest.raises(BtfError, match=r"type 1 reaches behind the end") as caught:
        parse_btf(builder.data())
    assert caught.value.fault == "truncated"
    builder = Builder()
    lost = builder.add(t.Kind.PTR, "", 77)
    odd = builder.add(t.Kind.INT, "odd", 1, (64,))
    nameless = builder.add(t.Kind.FWD, "", 0)
    builder.words[-3] = 1000
    btf = parse_btf(builder.data())
    for ask, fault in (
        (lambda: spelling(btf, lost), "bad-id"),
        (lambda: btf.type(odd), "bad-type"),
        (lambda: btf.type(nameless), "bad-string"),
    ):
        with pytest.raises(BtfError) as caught:
            ask()
        assert caught.value.fault == fault


def test_a_struct_cannot_have_more_members_than_a_kernel_takes() -> None:
    builder = Builder()
    number = builder.add(t.Kind.UNION, "wide", 4, (0, 0, 0) * 0x10000, count=0x10000)
    btf = parse_btf(builder.data())
    with pytest.raises(BtfError, match="65,536 members") as caught:
        btf.type(number)
    assert caught.value.fault == "too-large"


V12_BYTES = V12.read_bytes()


def ask_everything(data: bytes) -> None:
    """Whatever the bytes are, the answer is a value or a BtfError."""
    try:
        btf = parse_btf(data)
    except BtfError:
        return
    with suppress(BtfError):
        match(btf)
    for number in range(len(btf)):
        with suppress(BtfError):
            btf.type(number)
        with suppress(BtfError):
            spellings(btf, number)


@settings(max_examples=300)
@given(st.integers(0, len(V12_BYTES) - 1))
def test_a_file_cut_short_is_an_error(length: int) -> None:
    with pytest.raises(BtfError):
        parse_btf(V12_BYTES[:length])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(V12_BYTES) - 1), st.integers(0, 255)), max_size=8))
def test_any_damage_is_survived(changes: list[tuple[int, int]]) -> None:
    data = bytearray(V12_BYTES)
    for offset, value in changes:
        data[offset] = value
    ask_everything(bytes(data))


@settings(max_examples=300)
@given(st.data())
def test_any_references_are_survived(data: st.DataObject) -> None:
    """Types that refer to one another at random: cycles, holes, the wrong kinds."""
    words = bytearray(V12_BYTES)
    for _ in range(data.draw(st.integers(1, 12))):
        at = 24 + 4 * data.draw(st.integers(0, 500))
        words[at : at + 4] = data.draw(st.integers(0, 160)).to_bytes(4, "little")
    ask_everything(bytes(words))


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([b"\x7fELF\x02\x01", b"\x7fELF\x01\x02"]))
def test_any_elf_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.elf"
    path.write_bytes(head + data)
    with pytest.raises(BtfError):
        read_btf(path)


def test_damaged_sections_of_elf_files(tmp_path: Path) -> None:
    good = elf({".BTF": V12_BYTES})
    path = tmp_path / "vmlinux"
    for at in range(len(good) - 3 * 64, len(good), 2):
        damaged = bytearray(good)
        damaged[at] ^= 0xFF
        path.write_bytes(bytes(damaged))
        with suppress(BtfError):
            assert len(read_btf(path)) == len(parse_btf(V12_BYTES))


def test_the_running_kernel_and_its_modules(tmp_path: Path) -> None:
    kernel = REAL / "debian-6.12.btf.xz"
    module = REAL / "policyc_hooks_v9.btf.xz"
    (tmp_path / "vmlinux").write_bytes(kernel.read_bytes())
    (tmp_path / "policyc_hooks_v9").write_bytes(module.read_bytes())
    (tmp_path / "broken").write_bytes(b"\x9f\xeb")
    first, *others = running(tmp_path)
    assert [item.name for item in (first, *others)] == ["vmlinux", "policyc_hooks_v9"]
    assert match(first, others).offered == ("thp-v9", "mthp-v2", "numab-rfc1")
    assert match(first).offered == ()
    with pytest.raises(FileNotFoundError):
        running(tmp_path / "nowhere")


@pytest.mark.skipif(
    not Path("/sys/kernel/btf/vmlinux").exists(),
    reason="the running kernel has no type information (/sys/kernel/btf/vmlinux)",
)
def test_a_whole_kernel_takes_a_moment() -> None:
    data = Path("/sys/kernel/btf/vmlinux").read_bytes()
    seconds: list[float] = []
    for _ in range(5):
        start = time.process_time()
        btf = parse_btf(data)
        assert btf.records("task_struct")
        assert len(btf) > 10_000
        seconds.append(time.process_time() - start)
    # A tenth of a second for 130,000 types; a step more for each would be seen.
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("long unsigned int", "unsigned long"),
        ("struct file*", "struct file *"),
        ("unsigned", "unsigned int"),
        ("long long int", "long long"),
        ("short unsigned int", "unsigned short"),
        ("const struct cred *", "const struct cred *"),
        ("enum tva_type", "enum tva_type"),
        ("unsigned char", "unsigned char"),
        ("char *[4]", "char *[4]"),
    ],
)
def test_one_spelling_of_types(text: str, same: str) -> None:
    assert canonical(text) == same
