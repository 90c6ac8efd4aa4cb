"""What the kernel counts: /proc/vmstat, and for each size of folios."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

__all__ = ["SIZES", "available_memory", "online_nodes", "size_statistics", "vmstat"]

SIZES = Path("/sys/kernel/mm/transparent_hugepage")


def vmstat() -> Counter[str]:
    """/proc/vmstat."""
    found = Counter[str]()
    for line in Path("/proc/vmstat").read_text("ascii").splitlines():
        name, value = line.split()
        found[name] = int(value)
    return found


def size_statistics(page: int) -> dict[int, Counter[str]]:
    """hugepages-*/stats by order: anon_fault_alloc, split, nr_anon, ... (Linux 6.10)."""
    found: dict[int, Counter[str]] = {}
    for directory in SIZES.glob("hugepages-*kB/stats"):
        size = int(directory.parent.name.removeprefix("hugepages-").removesuffix("kB")) * 1024
        order = (size // page).bit_length() - 1
        found[order] = Counter(
            {file.name: int(file.read_text("ascii")) for file in directory.iterdir()}
        )
    return dict(sorted(found.items()))


def available_memory() -> int:
    """MemAvailable of /proc/meminfo, bytes."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def online_nodes() -> dict[int, tuple[int, ...]]:
    """The CPUs of each NUMA node; one node with all CPUs where the kernel knows no nodes."""
    found: dict[int, tuple[int, ...]] = {}
    for directory in Path("/sys/devices/system/node").glob("node[0-9]*"):
        text = (directory / "cpulist").read_text("ascii").strip()
        found[int(directory.name[4:])] = _cpus(text)
    if not found:
        found[0] = _cpus(Path("/sys/devices/system/cpu/online").read_text("ascii").strip())
    return dict(sorted(found.items()))


def _cpus(text: str) -> tuple[int, ...]:
    """The numbers of a list such as 0-3,8."""
    found: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
