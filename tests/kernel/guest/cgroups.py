"""Cgroups that a test makes and that are gone after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.kernel.guest.waiting import wait_for

__all__ = ["ROOT", "Cgroup", "Cgroups"]

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A directory of the cgroup v2 hierarchy."""

    directory: Path

    @property
    def path(self) -> str:
        """Its path as policies have it, from the root of the hierarchy."""
        return f"/{self.directory.relative_to(ROOT)}"

    @property
    def id(self) -> int:
        """The number by which BPF knows it."""
        return self.directory.stat().st_ino

    def read(self, name: str) -> str:
        """The contents of one of its files."""
        return (self.directory / name).read_text("utf-8").strip()

    def write(self, name: str, value: str | int) -> None:
        """Write to one of its files, such as memory.high."""
        (self.directory / name).write_text(f"{value}\n", "utf-8")

    def add(self, pid: int) -> None:
        """Move a process into it."""
        self.write("cgroup.procs", pid)

    def pids(self) -> list[int]:
        """The processes in it."""
        return [int(line) for line in self.read("cgroup.procs").split()]

    def remove(self) -> None:
        """Kill what is in it, and remove it."""
        self.write("cgroup.kill", 1)
        wait_for(lambda: "populated 0" in self.read("cgroup.events"), f"{self.path} to be empty")
        self.directory.rmdir()


class Cgroups:
    """Makes cgroups with the memory controller, and removes them."""

    def __init__(self) -> None:
        self._made: list[Cgroup] = []

    def make(self, path: str, *, memory: bool = True) -> Cgroup:
        """Make a cgroup and those above it; with `memory` it has the memory controller."""
        directory = ROOT / path.strip("/")
        for above in (*reversed(directory.relative_to(ROOT).parents), directory):
            current = ROOT / above
            if not current.exists():
                current.mkdir()
                self._made.append(Cgroup(current))
            if current != directory and (memory or current == ROOT):
                (current / "cgroup.subtree_control").write_text("+memory\n", "utf-8")
        return Cgroup(directory)

    def remove(self) -> None:
        """Remove what is still there, the innermost first."""
        for cgroup in reversed(self._made):
            if cgroup.directory.exists():
                cgroup.remove()
        self._made.clear()
