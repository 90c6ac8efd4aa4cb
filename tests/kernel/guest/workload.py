"""Processes that use memory as a test tells them: testbed/programs/workload.c."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.kernel.guest.cgroups import Cgroup

__all__ = ["MIB", "Region", "Workload", "WorkloadError"]

MIB = 1 << 20

_ADVICE = {
    "normal": mmap.MADV_NORMAL,
    "dontneed": mmap.MADV_DONTNEED,
    "hugepage": mmap.MADV_HUGEPAGE,
    "nohugepage": mmap.MADV_NOHUGEPAGE,
    "cold": 20,
    "pageout": 21,
    "populate_write": 23,
    "collapse": 25,
}


class WorkloadError(Exception):
    """A command failed; the text ends with the name of the errno."""


@dataclass(frozen=True, slots=True)
class Region:
    """A mapping of a workload, a VMA of its own as long as all of it has the same advice."""

    number: int
    start: int
    end: int

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.end - self.start


class Workload:
    """A process that maps and touches memory; it ends with the block.

    `comm` is at most 15 bytes long. Commands raise WorkloadError.
    """

    def __init__(self, cgroup: Cgroup | None = None, comm: str = "workload") -> None:
        program = Path(os.environ["POLICYC_OBJECTS"]) / "programs/workload"
        where = ["-c", str(cgroup.directory)] if cgroup else []
        self._process = subprocess.Popen(
            [program, "-n", comm, *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in: IO[str] = self._process.stdin
        self._out: IO[str] = self._process.stdout
        self.pid = int(self._answer()["pid"])

    # -- commands

    def send(self, *words: str | float) -> None:
        """Give a command without waiting for its answer."""
        self._in.write(" ".join(map(str, words)) + "\n")
        self._in.flush()

    def receive(self) -> dict[str, Any]:
        """The answer to the oldest command that was sent."""
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._out.readline()
        if not line:
            raise WorkloadError("the process is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkloadError(answer["error"])
        return answer

    def command(self, *words: str | float) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self.send(*words)
        return self._answer()

    def map(self, size: int, kind: str = "anon", *, offset: int = 0) -> Region:
        """Map anon, shared or memfd memory, or the file of that path, untouched.

        It starts `offset` bytes after a multiple of the PMD size.
        """
        answer = self.command("map", kind, size, offset)
        return Region(answer["region"], answer["start"], answer["end"])

    def unmap(self, region: Region) -> None:
        self.command("unmap", region.number)

    def advise(
        self, region: Region, advice: str, *, offset: int = 0, size: int | None = None
    ) -> None:
        """madvise(2): hugepage, nohugepage, collapse, pageout, cold, dontneed, ..."""
        length = region.size - offset if size is None else size
        self.command("advise", region.number, offset, length, _ADVICE[advice])

    def touch(self, region: Region, *, offset: int = 0, size: int | None = None) -> int:
        """Write to every page; the time it took in nanoseconds."""
        length = region.size - offset if size is None else size
        return self.command("touch", region.number, offset, length)["ns"]

    def read(self, region: Region, *, offset: int = 0, size: int | None = None) -> int:
        """Read every page; the time it took in nanoseconds."""
        length = region.size - offset if size is None else size
        return self.command("read", region.number, offset, length)["ns"]

    def touched(self, size: int, kind: str = "anon", *, advice: str | None = None) -> Region:
        """Map memory, advise and touch it."""
        region = self.map(size, kind)
        if advice:
            self.advise(region, advice)
        self.touch(region)
        return region

    def churn(self, threads: int, size: int, seconds: float) -> int:
        """Map, touch and unmap memory in several threads; how many pages were touched."""
        return self.command("churn", threads, size, seconds)["pages"]

    def node(self, node: int) -> None:
        """Place memory on a node from now on, -1: anywhere."""
        self.command("node", node)

    def cpu(self, cpu: int) -> None:
        """Run on one CPU, -1: on any."""
        self.command("cpu", cpu)

    def nodes(self, region: Region) -> list[int]:
        """How many pages are on each node."""
        return self.command("nodes", region.number)["nodes"]

    def scan(self, region: Region, seconds: float, *, node: int, pause: float = 0) -> list[int]:
        """Read every page every `pause` seconds until 90 % are on a node; pages per node."""
        return self.command("scan", region.number, seconds, pause, node)["nodes"]

    def comm(self, name: str) -> None:
        """Change the name of the process."""
        self.command("comm", name)

    def disable_thp(self, disabled: bool = True) -> None:
        """prctl(PR_SET_THP_DISABLE)."""
        self.command("thp_disable", int(disabled))

    def exec(self) -> None:
        """Start the program anew in the same process; its regions are gone."""
        self.command("exec")

    def fork(self) -> Workload:
        """A child with the memory of this process."""
        with tempfile.TemporaryDirectory(prefix="workload-") as directory:
            fifos = Path(directory, "in"), Path(directory, "out")
            for fifo in fifos:
                os.mkfifo(fifo)
            pid = self.command("fork", *map(str, fifos))["pid"]
            child = object.__new__(Workload)
            child._process = self._process
            child._in = fifos[0].open("w", encoding="utf-8")
            child._out = fifos[1].open("r", encoding="utf-8")
            child.pid = pid
        return child

    # -- what the kernel tells about it

    def smaps(self, region: Region) -> dict[str, int]:
        """The lines of /proc/PID/smaps for a region: KiB by name, summed over its VMAs."""
        found: dict[str, int] = {}
        inside = False
        with Path(f"/proc/{self.pid}/smaps").open(encoding="utf-8") as lines:
            for line in lines:
                head, _, rest = line.partition(" ")
                if not head.endswith(":"):
                    start, _, end = head.partition("-")
                    inside = int(start, 16) < region.end and int(end, 16) > region.start
                elif inside and head != "VmFlags:":
                    name = head[:-1]
                    found[name] = found.get(name, 0) + int(rest.split()[0])
        return found

    def huge(self, region: Region) -> int:
        """How many bytes of a region are mapped by PMDs, whatever its kind."""
        kinds = ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped")
        smaps = self.smaps(region)
        return 1024 * sum(smaps[kind] for kind in kinds)

    # -- the end

    def close(self) -> None:
        """End the process: its input is closed, and it is killed if that is not enough."""
        self._in.close()
        self._out.close()
        if self._process.pid != self.pid:
            return  # a child of the process, which is gone when it has read its input
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Kill the process, which may be in the middle of a command."""
        os.kill(self.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._process.pid == self.pid:
            self._process.kill()
        self.close()
