"""The end of a process, by itself or by the OOM killer (mm/mmap.c, exit_mmap)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model import folios

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, ProcessState

__all__ = ["end_process"]


def end_process(host: Host, process: ProcessState) -> None:
    """Free all that a process maps and nobody else does.

    A shmem object stays while another process maps it; its charge stays in its cgroup.
    """
    process.alive = process.running = False
    for area in process.areas.values():
        heir = next((other for other in host.living() if area in other.areas.values()), None)
        if heir is None:
            folios.release(host, area, np.arange(area.first, area.end))
            area.streams.clear()
            area.version += 1
            area.freed = True
        elif area.process is process and heir.cgroup is process.cgroup:
            area.process = heir
