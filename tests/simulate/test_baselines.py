"""Stock settings and host blocks on a machine, the jobs of an experiment, and its notes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from policyc.api import load, loads
from policyc.hooks.loader import host_rows
from policyc.plan.nodes import Plan, Target
from policyc.simulate.baselines import (
    BASELINES,
    UNMODELLED,
    applied,
    host_settings,
    kept,
    numa_default,
)
from policyc.simulate.notes import notes_after, notes_before
from policyc.simulate.runs import PolicySource
from policyc.simulate.sweep import Experiment, Sweep, jobs_of, parse_sweep
from policyc.simulate.workload.specification import MIB, SECOND, Khugepaged, Node, Thp, Workload
from tests.simulate.made import RULES, WORKLOAD, run


def on(**changes: object) -> Workload:
    """The workload on a machine with other settings."""
    return replace(WORKLOAD, machine=replace(WORKLOAD.machine, **changes))


def plan_of(text: str) -> Plan:
    return loads(f"policy p;\n{text}").plan


@pytest.mark.parametrize(
    ("name", "enabled", "shrinks"),
    [
        ("never", "never", False),
        ("madvise", "madvise", False),
        ("always", "always", False),
        ("always+shrinker", "always", True),
    ],
)
def test_thp_baselines(name: str, enabled: str, shrinks: bool) -> None:
    sizes = {4: "always"}
    machine = applied(on(thp=Thp(sizes=sizes, shmem_enabled="advise")), name).machine
    assert (machine.thp.enabled, machine.thp.shrink_underused) == (enabled, shrinks)
    assert machine.thp.sizes == {}
    assert machine.thp.shmem_enabled == "advise"
    assert machine.numa == WORKLOAD.machine.numa


def test_the_shrinker_keeps_the_threshold_of_the_workload() -> None:
    """511, the kernel's default, never splits; any other value was chosen by somebody."""
    default = applied(on(khugepaged=Khugepaged(max_ptes_none=511)), "always+shrinker")
    assert default.machine.khugepaged.max_ptes_none == 409
    chosen = applied(on(khugepaged=Khugepaged(max_ptes_none=470)), "always+shrinker")
    assert chosen.machine.khugepaged.max_ptes_none == 470
    assert applied(WORKLOAD, "always").machine.khugepaged.max_ptes_none == 511


@pytest.mark.parametrize(
    ("name", "mode", "scans"),
    [("numab0", 0, False), ("numab1", 1, False), ("numab2", 2, False), ("kmmscand", 1, True)],
)
def test_numa_baselines(name: str, mode: int, scans: bool) -> None:
    machine = applied(on(thp=Thp(enabled="always")), name).machine
    assert machine.numa.balancing == mode
    assert machine.kmmscand.scan_enabled is scans
    assert machine.thp.enabled == "always"


def test_a_baseline_that_there_is_not() -> None:
    with pytest.raises(KeyError):
        applied(WORKLOAD, "sometimes")


def test_the_host_block_of_fleet() -> None:
    """The values are those that stand in examples/fleet.thp."""
    machine = host_settings(WORKLOAD, load("examples/fleet.thp").plan).machine
    assert machine.thp.enabled == "madvise"
    assert machine.thp.sizes == {4: "madvise"}
    assert machine.thp.shrink_underused is True
    assert machine.khugepaged.max_ptes_none == 409
    assert machine.khugepaged.scan_sleep == 10 * SECOND
    assert machine.numa.balancing == 2


@pytest.mark.parametrize("name", sorted(set(host_rows()) - set(UNMODELLED)))
def test_every_host_setting_changes_the_machine(name: str) -> None:
    row = host_rows()[name]
    if row.values:
        texts: Sequence[str] = row.values
    elif row.type.kind.value == "bool":
        texts = ("on", "off")
    else:
        texts = {"int": ("1", "2"), "size": ("1M", "2M"), "duration": ("1ms", "2ms")}[
            row.type.kind.value
        ]
    written = name.replace("[]", "[64K]")
    machines = [
        host_settings(
            WORKLOAD,
            plan_of(f"host {{ {written} = {text}; }}\nthp {{ otherwise pass; }}"),
        ).machine
        for text in texts
    ]
    assert all(first != second for first, second in itertools.pairwise(machines))


