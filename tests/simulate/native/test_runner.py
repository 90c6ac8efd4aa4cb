"""Workloads on the running kernel, as far as it has what they need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from policyc.simulate.workload.runner import Missing, Outcome, run
from policyc.simulate.workload.runner.cgroups import hierarchy
from policyc.simulate.workload.specification import (
    GIB,
    MIB,
    SECOND,
    Cgroup,
    Khugepaged,
    Machine,
    Node,
    Pattern,
    Phase,
    Process,
    Thp,
    Vma,
    Workload,
)


def missing() -> str:
    """Why workloads cannot run here; empty if they can."""
    if os.geteuid() != 0:
        return "running a workload needs root"
    if not Path("/sys/kernel/mm/transparent_hugepage/enabled").exists():
        return "this kernel has no transparent huge pages"
    try:
        root = hierarchy()
    except Missing as error:
        return str(error)
    return "" if os.access(root, os.W_OK) else f"{root} cannot be written"


REASON = missing()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

FILL = Phase(pattern=Pattern.SEQUENTIAL, vma="heap", passes=1)


def workload_of(*processes: Process, cgroups: tuple[Cgroup, ...] = ()) -> Workload:
    machine = Machine(
        nodes=(Node(memory=4 * GIB, cpus=2),), khugepaged=Khugepaged(pages_to_scan=0), thp=Thp()
    )
    return Workload(name="native", machine=machine, processes=processes, cgroups=cgroups)


def process_of(
    *phases: Phase, vma: Vma | None = None, name: str = "one", count: int = 1
) -> Process:
    heap = vma or Vma(name="heap", size=8 * MIB, advice="nohugepage")
    return Process(name=name, cgroup="/a/b", count=count, vmas=(heap,), phases=phases)


def ran(*phases: Phase, vma: Vma | None = None) -> Outcome:
    return run(workload_of(process_of(*phases, vma=vma)), patience=60)


@pytest.fixture(autouse=True)
def _nothing_left() -> Generator[None]:
    yield
    assert not (hierarchy() / f"policyc-workload-{os.getpid()}").exists()


def test_every_page_faults_once_and_the_interpreter_never() -> None:
    total = ran(FILL, FILL).run.total
    assert total.counters["pgfault"] == 2048
    assert total.touches == 4096
    assert total.memory_bytes == pytest.approx(8 * MIB, abs=512 << 10)
    assert sum(total.bytes_by_node) == 8 * MIB


def test_advised_memory_is_huge_where_a_whole_one_fits() -> None:
    outcome = ran(FILL, vma=Vma(name="heap", size=5 * MIB, misalign=MIB, advice="hugepage"))
    if (
        outcome.differences
        and "never"
        in Path("/sys/kernel/mm/transparent_hugepage/enabled")
        .read_text()
        .split("[")[1]
        .split("]")[0]
    ):
        pytest.skip("huge pages are switched off here")
    (area,) = outcome.areas
    assert area.pmd_mapped == 4 * MIB
    assert area.by_order[9] == 4 * MIB
    assert outcome.run.total.counters["pgfault"] == 2 + 256


def test_what_is_freed_faults_again() -> None:
    free = Phase(pattern=Pattern.FREE, vma="heap", offset=2 * MIB, length=MIB)
    total = ran(FILL, free, FILL).run.total
    assert total.counters["pgfault"] == 2048 + 256


def test_a_fork_makes_the_writes_after_it_copy() -> None:
    fork = Phase(pattern=Pattern.FORK, duration=60 * SECOND)
    half = Phase(pattern=Pattern.SEQUENTIAL, vma="heap", length=4 * MIB, passes=1)
    outcome = ran(FILL, fork, half)
    assert outcome.run.total.counters["pgfault"] == 2048 + 1024
    # the pages of the parent, and the old ones that only the child has now
    (area,) = outcome.areas
    assert area.by_order == {0: 12 * MIB}


def test_untouched_pages_of_large_folios_are_bloat() -> None:
    stride = Phase(pattern=Pattern.STRIDE, vma="heap", stride=64 << 10, passes=1)
    outcome = ran(stride, vma=Vma(name="heap", size=4 * MIB, advice="hugepage"))
    (area,) = outcome.areas
    if not area.exact or not area.pmd_mapped:
        pytest.skip("page frames cannot be seen here, or huge pages are switched off")
    assert area.zero_inside == 4 * MIB - 64 * 4096


def test_shared_memory_is_counted_once() -> None:
    vma = Vma(name="heap", size=4 * MIB, kind="shmem", share="pool")
    outcome = run(workload_of(process_of(FILL, vma=vma, count=3)), patience=60)
    assert sum(outcome.run.total.bytes_by_node) == 4 * MIB
    assert outcome.run.total.touches == 3 * 1024
    assert sorted(outcome.run.process_seconds) == ["one-0", "one-1", "one-2"]


def test_processes_start_later_and_end_by_themselves() -> None:
    late = Process(
        name="late",
        start=SECOND // 2,
        vmas=(Vma(name="heap", size=MIB, advice="nohugepage"),),
        phases=(FILL, Phase(pattern=Pattern.EXIT)),
    )
    outcome = run(workload_of(late), patience=60)
    assert 0.5 <= outcome.run.process_seconds["late"] < 5
    assert outcome.areas == ()  # it is gone, and its memory with it
    assert outcome.run.total.counters["pgfault"] == 256


def test_a_run_has_an_end_when_its_time_is_over() -> None:
    forever = Process(
        name="forever",
        repeat=0,
        vmas=(Vma(name="heap", size=MIB, advice="nohugepage"),),
        phases=(FILL, Phase(pattern=Pattern.SLEEP, duration=SECOND // 100)),
    )
    workload = Workload(
        name="timed",
        duration=SECOND // 2,
        machine=workload_of().machine,
        processes=(forever,),
    )
    outcome = run(workload, patience=60)
    assert outcome.run.total.counters["pgfault"] == 256
    assert outcome.run.total.touches > 256


def test_a_node_that_is_not_here_is_missing() -> None:
    vma = Vma(name="heap", size=MIB, node=40)
    with pytest.raises(Missing, match="NUMA node 40"):
        run(workload_of(process_of(FILL, vma=vma)))


def test_what_does_not_fit_is_refused_before_anything_runs() -> None:
    vma = Vma(name="heap", size=1 << 50)
    with pytest.raises(Missing, match="MiB are available"):
        run(workload_of(process_of(FILL, vma=vma)))


def test_a_limit_needs_the_memory_controller_and_kills() -> None:
    limited = Cgroup(path="/a/b", memory_max=4 * MIB, swap_max=0)
    workload = workload_of(process_of(FILL), cgroups=(limited,))
    if "memory" not in (hierarchy() / "cgroup.controllers").read_text().split():
        with pytest.raises(Missing, match="memory controller"):
            run(workload)
        return
    outcome = run(workload, patience=60)
    assert outcome.run.process_seconds == {"one": -1.0}
    assert outcome.run.total.counters["oom_kill"] == 1


TEXT = """
[[machine.nodes]]
memory = "4G"
cpus = 2
[machine.khugepaged]
pages_to_scan = 0
[[processes]]
name = "sleeper"
[[processes.vmas]]
name = "heap"
size = "2M"
advice = "nohugepage"
[[processes.phases]]
pattern = "sequential"
passes = 1
[[processes.phases]]
pattern = "sleep"
duration = "{time}"
"""


def policyc(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "policyc", "workload", "run", *map(str, arguments)]


def test_the_document_has_the_shape_of_a_simulations(tmp_path: Path) -> None:
    pytest.importorskip("numpy", reason="the model needs numpy")
    file = tmp_path / "short.toml"
    file.write_text(TEXT.format(time="10ms"))
    done = subprocess.run(
        policyc(file, "--json", "--model"), capture_output=True, text=True, check=True, timeout=60
    )
    document = json.loads(done.stdout)
    kernel, model = document["runs"]
    assert (kernel["name"], model["name"]) == ("kernel", "model")
    assert kernel["total"].keys() <= model["total"].keys()
    assert kernel["total"]["pgfault"] == model["total"]["pgfault"] == 512
    assert document["kernel"]["release"] == os.uname().release


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "long.toml"
    file.write_text(TEXT.format(time="600s"))
    with subprocess.Popen(policyc(file), stdout=subprocess.PIPE) as process:
        place = hierarchy() / f"policyc-workload-{process.pid}"
        end = time.monotonic() + 30
        pids: list[str] = []
        while not pids and time.monotonic() < end:
            time.sleep(0.05)
            procs = place / "cgroup.procs"
            pids = procs.read_text().split() if procs.exists() else []
        assert pids
        process.send_signal(number)
        assert process.wait(30) == 130
    assert not place.exists()
    assert not any(Path(f"/proc/{pid}/mem").exists() for pid in pids)
