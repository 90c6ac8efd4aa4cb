"""Runs clang on emitted C. The object does not depend on where or when it was made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from policyc.emit.limits import PolicyTooLarge

__all__ = ["ClangFailed", "ToolMissing", "compile_object", "find_clang"]

#: The oldest version whose CO-RE relocations the emitted code relies on.
OLDEST_CLANG = 15

_FLAGS = (
    "-target",
    "bpf",
    "-O2",
    "-g",
    "-mcpu=v3",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fdebug-compilation-dir=.",
    "-fno-crash-diagnostics",
)

_HEADER = "bpf/bpf_helpers.h"


class ToolMissing(Exception):  # noqa: N818 - says what is wrong
    """A program or header that is needed is not installed; `how_to_get` says what to do."""

    def __init__(self, what: str, how_to_get: str) -> None:
        self.what = what
        self.how_to_get = how_to_get
        super().__init__(f"{what} is missing: {how_to_get}")


#: How clang says that there is no room, and how we do.
_NO_ROOM = {
    "Branch target out of insn range": "its blocks are longer than the jumps of a BPF program",
    "BPF stack limit is exceeded": "its values do not fit onto the stack of a BPF program",
}


class ClangFailed(Exception):  # noqa: N818 - says what is wrong
    """clang refused the text; `stderr` is what it said."""

    def __init__(self, stderr: str) -> None:
        self.stderr = stderr
        super().__init__(stderr)


@cache
def find_clang() -> str:
    """The newest clang on the PATH, or the one that POLICYC_CLANG names."""
    chosen = os.environ.get("POLICYC_CLANG")
    if chosen:
        return chosen
    versions: dict[int, str] = {}
    for directory in os.get_exec_path():
        if not os.access(directory, os.R_OK | os.X_OK):
            continue  # another user's, or not there
        for file in Path(directory).glob("clang-*"):
            numbered = re.fullmatch(r"clang-(\d+)", file.name)
            if numbered and int(numbered[1]) >= OLDEST_CLANG:
                versions.setdefault(int(numbered[1]), str(file))
    if versions:
        return versions[max(versions)]
    plain = shutil.which("clang")
    if plain:
        return plain
    raise ToolMissing(
        f"clang {OLDEST_CLANG} or newer",
        "install it (Debian and Ubuntu: apt install clang) or set POLICYC_CLANG to its path",
    )


def _include_flags() -> list[str]:
    """Where libbpf's headers are; clang looks into the system's directories itself."""
    for directory in os.environ.get("POLICYC_INCLUDE", "").split(os.pathsep):
        if directory and (Path(directory) / _HEADER).is_file():
            return ["-I", directory]
    if any((Path(root) / _HEADER).is_file() for root in ("/usr/include", "/usr/local/include")):
        return []
    raise ToolMissing(
        f"the header {_HEADER}",
        "install libbpf's headers (Debian and Ubuntu: apt install libbpf-dev; Fedora: "
        "dnf install libbpf-devel) or set POLICYC_INCLUDE to the directory that has them",
    )


def compile_object(c_text: str, *, clang: str | None = None, name: str = "policy.bpf.c") -> bytes:
    """The BPF object file of emitted C; `name` is how diagnostics call the text.

    Raises PolicyTooLarge if a BPF program has no room for it.
    """
    command = [clang or find_clang(), *_FLAGS, *_include_flags()]
    with tempfile.TemporaryDirectory(prefix="policyc-") as directory:
        source = Path(directory) / Path(name).name
        source.write_text(c_text, "utf-8")
        target = Path(directory) / "policy.bpf.o"
        try:
            done = subprocess.run(
                [*command, "-c", source.name, "-o", target.name],
                cwd=directory,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise ToolMissing(command[0], "set POLICYC_CLANG to the path of clang") from error
        if done.returncode != 0:
            for theirs, ours in _NO_ROOM.items():
                if theirs in done.stderr:
                    raise PolicyTooLarge(ours)
            raise ClangFailed(done.stderr)
        return target.read_bytes()
