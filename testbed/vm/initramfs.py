"""The VM's file system: Python with the tests' packages, policyc, and what a run brings."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from testbed.vm.cpio import Archive

__all__ = [
    "GUEST_PYCACHE",
    "REPOSITORY",
    "base_archive",
    "compile_python",
    "python_of_repository",
    "run_archive",
    "shared_libraries",
]

#: Where the VM has compiled Python, below which each file has its absolute path.
GUEST_PYCACHE = "/pycache"

REPOSITORY = Path(__file__).resolve().parents[2]

#: What the tests import, and with it all that these depend on.
_DISTRIBUTIONS = ("pytest", "hypothesis", "lark", "click", "jinja2")

#: Parts of the standard library that no test needs, 40 MB of them.
_UNUSED = frozenset(
    (
        *("config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter"),
        *("turtledemo", "unittest/test", "site-packages", "dist-packages", "__pycache__"),
    )
)

#: Directories and files of the repository that the VM sees.
_OURS = ("policyc", "grammar", "templates", "examples", "tests", "kmod", "pyproject.toml")

#: Devices that must be there before devtmpfs is mounted.
_CONSOLE = ("/dev/console", (5, 1))


def base_archive(directory: Path) -> Path:
    """An archive of busybox and Python, made anew only when one of their files changes."""
    files = sorted(set(_python_files()))
    digest = hashlib.sha256()
    for file in files:
        status = file.lstat()
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    target = directory / f"base-{digest.hexdigest()[:16]}.cpio"
    if target.exists():
        return target
    for old in directory.glob("base-*.cpio"):
        old.unlink()
    compiled = compile_python([f for f in files if f.suffix == ".py"], directory / "base-pycache")
    with target.with_suffix(".new").open("wb") as stream:
        archive = Archive(stream)
        for name in ("dev", "proc", "sys", "tmp", "run", "root", "var/tmp", "bin", "mnt"):
            archive.directory(name)
        archive.device(*_CONSOLE)
        archive.data("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        archive.file(_busybox(), "/bin/busybox")
        archive.files(files)
        for file, name in compiled:
            archive.file(file, name)
        archive.close()
    target.with_suffix(".new").rename(target)
    return target


def compile_python(files: Sequence[Path], prefix: Path) -> list[tuple[Path, str]]:
    """Compile files, since that takes the emulated CPU a minute: files and their guest names."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(prefix)}
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j", "2", "-i", "-"],
        input="\n".join(map(str, files)),
        text=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # some files of the library are not meant to compile
    )
    return [(file, f"{GUEST_PYCACHE}/{file.relative_to(prefix)}") for file in prefix.rglob("*.pyc")]


def run_archive(target: Path, extra: Iterable[tuple[Path, str]], data: dict[str, bytes]) -> None:
    """An archive of the repository, the files `extra` under their names, and `data`."""
    with target.open("wb") as stream:
        archive = Archive(stream)
        archive.file(REPOSITORY / "testbed/vm/init", "/init")
        archive.files(_repository_files())
        for path, name in extra:
            archive.file(path, name)
        for name, contents in data.items():
            archive.data(name, contents)
        archive.close()


def _busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise FileNotFoundError("busybox")
    return Path(found).resolve()


def _python_files() -> Iterator[Path]:
    """The interpreter, the standard library, the packages, and the libraries of all of them."""
    interpreter = Path(sys.executable)
    binaries: list[Path] = []
    yield from _links(interpreter)
    real = interpreter.resolve()
    yield real
    binaries.append(real)
    configuration = Path(sys.prefix) / "pyvenv.cfg"
    if configuration.exists():
        yield configuration
    for kind in ("stdlib", "platstdlib"):
        for file in _walk(Path(sysconfig.get_path(kind)), _UNUSED):
            if file.suffix == ".so":
                binaries.append(file)
            yield file
    for file in _package_files():
        if file.suffix == ".so":
            binaries.append(file)
        yield file
    yield from shared_libraries(binaries)


def _links(path: Path) -> Iterator[Path]:
    """The chain of symbolic links from `path` on, directories on the way included."""
    while True:
        for part in (*reversed(path.parents), path):
            if part.is_symlink():
                yield part
                path = part.parent / part.readlink() / path.relative_to(part)
                path = Path(os.path.normpath(path))
                break
        else:
            return


def _walk(top: Path, unused: frozenset[str]) -> Iterator[Path]:
    for directory, names, files in os.walk(top):
        below = Path(directory)
        relative = below.relative_to(top)
        names[:] = sorted(n for n in names if not _matches(relative / n, unused))
        for name in sorted(files):
            if not name.endswith((".pyc", ".a")):
                yield below / name


def _matches(path: Path, unused: frozenset[str]) -> bool:
    return any(path.match(pattern) for pattern in unused)


def _package_files() -> Iterator[Path]:
    """All files of the tests' distributions and of what those require here."""
    seen: set[str] = set()
    pending: list[str] = [*_DISTRIBUTIONS]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a requirement of another Python version or of an extra
        for requirement in distribution.requires or ():
            required = re.match(r"[A-Za-z0-9._-]+", requirement)
            if required and "extra ==" not in requirement:
                pending.append(required[0])
        for file in distribution.files or ():
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.exists() and ".." not in file.parts:
                yield path


def shared_libraries(binaries: Sequence[Path]) -> Iterator[Path]:
    """The libraries that ldd(1) names, with the links that lead to them."""
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    found = set(re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout))
    for name in sorted(found):
        library = Path(name)
        yield from _links(library)
        yield library.resolve()


def python_of_repository() -> Iterator[Path]:
    """The Python files that the VM sees, tests excepted, which pytest compiles its own way."""
    for file in _repository_files():
        if file.suffix == ".py" and not file.name.startswith(("test_", "conftest")):
            yield file


def _repository_files() -> Iterator[Path]:
    for name in _OURS:
        top = REPOSITORY / name
        if top.is_file():
            yield top
        else:
            yield from _walk(top, frozenset({"__pycache__"}))
