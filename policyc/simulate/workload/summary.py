"""What a workload amounts to before anything is simulated."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from policyc.simulate.workload import specification as spec

__all__ = ["Summary", "summarise"]

#: Nanoseconds of a touch: in order, where prefetching hides the latency, and at random
#: beside the latency of the memory. Only for the estimate of how long a workload takes.
_IN_ORDER, _AT_RANDOM = 20.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts, bytes and seconds. `memory` is the size of all VMAs, a shared one counted once;
    `touches` and `seconds` are estimates as far as phases end by time and at a rate that the
    memory allows; `seconds` is that of the longest process, or of the workload.
    """

    name: str
    description: str
    nodes: int
    cpus: int
    machine_memory: int
    cgroups: int
    processes: int
    threads: int
    memory: int
    touches: int
    seconds: float
    estimated: bool


def summarise(workload: spec.Workload) -> Summary:
    """The summary of a workload that has been checked."""
    machine = workload.machine
    shared: dict[str, int] = {}
    private = threads = 0
    touches = longest = 0.0
    estimated = workload.duration is None
    limit = math.inf if workload.duration is None else workload.duration / spec.SECOND
    for process in workload.processes:
        private += process.count * sum(vma.size for vma in process.vmas if not vma.share)
        shared |= {vma.share: vma.size for vma in process.vmas if vma.share}
        threads += process.count * max((phase.threads for phase in process.phases), default=1)
        start = process.start / spec.SECOND
        once = _phases(machine, process)
        made, seconds = _repeated(once, process.repeat, max(0.0, limit - start))
        touches += made * process.count
        longest = max(longest, start + seconds)
    return Summary(
        name=workload.name,
        description=workload.description,
        nodes=len(machine.nodes),
        cpus=machine.cpus,
        machine_memory=sum(node.memory for node in machine.nodes),
        cgroups=len(workload.cgroups),
        processes=sum(process.count for process in workload.processes),
        threads=threads,
        memory=private + sum(shared.values()),
        touches=round(touches),
        seconds=longest if workload.duration is None else workload.duration / spec.SECOND,
        estimated=estimated,
    )


def _phases(machine: spec.Machine, process: spec.Process) -> list[tuple[float, float]]:
    """Touches and seconds of each phase."""
    sizes = {vma.name: vma for vma in process.vmas}
    found: list[tuple[float, float]] = []
    for phase in process.phases:
        vma = sizes.get(phase.vma)
        if phase.pattern is spec.Pattern.FORK:
            found.append((0.0, 0.0))
        elif vma is None or phase.pattern in (spec.Pattern.FREE, spec.Pattern.COLLAPSE):
            found.append((0.0, (phase.duration or 0) / spec.SECOND))
        else:
            found.append(_touching(machine, process, phase, vma))
    return found


def _touching(
    machine: spec.Machine, process: spec.Process, phase: spec.Phase, vma: spec.Vma
) -> tuple[float, float]:
    """Touches and seconds of a phase that touches memory."""
    node = machine.nodes[process.node if vma.node is None else vma.node]
    ordered = phase.pattern in (spec.Pattern.SEQUENTIAL, spec.Pattern.STRIDE)
    cost = _IN_ORDER if ordered else _AT_RANDOM + node.latency
    cost += phase.delay + phase.work
    rate = phase.threads * spec.SECOND / cost
    if phase.rate is not None:
        rate = min(rate, phase.rate)
    if phase.duration is not None:
        seconds = phase.duration / spec.SECOND
        return rate * seconds, seconds
    size = vma.size - phase.offset if phase.length is None else phase.length
    step = phase.stride if phase.pattern is spec.Pattern.STRIDE else machine.page_size
    touches = phase.touches or math.ceil((phase.passes or 0) * -(-size // step))
    return touches, touches / rate


def _repeated(phases: list[tuple[float, float]], repeat: int, limit: float) -> tuple[float, float]:
    """Touches and seconds of phases that are repeated (0: endlessly), up to a limit."""
    touches = math.fsum(phase[0] for phase in phases)
    seconds = math.fsum(phase[1] for phase in phases)
    times = repeat or math.inf
    if seconds * times <= limit or not seconds:
        return touches * (times if math.isfinite(times) else 1), seconds * (repeat or 1)
    whole = limit // seconds
    left = limit - whole * seconds
    made = touches * whole
    for count, length in phases:
        share = 1.0 if not length else min(1.0, max(0.0, left / length))
        made += count * share
        left -= length
        if left <= 0:
            break
    return made, limit


def document(summary: Summary) -> dict[str, object]:
    """The summary for JSON."""
    return dataclasses.asdict(summary)
