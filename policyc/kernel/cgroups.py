"""Cgroups of version 2: where they are, and their ids, by which BPF knows them."""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from policyc.kernel.errors import KernelError, KernelToolMissing

__all__ = ["cgroup_id", "cgroup_path", "directory_of", "mount_point"]

#: The type of a file handle that holds a 64-bit id (enum fid_type of linux/exportfs.h).
_FILEID_KERNFS = 0xFE


class _FileHandle(ctypes.Structure):
    """struct file_handle of name_to_handle_at(2), with the id of a kernfs node."""

    _fields_ = [
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("id", ctypes.c_uint64),
    ]


@cache
def mount_point() -> Path:
    """Where the cgroup v2 hierarchy is mounted, from /proc/self/mountinfo.

    Raises KernelToolMissing if it is not mounted.
    """
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split(" ", 1)[0] == "cgroup2":
            escaped = fields.split(" ")[4]
            return Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), escaped))
    raise KernelToolMissing(
        "the cgroup v2 hierarchy",
        "mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    )


def directory_of(path: str) -> Path:
    """The directory of a cgroup that a policy calls `path`, which need not be there."""
    return mount_point() / path.lstrip("/")


def cgroup_id(path: str | Path) -> int | None:
    """The id of a cgroup, None if there is none.

    `path` is as in a policy, from the root of the hierarchy ("/kubepods/java"), or a Path,
    which is that of the directory. The id is the inode number of the directory
    (kernfs_ino and kernfs_id are the same where ino_t has 64 bits, include/linux/kernfs.h).
    """
    directory = path if isinstance(path, Path) else directory_of(path)
    try:
        found = directory.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino if directory.is_dir() else None


def cgroup_path(id: int) -> str | None:
    """The path of the cgroup with that id, from the root of the hierarchy; None if it is gone.

    Raises KernelError if the process may not open by id (CAP_DAC_READ_SEARCH).
    """
    handle = _FileHandle(8, _FILEID_KERNFS, id)
    mount = os.open(mount_point(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        descriptor = library.open_by_handle_at(mount, ctypes.byref(handle), os.O_PATH)
        number = ctypes.get_errno()
    finally:
        os.close(mount)
    if descriptor < 0:
        if number in (2, 116):  # ENOENT, ESTALE
            return None
        raise KernelError(f"the cgroup with id {id} cannot be opened", number)
    try:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
    finally:
        os.close(descriptor)
    with suppress(ValueError):
        relative = target.relative_to(mount_point())
        return "/" if relative == Path() else f"/{relative}"
    return None
