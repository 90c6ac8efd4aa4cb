"""Every shipped workload is sound, is about what its name says, and fits the policies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from policyc.resources import resource_path
from policyc.simulate.workload import shipped
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.reader import (
    examine_workload,
    parse_workload,
    read_workload,
)
from policyc.simulate.workload.summary import summarise
from policyc.simulate.workload.writer import write_workload

GIB = 1 << 30


def load(name: str, *overrides: str) -> spec.Workload:
    return read_workload(shipped.workload(name), overrides)


def test_there_are_a_dozen_and_the_default_is_first() -> None:
    names = shipped.names()
    assert len(names) >= 12
    assert names[0] == shipped.DEFAULT == "mixed-host"
    assert list(names[1:]) == sorted(names[1:])


@pytest.mark.parametrize("name", shipped.names())
def test_nothing_is_wrong_or_odd(name: str) -> None:
    path = shipped.workload(name)
    data = path.read_bytes()
    examined = examine_workload(data, str(path))
    assert examined.findings == ()
    assert examined.workload is not None
    assert examined.workload.name == name
    assert examined.workload.description
    # Each begins with a comment that says why it is there and what to look for.
    comment = data.decode().split("\n\ndescription", maxsplit=1)[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert "\n# Look for: " in comment


@pytest.mark.parametrize("name", shipped.names())
def test_memory_that_is_touched_fits_the_machine(name: str) -> None:
    found = load(name)
    machine = sum(node.memory for node in found.machine.nodes)
    assert 1 <= summarise(found).seconds <= 600
    assert summarise(found).memory <= min(machine, 64 * GIB)


@pytest.mark.parametrize("name", shipped.names())
def test_what_is_written_is_read_back(name: str) -> None:
    found = load(name)
    assert parse_workload(write_workload(found).encode(), "again.toml") == found


def test_names_and_files() -> None:
    assert shipped.workload("stress-stride").name == "stress-stride.toml"
    with pytest.raises(FileNotFoundError, match="did you mean 'redis-bgsave'"):
        shipped.workload("redis-bgsaev")
    with pytest.raises(FileNotFoundError, match="shipped workloads: mixed-host, abench"):
        shipped.workload("zzzzzzzz")
    with pytest.raises(FileNotFoundError):
        shipped.workload("")
    with pytest.raises(FileNotFoundError):
        shipped.workload("../workloads/abench")


def test_a_file_goes_before_a_shipped_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abench").write_text("mine")
    assert shipped.workload("abench") == Path("abench")
    (tmp_path / "memcached").mkdir()
    assert shipped.workload("memcached").name == "memcached.toml"


def test_stress_stride_is_the_experiment() -> None:
    found = load("stress-stride")
    (process,) = found.processes
    (vma,) = process.vmas
    assert found.machine.thp.enabled == "always"
    assert found.machine.khugepaged.max_ptes_none == 450
    assert found.cgroups == (spec.Cgroup(path=process.cgroup, memory_max=20 << 20, swap_max=0),)
    assert (vma.size, vma.kind, vma.misalign, vma.advice) == (40 << 20, "anon", 0, "none")
    (phase,) = process.phases
    assert (phase.pattern, phase.stride, phase.write) == (spec.Pattern.STRIDE, 50 << 10, 1.0)
    # 820 touches, 41 distinct pages in each of 20 huge pages.
    pages = {at // 4096 for at in range(0, vma.size, phase.stride)}
    blocks = [sum(page // 512 == block for page in pages) for block in range(20)]
    assert (len(range(0, vma.size, phase.stride)), set(blocks)) == (820, {41})
    assert load("stress-stride", "stride=100K").processes[0].phases[0].stride == 100 << 10
    assert load("stress-stride", "bytes=80M").processes[0].vmas[0].size == 80 << 20


def test_abench_is_the_benchmark() -> None:
    found = load("abench", "size=16G")
    (process,) = found.processes
    touching = process.phases[-1]
    assert found.processes[0].vmas[0].size == 16 * GIB
    assert found.machine.cpus == 512
    assert [node.memory for node in found.machine.nodes[:2]] == [256 * GIB] * 2
    node = found.machine.nodes[process.vmas[0].node or 0]
    assert (node.tier, node.cpus) == (1, 0)
    assert touching.pattern is spec.Pattern.UNIFORM
    # 64 threads, each of which touches as many pages as there are, 512 times.
    assert (touching.threads, touching.passes) == (64, 64 * 512)


def test_the_mixed_host_fits_the_fleet_policy() -> None:
    policy = (resource_path("examples") / "fleet.thp").read_text()
    found = load("mixed-host")
    paths = {process.cgroup for process in found.processes}

    def under(top: str) -> list[spec.Process]:
        assert f'"{top}"' in policy
        return [each for each in found.processes if f"{each.cgroup}/".startswith(f"{top}/")]

    assert any(vma.advice == "hugepage" for each in under("/kubepods/java") for vma in each.vmas)
    burstable = [vma.size for each in under("/kubepods/burstable") for vma in each.vmas]
    assert min(burstable) < 8 << 20 <= max(burstable)
    comms = {process.comm or process.name for process in found.processes}
    assert {"memcached", "haproxy", "redis-server", "postgres"} <= comms
    # A rollout of a quarter of the cgroups takes in some of six, most likely; each can
    # have 4 GiB free, and one per cent of its limit resident.
    batch = under("/kubepods/batch")
    assert len({process.cgroup for process in batch}) >= 6
    limits = {cgroup.path: cgroup.memory_max for cgroup in found.cgroups}
    for process in batch:
        limit = limits[process.cgroup]
        assert limit is not None
        assert limit - sum(vma.size for vma in process.vmas) >= 4 * GIB
        assert sum(vma.size for vma in process.vmas) >= limit // 100
    # numab-rfc1 asks a program about its own cgroup only, and there are two nodes.
    assert {process.cgroup for process in under("/kubepods/db")} == {"/kubepods/db"}
    assert len({process.comm for process in under("/kubepods/db")}) == 2
    assert len(found.machine.nodes) == 2
    # Pressure in part of it.
    highs = {each.path for each in found.cgroups if each.memory_high is not None}
    assert highs
    assert highs < paths
    # About a minute, and done when the work is, so that settings differ in run time.
    assert found.duration is None
    assert 30 <= summarise(found).seconds <= 90


@pytest.mark.parametrize(
    ("name", "cgroups"),
    [
        ("jvm-zgc", {"/kubepods/java-zgc"}),
        ("postgres-wrong-node", {"/kubepods/db"}),
        ("batch-analytics", {"/batch", "/latency"}),
        ("tiered-cache", {"/cache", "/analytics"}),
    ],
)
def test_cgroups_are_those_of_the_policies(name: str, cgroups: set[str]) -> None:
    assert cgroups <= {cgroup.path for cgroup in load(name).cgroups}


# -- summaries


def test_a_summary_adds_up() -> None:
    phase = spec.Phase(pattern=spec.Pattern.UNIFORM, vma="a", touches=1000, rate=100.0, threads=2)
    shared = spec.Vma(name="s", size=4 * GIB, kind="shmem", share="buffers")
    process = spec.Process(
        name="p",
        count=3,
        start=10**9,
        repeat=2,
        vmas=(spec.Vma(name="a", size=GIB), shared),
        phases=(phase, spec.Phase(pattern=spec.Pattern.SLEEP, duration=10**9)),
    )
    workload = spec.Workload(
        name="w", machine=spec.Machine(nodes=(spec.Node(memory=GIB, cpus=1),)), processes=(process,)
    )
    found = summarise(workload)
    # Two times 10 s at 100 a second and 1 s of sleep, after 1 s; the shared memory is there once.
    assert (found.processes, found.threads, found.memory) == (3, 6, 7 * GIB)
    assert (found.touches, found.seconds, found.estimated) == (6000, 23.0, True)
    short = summarise(dataclasses.replace(workload, duration=7 * 10**9))
    assert (short.touches, short.seconds, short.estimated) == (1800, 7.0, False)
    endless = dataclasses.replace(
        workload, duration=34 * 10**9, processes=(dataclasses.replace(process, repeat=0),)
    )
    assert summarise(endless).touches == 9000


def test_passes_count_the_steps_of_the_range() -> None:
    vma = spec.Vma(name="a", size=40 << 20)
    machine = spec.Machine(nodes=(spec.Node(memory=GIB, cpus=1),))

    def touches(**keys: object) -> int:
        phase = spec.Phase(vma="a", **keys)  # pyright: ignore[reportArgumentType]
        process = spec.Process(name="p", vmas=(vma,), phases=(phase,))
        return summarise(spec.Workload(name="w", machine=machine, processes=(process,))).touches

    assert touches(pattern=spec.Pattern.STRIDE, stride=50 << 10, passes=2.0) == 2 * 820
    assert touches(pattern=spec.Pattern.SEQUENTIAL, passes=1.0) == 10240
    assert touches(pattern=spec.Pattern.UNIFORM, length=1 << 20, passes=0.5) == 128
