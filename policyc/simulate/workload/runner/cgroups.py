"""The cgroups of a workload, for as long as it runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

from policyc.simulate.workload.runner.errors import Missing
from policyc.simulate.workload.specification import Cgroup, Workload

__all__ = ["Tree", "hierarchy"]

#: How long removed cgroups may stay busy, in seconds.
_PATIENCE = 30.0


def hierarchy() -> Path:
    """Where cgroup v2 is mounted. Raises Missing."""
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place.replace("\\040", " "))
    raise Missing(
        "no cgroup v2 hierarchy is mounted",
        "mount one: mount -t cgroup2 cgroup /sys/fs/cgroup",
    )


class Tree:
    """Cgroups below `root`, which stands for "/" of the workload.

    What is made here is removed by `close`, with everything that runs in it. A cgroup that
    is there already is used, but neither limited nor removed. `memory`: the memory
    controller is at work in it.
    """

    def __init__(self, workload: Workload, root: Path | None) -> None:
        top = hierarchy()
        # With the number of the process, so that several runs do not meet.
        self.root = root or top / f"policyc-workload-{os.getpid()}"
        if not self.root.is_relative_to(top):
            raise Missing(
                f"{self.root} is not in the cgroup v2 hierarchy", f"which is mounted on {top}"
            )
        self._top = top
        self._made: list[Path] = []
        self._switched: list[Path] = []
        self.memory = "memory" in _words(top / "cgroup.controllers")
        self._workload = workload
        self.paths = _paths(workload)
        limited = any(_limits(cgroup) for cgroup in workload.cgroups)
        if limited and not self.memory:
            raise Missing(
                "the memory controller of cgroup v2 is not there, which limits need",
                "boot with systemd.unified_cgroup_hierarchy=1, or cgroup_no_v1=memory",
            )

    def open(self) -> None:
        """Make them and set their limits. Raises OSError, and Missing if one is in use."""
        for path in self.paths:
            self._make(self.directory(path))
        for cgroup in self._workload.cgroups:
            self._limit(cgroup)

    def directory(self, path: str) -> Path:
        """Where a cgroup of the workload is."""
        return self.root / path.strip("/")

    def place(self, path: str) -> Path:
        """Where its processes are: in a child of its own if it has others with memory.

        A cgroup that gives its children the memory controller cannot have processes itself.
        """
        directory = self.directory(path)
        parent = any(other != path and _is_under(other, path) for other in self.paths)
        if not (parent and self.memory) or directory == self._top:
            return directory
        leaf = directory / "processes"
        self._make(leaf)
        return leaf

    def add(self, path: str, pid: int) -> None:
        """Move a process into a cgroup of the workload."""
        (self.place(path) / "cgroup.procs").write_text(f"{pid}\n", "ascii")

    def statistics(self, path: str) -> dict[str, int]:
        """memory.current, .peak, .swap.current, and what .stat and .events count."""
        directory = self.directory(path)
        found: dict[str, int] = {}
        for name in ("memory.stat", "memory.events"):
            for line in _read(directory / name).splitlines():
                key, value = line.split()
                found[f"{name}:{key}"] = int(value)
        for name in ("memory.current", "memory.peak", "memory.swap.current"):
            text = _read(directory / name).strip()
            if text.isdecimal():
                found[name] = int(text)
        return found

    def pressure(self, path: str) -> tuple[float, float]:
        """The 10 s averages of memory pressure, some and full, in percent."""
        values = {"some": 0.0, "full": 0.0}
        for line in _read(self.directory(path) / "memory.pressure").splitlines():
            kind, average, *_ = line.split()
            values[kind] = float(average.partition("=")[2])
        return values["some"], values["full"]

    def close(self) -> None:
        """Kill what runs in them, remove them, and switch off what was switched on."""
        for directory in reversed(self._made):
            _remove(directory)
        self._made.clear()
        for directory in reversed(self._switched):
            if directory.exists():
                _try_write(directory / "cgroup.subtree_control", "-memory")
        self._switched.clear()

    def _make(self, directory: Path) -> None:
        for above in (*reversed(directory.relative_to(self._top).parents), directory):
            current = self._top / above
            if not current.exists():
                current.mkdir()
                self._made.append(current)
            if current != directory and self.memory:
                self._switch_on(current)

    def _switch_on(self, directory: Path) -> None:
        control = directory / "cgroup.subtree_control"
        if "memory" in _words(control):
            return
        try:
            control.write_text("+memory\n", "ascii")
        except OSError as error:
            raise Missing(
                f"{directory} cannot give the memory controller to its children: {error.strerror}",
                "use --cgroup-root with a cgroup that has no processes",
            ) from error
        if directory not in self._made:
            self._switched.append(directory)

    def _limit(self, cgroup: Cgroup) -> None:
        directory = self.directory(cgroup.path)
        limits = _limits(cgroup)
        if limits and directory not in self._made:
            raise Missing(
                f"{directory} is there already, so its limits are not ours to set",
                "use --cgroup-root with a directory that is free",
            )
        for name, value in limits.items():
            file = directory / name
            if name == "memory.swap.max" and not file.exists():
                continue  # a kernel without swap
            file.write_text(f"{value}\n", "ascii")


def _limits(cgroup: Cgroup) -> dict[str, int]:
    values = {
        "memory.max": cgroup.memory_max,
        "memory.high": cgroup.memory_high,
        "memory.swap.max": cgroup.swap_max,
    }
    return {name: value for name, value in values.items() if value is not None}


def _paths(workload: Workload) -> list[str]:
    """All cgroups that are named, and those above them, the root first."""
    named = [cgroup.path for cgroup in workload.cgroups]
    named += [process.cgroup for process in workload.processes]
    found = {"/"}
    for path in named:
        parts = path.strip("/").split("/") if path.strip("/") else []
        found |= {"/" + "/".join(parts[: index + 1]) for index in range(len(parts))}
    return sorted(found)


def _is_under(path: str, above: str) -> bool:
    return path.startswith(above.rstrip("/") + "/")


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""


def _words(path: Path) -> list[str]:
    return _read(path).split()


def _try_write(path: Path, value: str) -> bool:
    try:
        path.write_text(f"{value}\n", "ascii")
    except OSError:
        return False
    return True


def _remove(directory: Path) -> None:
    """Kill what is in a cgroup and remove it; one that stays busy is left behind."""
    if not _try_write(directory / "cgroup.kill", "1"):
        for pid in _words(directory / "cgroup.procs"):
            _kill(int(pid))
    end = time.monotonic() + _PATIENCE
    while directory.exists() and time.monotonic() < end:
        try:
            directory.rmdir()
        except OSError:
            time.sleep(0.01)


def _kill(pid: int) -> None:
    import signal

    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
