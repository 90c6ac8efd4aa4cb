"""The recorded samples, and what the programs that were recorded said they did."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from policyc.simulate.workload.damon import Snapshot, read_snapshots
from policyc.simulate.workload.lines import text_lines
from policyc.simulate.workload.recorded import Given, Recorded
from policyc.simulate.workload.recorded_faults import workload_from_faults
from policyc.simulate.workload.recorded_regions import workload_from_regions
from policyc.simulate.workload.specification import Pattern, Phase, Process, Vma

__all__ = [
    "GIVEN",
    "SAMPLES",
    "faults",
    "phases_in",
    "regions",
    "sample",
    "snapshots",
    "vma_of",
]

SAMPLES = Path(__file__).parents[1] / "fixtures" / "recorded"

#: A machine that does not depend on where the tests run.
GIVEN = Given(name="sample", memory=16 << 30, nodes=2, cpus=8, page_size=4096)


def sample(name: str) -> io.BytesIO:
    """The bytes of a sample, unpacked."""
    data = (SAMPLES / name).read_bytes()
    return io.BytesIO(gzip.decompress(data) if name.endswith(".gz") else data)


def faults(name: str, *, huge: bool | None = None) -> Recorded:
    """The workload of a sample of perf."""
    return workload_from_faults(text_lines(sample(name)), GIVEN, huge=huge)


def snapshots(name: str) -> list[Snapshot]:
    """The snapshots of a sample of DAMON."""
    return list(read_snapshots(sample(name)))


def regions(name: str) -> Recorded:
    """The workload of a sample of DAMON."""
    return workload_from_regions(read_snapshots(sample(name)), GIVEN)


def phases_in(process: Process, vma: str) -> list[Phase]:
    """The phases of a process that touch a VMA."""
    touching = (Pattern.SEQUENTIAL, Pattern.STRIDE, Pattern.UNIFORM, Pattern.HOTSET, Pattern.ZIPF)
    return [phase for phase in process.phases if phase.vma == vma and phase.pattern in touching]


def vma_of(recorded: Recorded, process: Process, address: int) -> Vma:
    """The VMA whose comment says that it begins at an address."""
    number = recorded.workload.processes.index(process)
    for index, vma in enumerate(process.vmas):
        if recorded.comments["processes", number, "vmas", index][0].startswith(f"{address:#x}-"):
            return vma
    raise AssertionError(f"no VMA at {address:#x}")
