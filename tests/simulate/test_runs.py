"""Many runs at once: their order, their progress, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from policyc.api import loads
from policyc.plan.nodes import Target
from policyc.runtime.state import StateError
from policyc.simulate.results import Run
from policyc.simulate.runs import Job, LostRunError, PolicySource, run_jobs
from tests.simulate import made

ROOT = Path(__file__).resolve().parents[2]
POLICY = b"""policy p;
param ceiling : percent = 5% in 0%..50%;
thp { deny when psi.memory.some.avg10 > ceiling; otherwise pass; }
"""


def jobs(count: int) -> list[Job]:
    return [
        Job(name=f"run {seed}", workload=replace(made.WORKLOAD, seed=seed))
        for seed in range(1, count + 1)
    ]


def source(**parameters: str) -> PolicySource:
    return PolicySource(
        text=POLICY,
        file="p.thp",
        target=Target(),
        load=loads,
        parameters=tuple(parameters.items()),
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_outcomes_are_in_the_order_of_the_jobs(workers: int) -> None:
    asked = jobs(3)
    outcomes = run_jobs(asked, workers=workers, engine=made.slow_first)
    assert [outcome.job for outcome in outcomes] == asked
    assert [outcome.run.total.memory_bytes >> 30 for outcome in outcomes] == [1, 2, 3]
    assert not any(outcome.run.policy for outcome in outcomes)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_policy_reaches_the_run_with_its_parameters(workers: int) -> None:
    job = replace(
        jobs(1)[0], policy=source(ceiling="7.5%"), profile="thp-v12", notes=("a note", "a note")
    )
    first, second = run_jobs([job, jobs(1)[0]], workers=workers, engine=made.engine)
    assert first.run.total.counters["pgscan"] == 750
    assert first.run.policy
    assert first.run.notes == ("a note", "profile thp-v12")
    assert second.run.total.counters["pgscan"] == 0
    assert not second.run.policy


def test_a_parameter_out_of_range_is_said() -> None:
    with pytest.raises(StateError, match=r"ceiling: expected 0%\.\.50%"):
        source(ceiling="51%").policy()


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_goes_up_to_all_of_it(workers: int) -> None:
    seen: list[float] = []
    run_jobs(jobs(3), workers=workers, engine=made.slow_first, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert all(0 <= share <= 1 for share in seen)


def test_a_killed_process_is_said_and_nothing_is_left() -> None:
    before = multiprocessing.active_children()
    with pytest.raises(LostRunError, match="was killed"):
        run_jobs(jobs(2), workers=2, engine=made.dying)
    assert multiprocessing.active_children() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_run_ends_the_others(workers: int) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match="no memory node"):
        run_jobs(jobs(3), workers=workers, engine=made.failing)
    assert time.monotonic() - started < 20


def test_an_engine_may_say_nothing_of_progress() -> None:
    def silent(workload: object, *, name: str, **_: object) -> Run:
        return made.run(name)

    assert run_jobs(jobs(1), workers=1, engine=silent)[0].run.name == "run 1"


def children(pid: int) -> set[int]:
    """All processes that a process has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return set()
    found = {int(child) for child in text.split()}
    return found.union(*(children(child) for child in found))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_command(ending: signal.Signals) -> None:
    program = (
        "from tests.simulate import made, test_runs\n"
        "from policyc.simulate.runs import run_jobs\n"
        "if __name__ == '__main__':\n"
        "    run_jobs(test_runs.jobs(2), workers=2, engine=made.endless)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    # Two workers and the process that cleans up after them.
    while len(born := children(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, ending)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert errors.count(b"Traceback") <= 1, errors.decode()
    while any(Path(f"/proc/{pid}").exists() for pid in born) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in born if Path(f"/proc/{pid}").exists()]
