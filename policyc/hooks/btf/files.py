"""Finds type information in files: raw, in ELF files, and in compressed ones."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from policyc.hooks.btf.errors import BtfError

__all__ = ["LARGEST", "Contents", "read_contents"]

#: The most bytes of type information, or of a compressed file, that are read. The largest
#: kernels have a fifth of this.
LARGEST = 64 << 20

_MAGICS = (b"\x9f\xeb", b"\xeb\x9f")
_ELF = b"\x7fELF"
_XZ = b"\xfd7zXZ\0"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_WANTED = (".BTF", ".BTF.ext", ".BTF.base")
_COMPRESSED_SECTION = 0x800
_NO_DATA = 8
_MOST_SECTIONS = 1 << 17


@dataclass(frozen=True, slots=True)
class Contents:
    """The type information of a file; `base` and `ext` are empty where there is none.

    `btf` is that of .BTF or of a raw file, `base` what .BTF continues (.BTF.base, in
    modules), `ext` that of .BTF.ext, which BPF objects have.
    """

    btf: bytes
    base: bytes = b""
    ext: bytes = b""


def read_contents(path: Path) -> Contents:
    """The type information of a file; OSError if it cannot be read, BtfError if it has none."""
    with path.open("rb") as stream:
        head = stream.read(0x206)
        stream.seek(0)
        if head.startswith((_XZ, _GZIP)):
            unpacked = _unpacked(stream, xz=head.startswith(_XZ))
            return _contents(io.BytesIO(unpacked), unpacked[:0x206])
        return _contents(stream, head)


def _contents(stream: IO[bytes], head: bytes) -> Contents:
    if head.startswith(_MAGICS):
        data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise _too_large("the file")
        return Contents(data)
    if head.startswith(_ELF):
        return _Elf(stream).contents()
    raise BtfError("not-btf", _what_it_is(head), offset=0, expected="BTF, or an ELF file with it")


def _what_it_is(head: bytes) -> str:
    if head[0x202:0x206] == b"HdrS":
        return (
            "a compressed kernel image (the kernel's scripts/extract-vmlinux unpacks it; "
            "/sys/kernel/btf/vmlinux has the types of the running one)"
        )
    if head.startswith(_ZSTD):
        return "a file that zstd compressed (unzstd unpacks it)"
    return "no type information" if head else "an empty file"


def _too_large(what: str) -> BtfError:
    return BtfError("too-large", f"{what} has more than {LARGEST >> 20} MiB")


def _unpacked(stream: IO[bytes], *, xz: bool) -> bytes:
    try:
        with lzma.LZMAFile(stream) if xz else gzip.GzipFile(fileobj=stream, mode="rb") as opened:
            data = opened.read(LARGEST + 1)
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BtfError("truncated", f"the compressed file is damaged ({error})") from None
    if len(data) > LARGEST:
        raise _too_large("the unpacked file")
    return data


class _Elf:
    """The sections of an ELF file of either class and byte order."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._end = stream.seek(0, io.SEEK_END)
        ident = self._read(0, 16, "the ELF header")
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise BtfError(
                "bad-header",
                f"an ELF file of class {ident[4]} and byte order {ident[5]}",
                offset=4,
                expected="1 or 2 for both",
            )
        order = "<" if ident[5] == 1 else ">"
        wide = ident[4] == 2
        self._header = struct.Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"))
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        self._section = struct.Struct(order + ("IIQQQQIIQQ" if wide else "10I"))

    def contents(self) -> Contents:
        """The sections with type information."""
        found = self._sections()
        if ".BTF" not in found:
            raise BtfError(
                "not-btf",
                "an ELF file without a .BTF section",
                expected="a kernel or module built with CONFIG_DEBUG_INFO_BTF, "
                "or an object that clang compiled with -g -target bpf",
            )
        return Contents(found[".BTF"], found.get(".BTF.base", b""), found.get(".BTF.ext", b""))

    def _sections(self) -> dict[str, bytes]:
        values = self._header.unpack(self._read(16, self._header.size, "the ELF header"))
        table, entry_size, count, names = values[5], *values[10:13]
        if table == 0:
            return {}
        if entry_size != self._section.size:
            raise BtfError(
                "bad-header",
                f"section headers of {entry_size} bytes",
                expected=f"{self._section.size}",
            )
        first = self._section.unpack(self._read(table, entry_size, "the section headers"))
        # Where a number needs more than 16 bits, the first header has it.
        count = count or first[5]
        names = first[6] if names == 0xFFFF else names
        if not names < count <= _MOST_SECTIONS:
            raise BtfError(
                "bad-header",
                f"section {names} has the names of {count} sections",
                expected=f"one of them, and at most {_MOST_SECTIONS:,}",
            )
        data = self._read(table, count * entry_size, "the section headers")
        named = self._section.unpack_from(data, names * entry_size)
        strings = self._data(named, "the names of the sections")
        found: dict[str, bytes] = {}
        for header in self._section.iter_unpack(data):
            name = _string(strings, header[0])
            if name in _WANTED and name not in found:
                found[name] = self._data(header, name)
        return found

    def _data(self, header: tuple[int, ...], what: str) -> bytes:
        _, kind, flags, _, offset, size, *_ = header
        if flags & _COMPRESSED_SECTION or kind == _NO_DATA:
            raise BtfError("not-btf", f"{what} is compressed or was stripped away", offset=offset)
        if size > LARGEST:
            raise _too_large(what)
        return self._read(offset, size, what)

    def _read(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self._end:
            raise BtfError(
                "truncated",
                f"{what} of {size:,} bytes",
                offset=offset,
                expected=f"the end of it within the file's {self._end:,} bytes",
            )
        self._stream.seek(offset)
        data = self._stream.read(size)
        if len(data) != size:
            raise BtfError("truncated", f"{what} ends too early", offset=offset + len(data))
        return data


def _string(strings: bytes, offset: int) -> str:
    """A name of at most a few bytes more than the names that are looked for."""
    return strings[offset : offset + 16].partition(b"\0")[0].decode("latin-1")