def test_sizes_and_durations_are_in_bytes_and_nanoseconds() -> None:
    text = "host { numa.scan_size = 128M; numa.scan_delay = 500ms; } thp { otherwise pass; }"
    machine = host_settings(WORKLOAD, plan_of(text)).machine
    assert machine.numa.scan_size == 128 * MIB
    assert machine.numa.scan_delay == SECOND // 2


THP = "thp { otherwise pass; }"
NUMA = "numa { otherwise balance; hot_threshold = 200ms; }"
TWO = (Node(memory=1 << 30, cpus=1), Node(memory=1 << 30, cpus=1))


@pytest.mark.parametrize(
    ("text", "machine", "said"),
    [
        (THP, {"thp": Thp(enabled="never")}, "the kernel never asks the thp block"),
        (THP, {"thp": Thp(enabled="never", sizes={4: "always"})}, ""),
        (
            f"host {{ thp.enabled = madvise; }} {THP}",
            {"thp": Thp(enabled="never")},
            "without thp.enabled = madvise the thp block would have had no effect",
        ),
        (
            f"host {{ thp.enabled[64K] = always; }} {THP}",
            {"thp": Thp(enabled="never")},
            "without thp.enabled[64K] = always the thp block",
        ),
        (f"host {{ thp.enabled = always; }} {THP}", {"thp": Thp(sizes={4: "inherit"})}, ""),
        (f"host {{ thp.enabled = always; }} {THP}", {}, "enables PMD-sized pages only"),
        (THP, {"thp": Thp(sizes={4: "madvise"})}, "no mapping is advised"),
        (NUMA, {}, "the machine has one node"),
        (NUMA, {"nodes": TWO}, "hot_threshold has no effect"),
        (f"host {{ numa.balancing = 2; }} {NUMA}", {"nodes": TWO}, ""),
        (f"host {{ khugepaged.defrag = on; }} {THP}", {}, "is not part of the model"),
        (
            f"host {{ thp.shrink_underused = on; }} {THP}",
            {},
            "thp.shrink_underused splits nothing with khugepaged.max_ptes_none = 511",
        ),
    ],
)
def test_settings_that_decide_all_are_said(
    text: str, machine: dict[str, object], said: str
) -> None:
    workload, plan = on(**machine), plan_of(text)
    notes = notes_before(plan, workload, host_settings(workload, plan))
    assert said in " ".join(notes)
    assert bool(notes) is bool(said)


def test_a_policy_that_is_never_asked_is_said() -> None:
    idle = tuple(replace(rule, decisions=0) for rule in RULES)
    assert notes_after(run("p", rules=idle)) == ("the kernel never asked the policy anything",)
    assert notes_after(run("p", rules=idle, no_opinion=5)) == (
        "no rule ever decided: all requests were left as they were",
    )
    assert notes_after(run("p", rules=RULES)) == ()
    numa = replace(RULES[0], hook="numa", decisions=0)
    assert "numa block" in notes_after(run("p", rules=(*RULES, numa)))[0]


@pytest.mark.parametrize(
    ("text", "sweep"),
    [
        ("ceiling=5%,10%", Sweep("ceiling", ("5%", "10%"))),
        (" a.b = 1 , 2 ", Sweep("a.b", ("1", "2"))),
        ("cgroups./x=y.max=1", Sweep("cgroups./x", ("y.max=1",))),
    ],
)
def test_sweeps_are_read(text: str, sweep: Sweep) -> None:
    assert parse_sweep(text) == sweep


