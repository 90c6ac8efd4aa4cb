"""The settings of a workload's machine, compared with the host's, and set for a while."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from policyc.simulate.workload.specification import MIB, MILLISECOND, Machine

__all__ = ["Applied", "Difference", "differences", "wanted"]

_THP = Path("/sys/kernel/mm/transparent_hugepage")
_KHUGEPAGED = _THP / "khugepaged"
_SYSCTL = Path("/proc/sys/kernel")
_RATE_LIMIT = "numa_balancing_promote_rate_limit_MBps"
_SCAN = Path("/sys/kernel/debug/sched/numa_balancing")
#: 49 days, the longest sleep.
_FOREVER = str((1 << 32) - 1)
_DEMOTION = Path("/sys/kernel/mm/numa/demotion_enabled")


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that the workload wants otherwise; `found` is None where there is none."""

    path: Path
    wanted: str
    found: str | None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.path} is not on this kernel; the workload has {self.wanted!r}"
        return f"{self.path} is {self.found!r}; the workload has {self.wanted!r}"


def wanted(machine: Machine) -> Iterator[tuple[Path, str]]:
    """The files of settings, and what the workload wants in them.

    Sizes that it does not name are "never", but the PMD size of anonymous memory "inherit".
    """
    thp, khugepaged = machine.thp, machine.khugepaged
    yield _THP / "enabled", thp.enabled
    yield _THP / "shmem_enabled", thp.shmem_enabled
    yield _THP / "defrag", thp.defrag
    yield _THP / "use_zero_page", str(int(thp.use_zero_page))
    yield _THP / "shrink_underused", str(int(thp.shrink_underused))
    for order in range(1, machine.pmd_order + 1):
        directory = _THP / f"hugepages-{(machine.page_size << order) // 1024}kB"
        pmd = order == machine.pmd_order
        if order >= 2:
            yield directory / "enabled", thp.sizes.get(order, "inherit" if pmd else "never")
        if not (pmd and thp.shmem_enabled == "never" and order not in thp.shmem_sizes):
            yield directory / "shmem_enabled", thp.shmem_sizes.get(order, "never")
    if khugepaged.pages_to_scan:
        yield _KHUGEPAGED / "pages_to_scan", str(khugepaged.pages_to_scan)
        yield _KHUGEPAGED / "scan_sleep_millisecs", _milliseconds(khugepaged.scan_sleep)
    else:
        # sysfs does not take 0 pages, so it sleeps instead
        yield _KHUGEPAGED / "scan_sleep_millisecs", _FOREVER
    yield _KHUGEPAGED / "alloc_sleep_millisecs", _milliseconds(khugepaged.alloc_sleep)
    yield _KHUGEPAGED / "max_ptes_none", str(khugepaged.max_ptes_none)
    yield _KHUGEPAGED / "max_ptes_swap", str(khugepaged.max_ptes_swap)
    yield _KHUGEPAGED / "max_ptes_shared", str(khugepaged.max_ptes_shared)
    yield from _wanted_of_numa(machine)


def _wanted_of_numa(machine: Machine) -> Iterator[tuple[Path, str]]:
    """With one node nothing of it matters."""
    numa = machine.numa
    if len(machine.nodes) < 2:
        return
    yield _SYSCTL / "numa_balancing", str(numa.balancing)
    rate = str(numa.promote_rate_limit // MIB)
    yield _SYSCTL / _RATE_LIMIT, rate
    yield _SCAN / "scan_delay_ms", _milliseconds(numa.scan_delay)
    yield _SCAN / "scan_period_min_ms", _milliseconds(numa.scan_period_min)
    yield _SCAN / "scan_period_max_ms", _milliseconds(numa.scan_period_max)
    yield _SCAN / "scan_size_mb", str(numa.scan_size // MIB)
    yield _SCAN / "hot_threshold_ms", _milliseconds(numa.hot_threshold)
    yield _DEMOTION, "true" if numa.demotion else "false"


def differences(machine: Machine) -> list[Difference]:
    """The settings that are not as the workload wants them.

    One that this kernel lacks is no difference where the workload has it switched off.
    """
    found: list[Difference] = []
    for path, value in wanted(machine):
        current = _current(path)
        off = value in {"never", "0", "false"}
        if current is None and (off or not _matters(path, machine)):
            continue
        if current != value:
            found.append(Difference(path, value, current))
    return found


class Applied:
    """Sets what differs, for the time of a `with` block."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._before: list[tuple[Path, str]] = []
        #: What could not be set.
        self.left: list[Difference] = []

    def __enter__(self) -> Applied:
        try:
            for difference in differences(self._machine):
                self._set(difference)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _set(self, difference: Difference) -> None:
        if difference.found is None:
            self.left.append(difference)
            return
        try:
            difference.path.write_text(f"{difference.wanted}\n", "ascii")
        except OSError:
            self.left.append(difference)
        else:
            self._before.append((difference.path, difference.found))

    def _restore(self) -> None:
        for path, value in reversed(self._before):
            path.write_text(f"{value}\n", "ascii")
        self._before.clear()


def _milliseconds(nanoseconds: int) -> str:
    return str(nanoseconds // MILLISECOND)


def _matters(path: Path, machine: Machine) -> bool:
    """Whether something that is not there would change what happens.

    The pace of the scanner does not while nothing is balanced; nor do limits of what
    a kernel cannot do.
    """
    if path.is_relative_to(_SCAN):
        return bool(machine.numa.balancing)
    return path not in {_DEMOTION, _SYSCTL / _RATE_LIMIT}


def _current(path: Path) -> str | None:
    """The value of a setting: the one in brackets where all possible ones are shown."""
    try:
        text = path.read_text("utf-8").strip()
    except OSError:
        return None
    chosen = re.search(r"\[(.*?)\]", text)
    if chosen:
        return chosen[1]
    return {"Y": "true", "N": "false"}.get(text, text)
