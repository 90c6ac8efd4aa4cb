"""Starts workloads and tells what is true of them, from what they report and from /proc."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Process", "Vma", "vmas_of"]

_SCRIPT = Path(__file__).with_name("workload.py")


class Process:
    """A running workload (see workload.py), ended with the context."""

    def __init__(
        self,
        *,
        comm: str | None = None,
        uid: int | None = None,
        cgroup: Path | None = None,
        areas: Sequence[dict[str, Any]] = (),
    ) -> None:
        configuration: dict[str, Any] = {"areas": list(areas)}
        if comm is not None:
            configuration["comm"] = comm
        if uid is not None:
            configuration["uid"] = uid
        command = [sys.executable, "-I", "-S", str(_SCRIPT), json.dumps(configuration)]
        if cgroup is not None:
            # The shell moves itself, so that all memory of the workload is charged there.
            enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
            command = ["/bin/sh", "-c", enter, str(cgroup), *command]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.comm = comm
        self.pid = self._process.pid
        self._waiting = 0
        self.report: dict[str, Any] = self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the workload {self.pid} ended with {self._process.wait()}")
        return json.loads(line)

    def send(self, command: str, *arguments: object) -> None:
        """Have the workload do something, without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._process.stdin.flush()
        self._waiting += 1

    def answer(self) -> Any:
        """What the oldest command that was sent gave."""
        self._waiting -= 1
        line = self._line()
        if "error" in line:
            raise OSError(line["error"])
        return line["result"]

    def do(self, command: str, *arguments: object) -> Any:
        """Have the workload do something; what it gave."""
        self.send(command, *arguments)
        return self.answer()

    def area(self, name: str) -> tuple[int, int]:
        """Where an area is, as (start, end)."""
        start, end = self.report["areas"][name]
        return start, end

    def end(self) -> int:
        """Let the workload end; its exit code."""
        for _ in range(self._waiting):
            self.answer()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
            self._waiting = 0
        self.end()


@dataclass(frozen=True, slots=True)
class Vma:
    """An area as /proc shows it; `kind` is None where /proc does not tell (vdso and the like)."""

    start: int
    end: int
    kind: str | None
    advice: str
    stack: bool
    locked: bool
    exec: bool


_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)")


def vmas_of(pid: int) -> Iterator[Vma]:
    """The areas of a process, from /proc/PID/smaps."""
    systems = _file_systems()
    text = Path(f"/proc/{pid}/smaps").read_text("utf-8", "replace")
    head: re.Match[str] | None = None
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        head = found or head
        if not line.startswith("VmFlags:"):
            continue
        assert head is not None
        start, end, major, minor, inode, name = head.groups()
        flags = line.split()[1:]
        advice = "hugepage" if "hg" in flags else "nohugepage" if "nh" in flags else "none"
        system = systems.get((int(major, 16), int(minor, 16)))
        kind = _kind(system, mapped=inode != "0", name=name)
        stack, locked, executable = ("gd" in flags, "lo" in flags, "ex" in flags)
        yield Vma(int(start, 16), int(end, 16), kind, advice, stack, locked, executable)


def _file_systems() -> dict[tuple[int, int], str]:
    """The type of each mounted file system by its device."""
    found: dict[tuple[int, int], str] = {}
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        before, _, after = line.partition(" - ")
        major, minor = before.split()[2].split(":")
        found[int(major), int(minor)] = after.split()[0]
    return found


def _kind(system: str | None, *, mapped: bool, name: str) -> str | None:
    if not mapped:
        special = name.startswith("[") and not name.startswith(("[heap", "[stack", "[anon"))
        return None if special else "anon"
    if name.startswith(("/memfd:", "/SYSV", "/dev/zero (deleted)")):
        return "shmem"
    # An overlay's areas belong to the files below it, and the first root is a tmpfs or not.
    if system in (None, "overlay", "rootfs"):
        return None
    return "shmem" if system == "tmpfs" else "file"
