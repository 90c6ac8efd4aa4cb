"""Transparent huge pages: modes, sizes, khugepaged, and what the kernel counts."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.guest.settings import Settings

__all__ = ["PMD_ORDER", "Thp", "vmstat"]

PMD_ORDER = 9

_THP = Path("/sys/kernel/mm/transparent_hugepage")


def vmstat(name: str) -> int:
    """A counter of /proc/vmstat."""
    for line in Path("/proc/vmstat").read_text("ascii").splitlines():
        key, value = line.split()
        if key == name:
            return int(value)
    raise KeyError(name)


class Thp:
    """The settings of /sys/kernel/mm/transparent_hugepage and its counters per size."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def mode(self, value: str) -> None:
        """The global mode: always, madvise or never."""
        self._settings.write(_THP / "enabled", value)

    def shmem(self, value: str) -> None:
        """The mode of MAP_SHARED | MAP_ANONYMOUS, memfd and SysV shared memory."""
        self._settings.write(_THP / "shmem_enabled", value)

    def size(self, order: int, value: str, *, shmem: bool = False) -> None:
        """The mode of one size: always, inherit, madvise or never."""
        name = "shmem_enabled" if shmem else "enabled"
        self._settings.write(self._directory(order) / name, value)

    def khugepaged(self, **knobs: int) -> None:
        """Knobs of khugepaged, such as scan_sleep_millisecs."""
        for name, value in knobs.items():
            self._settings.write(_THP / "khugepaged" / name, value)

    def wake_khugepaged(self) -> None:
        """Let khugepaged scan everything, all the time; otherwise it sleeps in tests."""
        self.khugepaged(scan_sleep_millisecs=10, alloc_sleep_millisecs=10, pages_to_scan=65536)

    def count(self, order: int, name: str) -> int:
        """A counter of one size, such as anon_fault_alloc."""
        return int((self._directory(order) / "stats" / name).read_text("ascii"))

    def counts(self, name: str) -> dict[int, int]:
        """A counter of all sizes, by order."""
        return {order: self.count(order, name) for order in self.orders()}

    def orders(self) -> list[int]:
        """The orders of anonymous folios that this kernel has."""
        sizes = [int(d.name.split("-")[1][:-2]) for d in _THP.glob("hugepages-*kB")]
        orders = sorted((size // 4).bit_length() - 1 for size in sizes)
        return [order for order in orders if (self._directory(order) / "enabled").exists()]

    @staticmethod
    def _directory(order: int) -> Path:
        return _THP / f"hugepages-{4 << order}kB"
