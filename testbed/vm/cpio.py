"""Archives as the kernel unpacks them: cpio in the "newc" format."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

__all__ = ["Archive", "Device"]

#: Major and minor number of a character device.
Device = tuple[int, int]


class Archive:
    """Writes files into `stream`; the directories above a file are made on the way.

    Everything belongs to root. Symbolic links are kept; where one leads is the caller's
    business.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._made: set[str] = set()
        self._count = 0

    def close(self) -> None:
        """Write the end of the archive, padded so that another one may follow."""
        self._write("TRAILER!!!", 0, b"")
        self._stream.write(b"\0" * (-self._stream.tell() % 512))

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Make a directory and those above it."""
        name = path.strip("/")
        if not name or name in self._made:
            return
        parent = str(PurePosixPath(name).parent)
        if parent != ".":
            self.directory(parent)
        self._made.add(name)
        self._write(name, stat.S_IFDIR | mode, b"")

    def data(self, path: str, data: bytes, mode: int = 0o644, mtime: int = 0) -> None:
        """A regular file with these contents. The first one of a name stays."""
        if self._begin(path):
            self._write(path.strip("/"), stat.S_IFREG | mode, data, mtime)

    def device(self, path: str, device: Device) -> None:
        """A character device."""
        if self._begin(path):
            self._write(path.strip("/"), stat.S_IFCHR | 0o600, b"", device=device)

    def file(self, path: Path, name: str | None = None) -> None:
        """A file or symbolic link of this machine, under its own absolute path or `name`."""
        target = name or str(path)
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            if self._begin(target):
                link = os.fsencode(path.readlink())
                self._write(target.strip("/"), stat.S_IFLNK | 0o777, link)
        elif stat.S_ISREG(status.st_mode):
            mode = 0o755 if status.st_mode & 0o111 else 0o644
            self.data(target, path.read_bytes(), mode, int(status.st_mtime))

    def files(self, paths: Iterable[Path], names: Mapping[Path, str] | None = None) -> None:
        """Several files, under the names that `names` has for them."""
        for path in paths:
            self.file(path, (names or {}).get(path))

    def _begin(self, path: str) -> bool:
        name = path.strip("/")
        if name in self._made:
            return False
        parent = str(PurePosixPath(name).parent)
        if parent != ".":
            self.directory(parent)
        self._made.add(name)
        return True

    def _write(
        self, name: str, mode: int, data: bytes, mtime: int = 0, device: Device = (0, 0)
    ) -> None:
        self._count += 1
        encoded = os.fsencode(name) + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device of the file system (2), of a
        # device file (2), length of the name, checksum
        fields = (self._count, mode, 0, 0, 1, mtime, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._stream.write(header + encoded + b"\0" * (-(len(header) + len(encoded)) % 4))
        self._stream.write(data + b"\0" * (-len(data) % 4))