@pytest.mark.parametrize("text", ["", "a", "a=", "=1", "a=1,,2", "a=1,1", "a=" + "1,2," * 600])
def test_what_is_no_sweep(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected NAME=|has a value twice"):
        parse_sweep(text)


def test_the_policy_runs_with_its_host_block_and_baselines_without() -> None:
    text = b"policy p; host { thp.enabled = always; } thp { otherwise pass; }"
    source = PolicySource(text=text, file="p.thp", target=Target(), load=loads)
    asked: list[tuple[str, ...]] = []

    def workload(overrides: Sequence[str]) -> Workload:
        asked.append(tuple(overrides))
        return WORKLOAD

    jobs = jobs_of(
        Experiment(
            workload=workload,
            policy=source,
            plan=source.policy().plan,
            baselines=("never", "numab1"),
            sweeps=(Sweep("machine.swap", ("1G", "2G")),),
            seed=9,
        )
    )
    assert [(job.name, job.workload.machine.thp.enabled) for job in jobs] == [
        ("p", "always"),
        ("p", "always"),
        ("never", "never"),
        ("never", "never"),
        ("numab1", "madvise"),
        ("numab1", "madvise"),
    ]
    assert asked == [("machine.swap=1G",), ("machine.swap=2G",)]
    assert {job.workload.seed for job in jobs} == {9}
    assert [job.title for job in jobs[:2]] == ["p swap=1G", "p swap=2G"]


def test_titles_of_keys_that_end_alike_are_whole() -> None:
    jobs = jobs_of(
        Experiment(
            workload=lambda _: WORKLOAD,
            baselines=tuple(BASELINES),
            sweeps=(Sweep("a.max", ("1",)), Sweep("b.max", ("2",))),
        )
    )
    assert jobs[0].title == "never a.max=1 b.max=2"
    assert [job.baseline for job in jobs] == list(BASELINES)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, (409, 450, 450)), (470, (470, 470, 470)), (511, (511, 511, 511))],
)
def test_what_is_set_for_all_runs_is_stronger(limit: int | None, expected: tuple[int, ...]) -> None:
    """Than the host block of a policy, and than what a baseline brings along."""
    text = "policy p; host { khugepaged.max_ptes_none = 409; } thp { otherwise deny; }"
    source = PolicySource(text=text.encode(), file="p.thp", target=Target(), load=loads)

    def workload(_: Sequence[str]) -> Workload:
        khugepaged = replace(WORKLOAD.machine.khugepaged, max_ptes_none=limit or 450)
        return replace(WORKLOAD, machine=replace(WORKLOAD.machine, khugepaged=khugepaged))

    jobs = jobs_of(
        Experiment(
            workload=workload,
            policy=source,
            plan=source.policy().plan,
            baselines=("always", "always+shrinker"),
            overrides=(f"machine.khugepaged.max_ptes_none={limit}",) if limit else (),
        )
    )
    found = tuple(job.workload.machine.khugepaged.max_ptes_none for job in jobs)
    assert found == expected


def test_a_baseline_stays_what_it_is_named_after() -> None:
    asked = ("machine.thp.enabled=madvise", "machine.thp.sizes.64K=always")
    machine = replace(WORKLOAD.machine, thp=Thp(enabled="madvise", sizes={4: "always"}))
    given = replace(WORKLOAD, machine=machine)
    found = kept(given, applied(given, "never"), asked, baseline=True).machine.thp
    assert found.enabled == "never"
    assert found.sizes == {4: "always"}


def test_modes_of_numa_balancing_that_the_machine_is_in_are_no_baselines() -> None:
    fast, slow = Node(memory=MIB, cpus=1), Node(memory=MIB, tier=1)
    off = replace(WORKLOAD.machine, nodes=(fast,))
    assert numa_default(off) == ("numab1",)
    tiers = replace(off, nodes=(fast, slow), numa=replace(off.numa, balancing=2))
    assert numa_default(tiers) == ("numab0", "numab1")
