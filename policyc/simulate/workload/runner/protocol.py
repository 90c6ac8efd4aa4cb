"""What the parts of the runner say to each other: through pipes, one line of JSON each.

The runner starts a server, which forks the processes of the workload, since a fork of a small
and quiet interpreter copies little. The processes report readiness, wait for a byte each to
begin, report their end, and wait for another byte, or its absence, to exit.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from policyc.simulate.workload.specification import Process, Workload

__all__ = ["Channels", "Member", "Order", "members"]

_SLOT = struct.Struct("=QQQ")


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the workload: `number` counts all of them, `name` is its own."""

    number: int
    name: str
    process: Process


def members(workload: Workload) -> list[Member]:
    """The processes; of several alike, each has a number behind its name."""
    found: list[Member] = []
    for process in workload.processes:
        for index in range(process.count):
            name = process.name if process.count == 1 else f"{process.name}-{index}"
            found.append(Member(len(found), name, process))
    return found


@dataclass(frozen=True, slots=True)
class Channels:
    """Descriptors: of the pipes for reports, to begin and to end, and of the shared counts.

    The counts are a memfd with three numbers for each process: touches; faults of the
    interpreter itself, which the runner takes away; and pages that those faults have made.
    """

    report: int
    begin: int
    end: int
    counts: int

    @staticmethod
    def size(processes: int) -> int:
        """Bytes of the counts."""
        return _SLOT.size * max(1, processes)

    def put(self, number: int, touches: int, faults: int, pages: int) -> None:
        """Publish the counts of a process."""
        os.pwrite(self.counts, _SLOT.pack(touches, faults, pages), number * _SLOT.size)

    def get(self, number: int) -> tuple[int, int, int]:
        """Touches, faults and pages of the interpreter of a process."""
        touches, faults, pages = _SLOT.unpack(
            os.pread(self.counts, _SLOT.size, number * _SLOT.size)
        )
        return touches, faults, pages


@dataclass(frozen=True, slots=True)
class Order:
    """What the server is to do. `cpus` are those of each node, None: do not place processes."""

    workload: Workload
    channels: Channels
    cpus: tuple[tuple[int, ...], ...] | None
    objects: dict[str, int]
    pmd_size: int
