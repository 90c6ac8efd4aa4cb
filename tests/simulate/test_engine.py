"""Time, phases and processes of a run."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest

from policyc.simulate.engine import Engine, simulate
from policyc.simulate.model.hook import Hook
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import (
    GIB,
    MIB,
    MILLISECOND,
    SECOND,
    Action,
    ActionKind,
    Pattern,
    Phase,
)
from tests.simulate.machines import HEAP, fill, hook, machine, process, ran, run, workload


def sleep(time: int) -> Phase:
    return Phase(pattern=Pattern.SLEEP, duration=time)


def test_a_rate_decides_how_long_a_phase_takes() -> None:
    what = process(fill(rate=8192.0))
    assert math.isclose(run(machine(), what).total.run_seconds, 2.0, rel_tol=0.01)


def test_a_delay_after_each_touch_adds_up_and_threads_share_it() -> None:
    pause = 100_000
    alone = run(machine(), process(fill(delay=pause))).total.run_seconds
    assert math.isclose(alone, 16384 * pause / SECOND, rel_tol=0.02)
    shared = run(machine(), process(fill(delay=pause, threads=4))).total.run_seconds
    assert math.isclose(shared * 4, alone, rel_tol=0.02)


def test_filling_costs_what_the_constants_say() -> None:
    engine, result = ran(workload(machine("never"), process(fill(), size=GIB)))
    costs = engine.host.costs
    each = costs.fault + costs.zero_byte * 4096
    touches = GIB // 4096
    assert result.total.run_seconds * SECOND > touches * each
    assert result.total.run_seconds * SECOND < touches * each * 1.1
    assert math.isclose(result.total.fault_p50_seconds * SECOND, each, rel_tol=0.03)


def test_the_tick_hardly_changes_the_time() -> None:
    on, what = machine(), process(fill(3), size=2 * GIB)
    times = [run(on, what, tick=tick * MILLISECOND).total.run_seconds for tick in (1, 7, 50, 1000)]
    assert max(times) < min(times) * 1.03


def test_phases_follow_each_other_and_repeat() -> None:
    phases = (fill(), sleep(100 * MILLISECOND), Phase(pattern=Pattern.FREE, vma=HEAP))
    _, result = ran(workload(machine(), replace(process(*phases), repeat=3)))
    assert result.total.counters["thp_fault_alloc"] == 3 * 32
    assert result.total.memory_bytes == 0
    assert math.isclose(result.total.run_seconds, 0.3, rel_tol=0.2)


def test_a_free_of_a_part_keeps_the_rest() -> None:
    part = Phase(pattern=Pattern.FREE, vma=HEAP, offset=32 * MIB, length=16 * MIB)
    assert run(machine(), process(fill(), part)).total.memory_bytes == 48 * MIB


def test_exit_frees_everything() -> None:
    gone = Phase(pattern=Pattern.EXIT)
    assert run(machine(), process(fill(), gone)).total.memory_bytes == 0
    assert run(machine(), process(fill(), gone)).total.memory_peak_bytes == 64 * MIB


def test_a_run_ends_with_its_duration() -> None:
    what = replace(process(fill(), sleep(SECOND)), repeat=0)
    result = run(machine(), what, duration=5 * SECOND)
    assert result.total.run_seconds == 5.0
    assert result.timeline.seconds[-1] == 5.0


def test_a_process_starts_when_it_should() -> None:
    late = replace(process(fill(rate=16384.0)), start=3 * SECOND)
    assert math.isclose(run(machine(), late).total.run_seconds, 4.0, rel_tol=0.02)


def test_copies_of_a_process_are_processes() -> None:
    result = run(machine(), replace(process(fill()), count=3))
    assert result.total.memory_bytes == 3 * 64 * MIB
    assert sorted(result.process_seconds) == ["worker-0", "worker-1", "worker-2"]


def test_shared_memory_is_there_once() -> None:
    result = run(machine(), replace(process(fill(), kind="shmem", share="buffers"), count=3))
    assert result.total.memory_bytes == 64 * MIB


def test_a_snapshot_costs_what_is_written_meanwhile() -> None:
    """The parent writes a quarter while the child lives; then the child's copies go."""
    phases = (
        fill(),
        Phase(pattern=Pattern.FORK, duration=SECOND),
        fill(None, length=16 * MIB, touches=16 * MIB // 4096),  # type: ignore[arg-type]
        sleep(2 * SECOND),
    )
    result = run(machine("never"), process(*phases))
    assert result.total.memory_peak_bytes == 80 * MIB
    assert result.total.memory_bytes == 64 * MIB


def test_madv_collapse_makes_huge_pages_of_small_ones() -> None:
    collapse = Phase(pattern=Pattern.COLLAPSE, vma=HEAP)
    result = run(machine("never"), process(fill(), collapse))
    assert result.total.huge_bytes_by_order[9] == 64 * MIB
    assert result.total.counters["thp_collapse_alloc"] == 32


def test_a_parameter_that_changes_decides_from_then_on() -> None:
    policy = hook(
        "policy p; param share : percent = 0%;thp { allow all when share >= 50%; otherwise deny; }"
    )
    action = Action(at=SECOND, kind=ActionKind.PARAM, name="share", value="50%")
    what = workload(machine(), process(fill(rate=8192.0)), actions=(action,), tick=10 * MILLISECOND)
    assert math.isclose(ran(what, policy)[1].total.huge_bytes_by_order[9], 32 * MIB, rel_tol=0.07)


def test_a_set_that_changes_decides_from_then_on() -> None:
    policy = hook(
        "policy p; set chosen : cgroup = { };"
        "thp { allow all when cgroup in chosen; otherwise deny; }"
    )
    what = process(fill(rate=8192.0), cgroup="/a")  # 2 s
    action = Action(at=SECOND, kind=ActionKind.SET_ADD, name="chosen", value="/a")
    _, result = ran(workload(machine(), what, actions=(action,), tick=10 * MILLISECOND), policy)
    assert math.isclose(result.total.huge_bytes_by_order[9], 32 * MIB, rel_tol=0.07)


def test_a_policy_may_be_attached_later() -> None:
    policy = hook("policy p; thp { otherwise deny; }").policy
    what = process(fill(rate=8192.0))
    action = Action(at=SECOND, kind=ActionKind.ATTACH)
    on = workload(machine(), what, actions=(action,), tick=10 * MILLISECOND)
    result = simulate(on, name="later", policy=policy)
    assert math.isclose(result.total.huge_bytes_by_order[9], 32 * MIB, rel_tol=0.07)


@pytest.mark.parametrize("pattern", [Pattern.UNIFORM, Pattern.ZIPF, Pattern.HOTSET])
def test_the_same_seed_gives_the_same_run_and_another_does_not(pattern: Pattern) -> None:
    phase = Phase(pattern=pattern, vma=HEAP, touches=20_000, write=0.5)
    what = workload(machine("madvise", sizes={2: "always"}), process(phase))
    first, second = (simulate(what, name="x") for _ in range(2))
    assert dataclasses.asdict(first) == dataclasses.asdict(second)
    other = simulate(replace(what, seed=2), name="x")
    assert dataclasses.asdict(first) != dataclasses.asdict(other)


def test_progress_rises_to_the_end() -> None:
    seen: list[float] = []
    what = workload(machine(), process(fill(rate=16384.0)))
    simulate(what, name="x", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_an_empty_workload_is_over_at_once() -> None:
    _, result = ran(workload(machine()))
    assert result.total.run_seconds == 0
    assert result.total.memory_bytes == 0


def test_bandwidth_slows_down_what_asks_for_more() -> None:
    """64 threads at random on a node of 1 GB/s: a line of 64 bytes each 64 ns at most."""
    narrow = replace(machine("never"), nodes=(spec.Node(memory=4 * GIB, cpus=64, bandwidth=10**9),))
    at_random = Phase(pattern=Pattern.UNIFORM, vma=HEAP, touches=200_000_000, threads=64)
    result = run(narrow, process(fill(), at_random, size=2 * GIB))
    assert math.isclose(result.total.run_seconds, 200_000_000 * 64 / 10**9, rel_tol=0.15)


def test_huge_pages_are_faster_at_random() -> None:
    """More translations than the TLB has entries: small pages walk, huge ones do not."""
    at_random = Phase(pattern=Pattern.UNIFORM, vma=HEAP, touches=5_000_000)
    times = [
        run(machine(mode), process(fill(), at_random, size=GIB)).total.access_p50_seconds
        for mode in ("never", "always")
    ]
    assert times[0] > times[1]


def test_time_in_the_kernel_is_time_that_threads_do_not_have() -> None:
    engine = Engine.of(workload(machine(), process(fill(rate=16384.0))), Hook())
    engine.step(10 * MILLISECOND)
    engine.workers[0].process.stalled += 5.0 * SECOND
    while not engine.workers[0].finished:
        engine.step(engine.host.now + 100 * MILLISECOND)
    ended = engine.workers[0].process.ended
    assert ended is not None
    assert math.isclose(ended / SECOND, 6.0, rel_tol=0.02)


def test_shared_memory_stays_with_who_is_left_when_the_first_is_killed() -> None:
    """It is charged on, and told of the cgroup of the one that still maps it."""
    shared = {"kind": "shmem", "share": "buffers", "size": 16 * MIB}
    limit = (spec.Cgroup(path="/a", memory_max=32 * MIB, swap_max=0),)
    greedy = replace(process(fill(), name="greedy", cgroup="/a", **shared), oom_score_adj=1000)
    heap = spec.Vma(name="more", size=64 * MIB)
    more = Phase(pattern=Pattern.SEQUENTIAL, vma="more", passes=1)
    greedy = replace(greedy, vmas=(*greedy.vmas, heap), phases=(*greedy.phases, more))
    calm = process(fill(), sleep(5 * SECOND), name="calm", cgroup="/a", **shared)
    result = run(machine("never"), greedy, calm, cgroups=limit)
    assert result.process_seconds["greedy"] == -1.0
    assert result.total.memory_bytes == 16 * MIB
    assert sum(result.total.bytes_by_node) == 16 * MIB
