"""Memory that is used in many cgroups at once, so that a policy has something to decide."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kernel.guest.cgroups import Cgroups
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.waiting import wait_for
from tests.kernel.guest.workload import MIB, Region, Workload, WorkloadError

__all__ = ["PLACES", "Traffic"]

#: Cgroups that the examples and the tests' policies name, and who runs there.
PLACES = {
    "/kubepods/guaranteed": "memcached",
    "/kubepods/java": "java",
    "/kubepods/burstable": "worker",
    "/kubepods/batch": "redis-server",
    "/kubepods/db": "postgres",
    "/kubepods/java-zgc": "java",
    "/tenants/a": "exactly15bytes!",
    "/tenants/a/web": "mysqld",
    "/department": "haproxy",
    "/department/team": "redis",
    "/workloads/in-memory-db": "postgres",
    "/services/ads": "ads",
    "/latency": "latency",
    "/cache": "cache",
}

#: These have processes and cgroups below them, so they cannot pass on the memory controller.
_WITHOUT_MEMORY = {"/tenants/a/web", "/department/team"}

_PLAIN, _SMALL, _PMD = 0, 1, 2


class Traffic:
    """A workload in each of `PLACES`, with memory of several kinds."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.cgroups = Cgroups()
        self.workloads: dict[str, Workload] = {}
        self._regions: dict[str, list[Region]] = {}

    def __enter__(self) -> Self:
        for path, comm in PLACES.items():
            cgroup = self.cgroups.make(path, memory=path not in _WITHOUT_MEMORY)
            workload = self._stack.enter_context(Workload(cgroup, comm))
            self.workloads[path] = workload
            regions = [workload.map(MIB // 2), workload.map(MIB // 4), workload.map(2 * MIB)]
            regions += [workload.map(MIB // 4, kind) for kind in ("memfd", "shared")]
            workload.advise(regions[_PMD], "hugepage")
            self._regions[path] = regions
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self.cgroups.remove()

    def faults(self, rounds: int) -> None:
        """Touch all memory anew, everybody at the same time."""
        for _ in range(rounds):
            for path, workload in self.workloads.items():
                for region in self._regions[path]:
                    workload.send("advise", region.number, 0, region.size, 4)
                    workload.send("touch", region.number, 0, region.size)
            for path, workload in self.workloads.items():
                for _ in range(2 * len(self._regions[path])):
                    workload.receive()

    def smaps(self) -> None:
        """Have the kernel tell which areas are eligible."""
        for workload in self.workloads.values():
            Path(f"/proc/{workload.pid}/smaps").read_bytes()

    def collapse(self) -> None:
        """MADV_COLLAPSE; the policy may be against it."""
        for path, workload in self.workloads.items():
            try:
                workload.advise(self._regions[path][_PMD], "collapse")
            except WorkloadError:
                continue

    def swap(self, places: int) -> None:
        """Have some memory swapped out and read it back."""
        for path, workload in list(self.workloads.items())[:places]:
            region = self._regions[path][_SMALL]
            workload.advise(region, "pageout")
            wait_for(lambda w=workload, r=region: w.smaps(r)["Swap"] > 0, "swap-out")
            workload.read(region)

    def khugepaged(self, thp: Thp, seconds: float) -> None:
        """Let khugepaged look at everybody."""
        for path, workload in self.workloads.items():
            workload.touch(self._regions[path][_PMD])
        thp.wake_khugepaged()
        time.sleep(seconds)
        thp.khugepaged(scan_sleep_millisecs=3_600_000)
