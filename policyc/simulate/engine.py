"""One simulated run: time in ticks, processes, then what the kernel does by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policyc.simulate.account import account
from policyc.simulate.model import pressure
from policyc.simulate.model.build import build_host, start_process
from policyc.simulate.model.hook import Hook, PolicyHook
from policyc.simulate.model.host import Daemon, Host
from policyc.simulate.model.khugepaged import Khugepaged
from policyc.simulate.model.kmmscand import KmmscanDaemon
from policyc.simulate.model.kswapd import Kswapd
from policyc.simulate.model.numa_balancing import NumaBalancing
from policyc.simulate.model.threads import Worker
from policyc.simulate.recorder import Recorder
from policyc.simulate.results import Run
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import MILLISECOND, SECOND

if TYPE_CHECKING:
    from policyc.api import Policy

__all__ = ["Engine", "simulate"]

#: The longest that a run without a duration may take, so that every run ends.
_LONGEST = 24 * 3600 * SECOND


def simulate(
    workload: spec.Workload,
    *,
    name: str,
    policy: Policy | None = None,
    profile: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Run a workload to its end.

    The policy is attached from the start; its state is changed by the workload's actions.
    `profile` is how it is attached, `progress` gets the share that is done.
    """
    if policy is None:
        hook = Hook()
    else:
        attached = not any(a.kind is spec.ActionKind.ATTACH for a in workload.actions)
        hook = PolicyHook(policy, profile or "thp-v12", attached)
    engine = Engine.of(workload, hook)
    engine.run(progress)
    return account(engine.host, engine.recorder, name)


@dataclass(slots=True, eq=False)
class Engine:
    """A run under way."""

    workload: spec.Workload
    host: Host
    daemons: list[Daemon]
    recorder: Recorder
    workers: list[Worker] = field(default_factory=list[Worker])
    #: What starts later: time, process, name.
    waiting: list[tuple[int, spec.Process, str]] = field(
        default_factory=list[tuple[int, spec.Process, str]]
    )
    actions: list[spec.Action] = field(default_factory=list[spec.Action])

    @classmethod
    def of(cls, workload: spec.Workload, hook: Hook) -> Engine:
        """A machine on which nothing has run yet."""
        host = build_host(workload, hook)
        daemons: list[Daemon] = [
            Khugepaged(host),
            Kswapd(),
            NumaBalancing(host),
            KmmscanDaemon(host),
        ]
        engine = cls(workload, host, daemons, Recorder.of(host, workload))
        for process in workload.processes:
            for number in range(process.count):
                name = process.name if process.count == 1 else f"{process.name}-{number}"
                engine.waiting.append((process.start, process, name))
        engine.waiting.sort(key=lambda each: each[0])
        engine.actions = sorted(workload.actions, key=lambda action: action.at)
        return engine

    def run(self, progress: Callable[[float], None] | None = None) -> None:
        """Until the duration is over, or all phases are."""
        end = self.workload.duration or _LONGEST
        self._start(0)
        while self.host.now < end and not self._finished():
            self.step(min(self.host.now + self._tick(), end))
            if progress is not None:
                progress(self._share(end))
        self.recorder.sample(self.host, last=True)

    def step(self, until: int) -> None:
        """One tick."""
        host = self.host
        start = host.now
        self._start(until)
        self._act(until)
        host.hook.forget()
        for worker in self.workers:
            if not worker.finished:
                worker.advance(start, until)
        self._end_children(until)
        for daemon in self.daemons:
            daemon.advance(host, until)
        pressure.collect(host, start, until)
        self._loads(until - start)
        host.now = until
        self.recorder.tick(host, until - start)

    def _tick(self) -> int:
        """Short at first, when memory is filled; long in long runs."""
        if self.workload.tick:
            return self.workload.tick
        now = self.host.now
        if now < SECOND:
            return 20 * MILLISECOND
        if now < 120 * SECOND:
            return (100 if now < 10 * SECOND else 200) * MILLISECOND
        return SECOND

    def _start(self, until: int) -> None:
        while self.waiting and self.waiting[0][0] <= until:
            at, process, name = self.waiting.pop(0)
            state = start_process(self.host, process, name)
            worker = Worker(self.host, state)
            worker.left = -float(max(0, at - self.host.now))
            self.workers.append(worker)

    def _act(self, until: int) -> None:
        """What is done to the policy; a run without one has nothing to do."""
        hook = self.host.hook
        while self.actions and self.actions[0].at < until:
            action = self.actions.pop(0)
            if not isinstance(hook, PolicyHook):
                continue
            state = hook.policy.state
            match action.kind:
                case spec.ActionKind.SET_ADD:
                    state.sets[action.name].add(action.value)
                case spec.ActionKind.SET_REMOVE:
                    state.sets[action.name].discard(action.value)
                case spec.ActionKind.PARAM:
                    state.params[action.name] = action.value
                case spec.ActionKind.ATTACH:
                    hook.active = True
                case spec.ActionKind.DETACH:
                    hook.active = False

    def _end_children(self, until: int) -> None:
        """Children of forks that have had their time."""
        for process in self.host.processes:
            ends = process.notes.get("threads")
            if process.alive and isinstance(ends, int) and ends <= until:
                Worker(self.host, process).exit()

    def _loads(self, length: int) -> None:
        """What was asked of each node beyond its bandwidth makes accesses slower."""
        for node in self.host.nodes:
            used = node.traffic / (node.spec.bandwidth * length / SECOND)
            node.load = max(1.0, node.load * used**0.5 if used > 0 else 1.0)
            node.traffic = 0.0

    def _finished(self) -> bool:
        if self.waiting:
            return False
        ending = [w for w in self.workers if w.process.spec.repeat]
        if self.workload.duration is not None:
            return all(worker.finished for worker in self.workers)
        return all(worker.finished for worker in ending)

    def _share(self, end: int) -> float:
        if self.workload.duration is not None:
            return min(1.0, self.host.now / end)
        done = sum(_progress(worker) for worker in self.workers)
        return done / max(1, len(self.workers) + len(self.waiting))


def _progress(worker: Worker) -> float:
    if worker.finished:
        return 1.0
    phases = max(1, len(worker.process.spec.phases))
    stream = worker.stream
    part = 0.0 if stream is None or stream.total <= 0 else min(1.0, stream.done / stream.total)
    return min(1.0, (worker.phase + part) / phases)
