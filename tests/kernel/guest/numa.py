"""NUMA balancing: the switch of the system and how eagerly tasks are scanned."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.guest.settings import Settings

__all__ = ["Numa"]

_SYSCTL = Path("/proc/sys/kernel/numa_balancing")
_KNOBS = Path("/sys/kernel/debug/sched/numa_balancing")


class Numa:
    """kernel.numa_balancing and the knobs of debugfs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def switch(self, mode: int) -> None:
        """The mode of the system: 0 off, 1 normal, 2 memory tiering."""
        self._settings.write(_SYSCTL, mode)

    def mode(self) -> int:
        """What kernel.numa_balancing reads."""
        return int(_SYSCTL.read_text("ascii"))

    def scan(self, *, minimum_ms: int = 100, maximum_ms: int = 200, delay_ms: int = 100) -> None:
        """Scan tasks soon and often, where the kernel's own pace would take minutes."""
        for name, value in (
            ("scan_delay_ms", delay_ms),
            ("scan_period_min_ms", minimum_ms),
            ("scan_period_max_ms", maximum_ms),
        ):
            self._settings.write(_KNOBS / name, value)

    def knob(self, name: str, value: int) -> None:
        """Another knob, such as hot_threshold_ms."""
        self._settings.write(_KNOBS / name, value)
