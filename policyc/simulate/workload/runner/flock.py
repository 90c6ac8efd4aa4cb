"""The processes of a running workload, seen from the runner."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from policyc.simulate.workload.runner import system
from policyc.simulate.workload.runner.errors import Missing
from policyc.simulate.workload.runner.outcome import AreaFigures
from policyc.simulate.workload.runner.pages import Survey, children
from policyc.simulate.workload.runner.protocol import Channels, Order, members
from policyc.simulate.workload.specification import SECOND, Vma, Workload

__all__ = ["Flock"]

#: Seconds until all processes must have mapped their memory; an emulated CPU needs some.
_PATIENCE = 120.0

#: Seconds until the server has seen the end of killed processes.
_PARTING = 10.0

#: The repository or site-packages, where the server finds this package.
_HOME = Path(__file__).parents[4]


class Flock:
    """Starts the processes, and hears from them. They are gone when the block is left."""

    def __init__(self, workload: Workload, cpus: tuple[tuple[int, ...], ...] | None) -> None:
        self.members = members(workload)
        count = len(self.members)
        self.pids = [0] * count
        #: Minor faults of a process before the workload began, and those of one that ended.
        self.faults_before = [0] * count
        self.faults_at_end: dict[int, int] = {}
        #: When a process ended its phases, in seconds since the beginning; -1 if killed.
        self.ended: dict[int, float] = {}
        self.began = 0.0
        self._places: list[dict[str, list[int]]] = [{} for _ in range(count)]
        self._gone: set[int] = set()
        self._lines = b""
        self._workload = workload
        self._cpus = cpus
        self._stack = contextlib.ExitStack()

    # -- the beginning and the end

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        self._report, report = _pipe(stack)
        begin, self._begin = _pipe(stack)
        end, self._end = _pipe(stack)
        counts = os.memfd_create("policyc-counts")
        stack.callback(os.close, counts)
        os.truncate(counts, Channels.size(len(self.members)))
        channels = Channels(report, begin, end, counts)
        for number in range(len(self.members)):
            channels.put(number, 0, 0, 0)
        self._channels = channels
        objects = self._objects(stack)
        order = Order(
            self._workload,
            channels,
            self._cpus,
            objects,
            self._workload.machine.page_size << self._workload.machine.pmd_order,
        )
        modules = os.pathsep.join([str(_HOME), *filter(None, sys.path)])
        server = subprocess.Popen(
            [sys.executable, "-m", "policyc.simulate.workload.runner.server"],
            stdin=subprocess.PIPE,
            pass_fds=(report, begin, end, counts, *objects.values()),
            env={**os.environ, "PYTHONPATH": modules},
            start_new_session=True,
        )
        stack.callback(self._stop, server)
        assert server.stdin is not None
        try:
            with server.stdin:
                pickle.dump(order, server.stdin)
        except BrokenPipeError:
            raise Missing("the server of the processes did not start, see above") from None
        self._server = server

    def _objects(self, stack: contextlib.ExitStack) -> dict[str, int]:
        """A memfd for each shmem object that processes share."""
        sizes: dict[str, int] = {}
        for process in self._workload.processes:
            for vma in process.vmas:
                if vma.share:
                    size = -(-vma.size // system.PAGE) * system.PAGE
                    sizes[vma.share] = max(size, sizes.get(vma.share, 0))
        found: dict[str, int] = {}
        for name, size in sizes.items():
            found[name] = os.memfd_create(name)
            stack.callback(os.close, found[name])
            os.truncate(found[name], size)
        return found

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        """Kill the processes, and the server when it has seen them go."""
        for number, pid in enumerate(self.pids):
            if pid and number not in self._gone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if all(self.pids):
                server.wait(_PARTING)
        # those that are not ready yet die with it
        server.kill()
        server.wait()

    # -- what they say

    def ready(self) -> None:
        """Wait until all have mapped their memory. Raises Missing if they cannot."""
        end = time.monotonic() + _PATIENCE
        while not all(self.pids):
            if time.monotonic() > end or self._server.poll() is not None:
                raise Missing("the processes of the workload did not get ready")
            self.listen(0.1)

    def begin(self) -> None:
        """Let the phases begin."""
        self.began = time.monotonic()
        os.write(self._begin, b"b" * len(self.members))

    def listen(self, seconds: float) -> None:
        """Hear what is said until all is over, or for a while."""
        end = time.monotonic() + seconds
        while not self.over:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._report], [], [], left)[0]:
                if self._server.poll() not in {None, 0}:
                    raise Missing("the server of the processes has ended, see above")
                return
            self._lines += os.read(self._report, 65536)
            *lines, self._lines = self._lines.split(b"\n")
            for line in lines:
                self._hear(json.loads(line))

    @property
    def over(self) -> bool:
        """Whether all have ended their phases."""
        return len(self.ended) == len(self.members)

    def _hear(self, said: dict[str, Any]) -> None:
        number = int(said["number"])
        if "error" in said:
            name = self.members[number].name
            raise OSError(f"process {name} cannot go on: {said['error']}")
        if "ready" in said:
            self.pids[number] = said["ready"]
            self.faults_before[number] = said["faults"]
            self._places[number] = said["areas"]
        elif "done" in said:
            self.ended[number] = said["done"] / SECOND - self.began
            if "exits" in said:
                self._leave(number, said["exits"])
        elif "ended" in said:
            self._leave(number, said["faults"])
            if said["ended"] != 0:
                self.ended[number] = -1.0

    def _leave(self, number: int, faults: int) -> None:
        self._gone.add(number)
        self.faults_at_end[number] = faults

    # -- what is known of them

    def touches(self, number: int) -> int:
        """Touches of a process so far."""
        return self._channels.get(number)[0]

    def interpreter_bytes(self, number: int) -> int:
        """Memory that is charged because the interpreter was forked."""
        return self._channels.get(number)[2] * system.PAGE

    def faults(self, number: int) -> int:
        """Minor faults of a process that the workload has caused."""
        total = self.faults_at_end.get(number)
        if total is None:
            text = Path(f"/proc/{self.pids[number]}/stat").read_text("utf-8", "replace")
            # behind comm, which may hold anything, minflt is the eighth
            total = int(text.rpartition(")")[2].split()[7])
        return max(0, total - self.faults_before[number] - self._channels.get(number)[1])

    def areas(self, pmd_order: int) -> list[AreaFigures]:
        """The mappings of those that are still there, each page once."""
        found: list[AreaFigures] = []
        shared: dict[str, set[int]] = {}
        for number, member in enumerate(self.members):
            if number in self._gone:
                continue
            forked = children(self.pids[number])
            for vma in member.process.vmas:
                seen = shared.setdefault(vma.share, set()) if vma.share else None
                survey = Survey(system.PAGE, pmd_order, seen)
                start, size = self._places[number][vma.name]
                try:
                    survey.look(self.pids[number], start, size)
                except (FileNotFoundError, ProcessLookupError):
                    continue
                for pid in forked:
                    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                        survey.look_at_child(pid, start, size)
                found.append(_figures_of(member.name, vma, survey))
        return found


def _figures_of(process: str, vma: Vma, survey: Survey) -> AreaFigures:
    return AreaFigures(
        process=process,
        area=vma.name,
        share=vma.share,
        by_order=dict(sorted(survey.by_order.items())),
        by_node=dict(sorted(survey.by_node.items())),
        pmd_mapped=survey.pmd_mapped,
        zero_page=survey.zero_page,
        zero_inside=survey.zero_inside,
        # pages of a shared object are there whether they are mapped or not
        lingering=survey.lingering if vma.kind == "anon" else 0,
        swapped=survey.swapped,
        exact=survey.exact,
        smaps=survey.smaps,
    )


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    stack.callback(os.close, read)
    stack.callback(os.close, write)
    return read, write
