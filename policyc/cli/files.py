"""Reading policies, and writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from policyc.cli.common import USAGE, Failure, reason

__all__ = ["STANDARD_INPUT", "read_policy", "replace_file", "write_files"]

#: What diagnostics call a policy that was read from standard input.
STANDARD_INPUT = "<stdin>"

#: Far more than a policy may have, so that the checker says that it is too large.
_MOST = 64 << 20


def read_policy(file: str) -> tuple[bytes, str]:
    """The bytes of a policy and the name to report it under; `-` is standard input."""
    name = STANDARD_INPUT if file == "-" else file
    try:
        if file == "-":
            if sys.stdin is None:
                raise OSError(0, "It is closed")
            return sys.stdin.buffer.read(_MOST), name
        with Path(file).open("rb") as stream:
            return stream.read(_MOST), name
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {name}: {reason(error)}", USAGE) from None


def write_files(directory: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files so that each is either as it was or complete, whatever happens.

    All of them are on the disk under other names before the first gets its own. The mode
    of a file that exists is kept; new scripts are executable.
    """
    pending: list[tuple[Path, Path]] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            path = _destination(directory / name)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            pending.append((temporary, path))
            _write(temporary, data, _status(path))
        for temporary, path in pending:
            temporary.replace(path)
        _sync_directory(directory)
    except (OSError, ValueError) as error:
        named = getattr(error, "filename2", None) or getattr(error, "filename", None)
        where = named if isinstance(named, str) else str(directory)
        raise Failure(f"cannot write {where}: {reason(error)}", USAGE) from None
    finally:
        for temporary, _ in pending:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return [directory / name for name in contents]


def replace_file(name: str, old: bytes, new: bytes) -> None:
    """Give a file that was read new contents, if it still has the old ones and may be written."""
    path = Path(name)
    try:
        is_open = os.access(path, os.W_OK) and path.stat().st_mode & 0o222
        now = path.read_bytes()
    except (OSError, ValueError) as error:
        raise Failure(f"cannot write {name}: {reason(error)}", USAGE) from None
    if not is_open:
        raise Failure(f"cannot write {name}: it is read-only", USAGE)
    if now != old:
        raise Failure(f"cannot write {name}: it has changed since it was read", USAGE)
    write_files(path.parent, {path.name: new})


def _destination(path: Path) -> Path:
    """The file itself where the name is that of a link to it."""
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    return path.resolve() if path.is_symlink() else path


def _status(path: Path) -> os.stat_result | None:
    """Whose a file is and who may do what with it, None for a new one."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes, status: os.stat_result | None) -> None:
    new = 0o777 if path.name.endswith(f".sh.{os.getpid()}.tmp") else 0o666
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, new)
    try:
        if status is not None:
            with contextlib.suppress(PermissionError):  # only root may give files away
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o777)
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
        os.fsync(descriptor)
    except OSError as error:
        # A write through a descriptor does not say which file it was.
        raise OSError(error.errno, error.strerror, str(path.parent)) from None
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """Put the new names on the disk; not every file system can, and all is written anyway."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
