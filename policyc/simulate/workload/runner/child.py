"""One process of a workload: it maps its memory, waits, and does its phases."""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import os
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policyc.simulate.workload.runner import system
from policyc.simulate.workload.runner.accesses import perform
from policyc.simulate.workload.runner.protocol import Member, Order
from policyc.simulate.workload.specification import SECOND, Pattern, Phase, Vma

__all__ = ["be"]

#: Kernels of before 6.1 have no MADV_COLLAPSE; a block that cannot be collapsed is no error.
_COLLAPSE_REFUSED = (errno.EAGAIN, errno.EBUSY, errno.EINVAL, errno.ENOMEM)


class _Mapping:
    """A VMA of the workload."""

    def __init__(self, vma: Vma, order: Order) -> None:
        self.vma = vma
        self.size = -(-vma.size // system.PAGE) * system.PAGE
        self.start = system.map_memory(
            self.size,
            alignment=order.pmd_size,
            misalign=vma.misalign,
            shared=vma.kind == "shmem",
            descriptor=order.objects.get(vma.share, -1) if vma.share else -1,
        )
        if vma.advice != "none":
            hugepage = vma.advice == "hugepage"
            advice = system.MADV_HUGEPAGE if hugepage else system.MADV_NOHUGEPAGE
            system.advise(self.start, self.size, advice)
        buffer = (ctypes.c_char * self.size).from_address(self.start)
        self.memory = memoryview(buffer).cast("B")
        #: Whether a phase has been through it, so that its pages have their places.
        self.placed = vma.node is None

    def range(self, phase: Phase) -> tuple[int, int]:
        """Offset and length of a phase's range."""
        length = self.vma.size - phase.offset if phase.length is None else phase.length
        return phase.offset, min(length, self.size - phase.offset)


def be(member: Member, order: Order, rng: random.Random) -> None:
    """Be a process of the workload, from the fork to the exit. Never returns."""
    channels = order.channels
    status = 0
    try:
        system.die_with_parent()
        child = _Child(member, order, rng)
        child.report(ready=os.getpid(), areas=child.places(), faults=child.faults())
        if os.read(channels.begin, 1):
            child.live()
            child.report(done=time.monotonic_ns())
            os.read(channels.end, 1)
    except OSError as error:
        _report(order, member, error=str(error))
        status = 1
    finally:
        os._exit(status)


def _report(order: Order, member: Member, **facts: Any) -> None:
    line = json.dumps({"number": member.number, **facts}) + "\n"
    os.write(order.channels.report, line.encode())


class _Child:
    def __init__(self, member: Member, order: Order, rng: random.Random) -> None:
        self.member = member
        self.order = order
        self.rng = rng
        self.touches = self.own_faults = self.own_pages = 0
        process = member.process
        system.name_process(process.comm or process.name)
        if order.cpus is not None:
            every = {cpu for cpus in order.cpus for cpu in cpus}
            os.sched_setaffinity(0, every if process.spread else order.cpus[process.node])
        if process.oom_score_adj:
            Path("/proc/self/oom_score_adj").write_text(str(process.oom_score_adj), "ascii")
        gc.disable()
        self.mappings = {vma.name: _Mapping(vma, order) for vma in process.vmas}
        _warm_up()
        system.settle(self.own())
        system.disable_thp(process.thp_disable)
        if process.uid and os.geteuid() == 0:
            os.setresuid(process.uid, process.uid, process.uid)

    def report(self, **facts: Any) -> None:
        _report(self.order, self.member, **facts)

    def places(self) -> dict[str, list[int]]:
        return {name: [m.start, m.size] for name, m in self.mappings.items()}

    @staticmethod
    def faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def own(self) -> list[tuple[int, int, bool]]:
        """The mappings that are not the workload's."""
        theirs = [(m.start, m.start + m.size) for m in self.mappings.values()]
        return [
            (start, size, writable)
            for start, size, writable in system.private_mappings()
            if not any(start < last and start + size > first for first, last in theirs)
        ]

    def live(self) -> None:
        """All phases, as often as the process repeats them."""
        process = self.member.process
        time.sleep(process.start / SECOND)
        done = 0
        while process.repeat == 0 or done < process.repeat:
            for phase in process.phases:
                self.phase(phase)
            done += 1

    def phase(self, phase: Phase) -> None:
        """One phase."""
        mapping = self.mappings.get(phase.vma)
        match phase.pattern:
            case Pattern.SLEEP:
                time.sleep((phase.duration or 0) / SECOND)
            case Pattern.EXIT:
                self.report(done=time.monotonic_ns(), exits=self.faults())
                os._exit(0)
            case Pattern.FORK:
                self.fork(phase)
            case Pattern.FREE if mapping:
                self.advise(mapping, phase, system.MADV_DONTNEED)
            case Pattern.COLLAPSE if mapping:
                self.advise(mapping, phase, system.MADV_COLLAPSE)
            case _ if mapping:
                self.access(mapping, phase)
            case _:
                return

    def advise(self, mapping: _Mapping, phase: Phase, advice: int) -> None:
        offset, length = mapping.range(phase)
        try:
            system.advise(mapping.start + offset, length, advice)
        except OSError as error:
            if advice != system.MADV_COLLAPSE or error.errno not in _COLLAPSE_REFUSED:
                raise

    def access(self, mapping: _Mapping, phase: Phase) -> None:
        """Touches; the first phase of a VMA with a node puts its pages there.

        By the policy of the task and only for that long: memory with a policy of its own is
        not balanced between nodes.
        """
        offset, length = mapping.range(phase)
        if not mapping.placed:
            system.prefer_node(mapping.vma.node)
        memory = mapping.memory[offset : offset + length]
        perform(phase, memory, system.PAGE, rng=self.rng, counted=self.counted)
        if not mapping.placed:
            system.prefer_node(None)
            mapping.placed = True

    def counted(self, touches: int) -> None:
        self.touches += touches
        self.publish()

    def publish(self) -> None:
        self.order.channels.put(self.member.number, self.touches, self.own_faults, self.own_pages)

    def fork(self, phase: Phase) -> None:
        """Children that share all memory for a while; they end by themselves.

        The interpreter's own pages are shared then too. They are copied at once, so that
        what the workload causes can be told apart.
        """
        before = self.faults()
        for _ in range(phase.children):
            if os.fork() == 0:
                system.die_with_parent()
                time.sleep((phase.duration or 0) / SECOND)
                os._exit(0)
        system.settle(self.own())
        copied = self.faults() - before
        self.own_faults += copied
        self.own_pages += copied
        self.publish()


def _warm_up() -> None:
    """Run the code of the accesses once, so that the interpreter has its memory for it."""
    memory = memoryview(bytearray(1 << 16))
    nothing: Callable[[int], None] = lambda _: None  # noqa: E731
    for pattern in (Pattern.SEQUENTIAL, Pattern.STRIDE, Pattern.UNIFORM, Pattern.ZIPF):
        for write in (0.0, 0.5, 1.0):
            phase = Phase(pattern=pattern, touches=2048, write=write)
            perform(phase, memory, 4096, rng=random.Random(0), counted=nothing)
