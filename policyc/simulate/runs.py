"""Runs of the model, many at once: each in a process of its own, in an order of our own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Protocol

from policyc.plan.nodes import Target
from policyc.simulate.notes import notes_after
from policyc.simulate.results import Run
from policyc.simulate.workload.specification import Workload

if TYPE_CHECKING:
    from policyc.api import Policy

__all__ = ["Engine", "Job", "LostRunError", "Outcome", "PolicySource", "Progress", "run_jobs"]

#: Seconds between two looks at how far the runs are.
_INTERVAL = 0.1

Progress = Callable[[float], None]


class Engine(Protocol):
    """What makes one run of a workload; `policyc.simulate.engine.simulate` is it."""

    def __call__(
        self,
        workload: Workload,
        *,
        name: str,
        policy: Policy | None,
        profile: str | None,
        progress: Progress | None,
    ) -> Run:
        """The run; `progress` is called with a share between 0 and 1."""
        ...


class Loader(Protocol):
    """What makes a policy of a text; `policyc.api.loads` is it."""

    def __call__(self, text: bytes, name: str, *, target: Target | None) -> Policy:
        """The policy; raises PolicyError if it cannot be used."""
        ...


class LostRunError(RuntimeError):
    """A process that was simulating is gone, and its run with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """A policy as it is handed to another process, with other values for its parameters."""

    text: bytes
    file: str
    target: Target
    load: Loader
    parameters: tuple[tuple[str, str], ...] = ()

    def policy(self) -> Policy:
        """The policy, loaded here; StateError if it refuses a value of a parameter."""
        policy = self.load(self.text, self.file, target=self.target)
        for name, value in self.parameters:
            policy.state.params[name] = value
        return policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to be made.

    `baseline` is the name of one, empty for the policy's; `setting` are the values that a
    sweep gave, by name; `notes` are added to those of the run.
    """

    name: str
    workload: Workload
    baseline: str = ""
    policy: PolicySource | None = None
    profile: str | None = None
    setting: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """The name with the values that a sweep gave; of dotted keys, the last part."""
        names = [name for name, _ in self.setting]
        short = [name.rpartition(".")[2] for name in names]
        shown = short if len(set(short)) == len(short) else names
        values = [f"{name}={value}" for name, (_, value) in zip(shown, self.setting, strict=True)]
        return " ".join([self.name, *values])


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run and what it was made of."""

    job: Job
    run: Run


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """The runs of all jobs, in the order of the jobs, whichever ends first.

    With one worker they are made in this process. `progress` is called with the share of
    all work that is done. Raises LostRunError if a process dies; an exception of a run, and
    KeyboardInterrupt, end the others.
    """
    make = engine or _engine
    if workers <= 1 or len(jobs) <= 1:
        return _inline(jobs, make, progress)
    return _parallel(jobs, min(workers, len(jobs)), make, progress)


def _engine(
    workload: Workload,
    *,
    name: str,
    policy: Policy | None,
    profile: str | None,
    progress: Progress | None,
) -> Run:
    from policyc.simulate.engine import simulate

    return simulate(workload, name=name, policy=policy, profile=profile, progress=progress)


def _inline(jobs: Sequence[Job], engine: Engine, progress: Progress | None) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs):

        def told(share: float, done: int = number) -> None:
            if progress is not None:
                progress((done + share) / len(jobs))

        outcomes.append(Outcome(job, _made(job, engine, told)))
        told(1.0)
    return outcomes


def _made(job: Job, engine: Engine, progress: Progress | None) -> Run:
    policy = None if job.policy is None else job.policy.policy()
    run = engine(job.workload, name=job.name, policy=policy, profile=job.profile, progress=progress)
    found = notes_after(run) if policy is not None else ()
    notes = tuple(dict.fromkeys((*job.notes, *run.notes, *found)))
    return replace(run, policy=policy is not None, notes=notes)


def _parallel(
    jobs: Sequence[Job], workers: int, engine: Engine, progress: Progress | None
) -> list[Outcome]:
    # "spawn" starts from a clean interpreter: a fork would carry along threads and locks.
    context = multiprocessing.get_context("spawn")
    shares = context.RawArray("d", len(jobs))
    before = multiprocessing.active_children()
    executor = ProcessPoolExecutor(workers, context, _start, (shares,))
    try:
        with _interrupts_held():
            futures = [
                executor.submit(_work, job, engine, number) for number, job in enumerate(jobs)
            ]
        _wait(futures, shares, progress)
        runs = [future.result() for future in futures]
    except BrokenProcessPool:
        raise LostRunError(
            "a process that was simulating was killed, perhaps because memory ran out"
        ) from None
    except BaseException:
        # The pool would wait for runs that nobody wants any more.
        for child in multiprocessing.active_children():
            if child not in before:
                child.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
    return [Outcome(job, run) for job, run in zip(jobs, runs, strict=True)]


def _wait(futures: Sequence[Future[Run]], shares: Any, progress: Progress | None) -> None:
    """Wait for all runs, or for the first that fails."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, _INTERVAL)
        for future in done:
            future.result()
        if progress is not None:
            progress(sum(shares) / len(futures))


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Keep SIGINT back while processes are started, which are so born without it.

    Ctrl-C goes to all processes of a terminal; the workers leave the answer to us.
    """
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


_shares: Any = None


def _start(shares: Any) -> None:
    """Prepare a worker: where it tells its progress, and that it ends with its parent."""
    global _shares  # noqa: PLW0603 - a pool hands state to its workers in no other way
    _shares = shares
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def _work(job: Job, engine: Engine, number: int) -> Run:
    last = 0.0

    def told(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _INTERVAL:
            last = now
            _shares[number] = share

    run = _made(job, engine, told)
    _shares[number] = 1.0
    return run
