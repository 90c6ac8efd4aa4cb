"""What a policy is asked in the model, and what becomes of its answer."""

from __future__ import annotations

import pytest

from policyc.simulate.model.allowed import allowed_orders, fitting_orders, sysfs_orders
from policyc.simulate.model.build import build_host, start_process
from policyc.simulate.model.hook import Hook, PolicyHook, thp_request
from policyc.simulate.model.host import Host
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import GIB, MIB, SECOND
from tests.simulate.machines import HEAP, hook, machine, process, small_host, workload

PMD = 1 << 9


def host_with(policy: Hook, on: spec.Machine | None = None, **limits: int) -> Host:
    what = spec.Process(
        name="a-process-with-a-long-name",
        cgroup="/kubepods/java",
        uid=7,
        vmas=(spec.Vma(name=HEAP, size=64 * MIB, advice="hugepage"),),
    )
    cgroup = spec.Cgroup(path="/kubepods/java", **limits)
    host = build_host(workload(on or machine(), what, cgroups=(cgroup,)), policy)
    start_process(host, what, what.name)
    return host


def test_a_request_has_the_attributes_of_the_process() -> None:
    host = host_with(Hook(), memory_max=3 * MIB)
    (area,) = host.areas()
    host.cgroups["/kubepods/java"].usage = 5
    request = thp_request(host, area, "khugepaged", PMD)
    assert request.task_comm == b"a-process-with-"  # 15 bytes, as comm has
    assert (request.task_uid, request.cgroup, request.cgroup_depth) == (7, "/kubepods/java", 2)
    assert (request.memory_usage, request.memory_max) == (5 * 4096, 3 * MIB)
    assert (request.vma_size, request.vma_advice, request.event) == (
        64 * MIB,
        "hugepage",
        "khugepaged",
    )
    assert request.node_count == 1
    assert request.cgroup_psi_memory_full_avg10 == 0


def test_no_limit_is_what_the_kernel_has_there() -> None:
    host = host_with(Hook())
    (area,) = host.areas()
    assert thp_request(host, area, "pagefault", PMD).memory_max == 0x7FFFFFFFFFFFF000


def test_pressure_changes_the_answer_in_the_next_tick() -> None:
    policy = hook(
        "policy p; thp { deny when cgroup.psi.memory.some.avg10 > 5%; otherwise allow all; }"
    )
    host = host_with(policy)
    (area,) = host.areas()
    assert allowed_orders(host, area, "pagefault", PMD) == PMD
    pressure = host.cgroups["/kubepods/java"].pressure
    pressure.add(SECOND, SECOND)
    pressure.advance(3 * SECOND)
    assert pressure.percent("some", "avg10") > 500
    host.hook.forget()
    assert allowed_orders(host, area, "pagefault", PMD) == 0


def test_decisions_are_counted_by_rule_and_by_what_became_of_them() -> None:
    policy = hook("policy p; thp { allow 64K when orders != 2M; otherwise deny; }", "mthp-v2")
    host = host_with(policy, machine("always", sizes={4: "always", 3: "always"}))
    (area,) = host.areas()
    assert allowed_orders(host, area, "pagefault", PMD - 1, 10) == 1 << 4
    assert allowed_orders(host, area, "pagefault", PMD, 3) == 0
    assert dict(policy.decided) == {("thp", 0): 10, ("thp", 1): 3}
    assert dict(policy.outcomes) == {"narrowed": 10, "denied": 3}


def test_sysfs_and_the_mapping_narrow_what_a_policy_allows() -> None:
    policy = hook("policy p; thp { otherwise allow all; }")
    host = host_with(policy, machine("madvise"))
    (area,) = host.areas()
    assert allowed_orders(host, area, "khugepaged", 2 * PMD - 1) == PMD
    # MADV_COLLAPSE does not look at sysfs
    assert allowed_orders(host, area, "forced_collapse", 2 * PMD - 1) == 2 * PMD - 4


def test_a_policy_that_is_detached_is_not_asked() -> None:
    policy = hook("policy p; thp { otherwise deny; }")
    host = host_with(policy)
    (area,) = host.areas()
    policy.active = False
    assert allowed_orders(host, area, "pagefault", PMD) == PMD
    assert not policy.decided


def test_orders_that_fit() -> None:
    _, state = small_host(None, process(size=7 * 4096, misalign=4096))
    # pages 1 to 7: one at 4 to 7, pairs at 2, 4, 6
    assert fitting_orders(state.areas[HEAP]) == 0b111


@pytest.mark.parametrize(
    ("enabled", "sizes", "advice", "expected"),
    [
        ("always", {}, "none", {9}),
        ("always", {4: "inherit"}, "none", {4, 9}),
        ("madvise", {4: "inherit", 3: "always"}, "none", {3}),
        ("madvise", {4: "inherit", 3: "always"}, "hugepage", {3, 4, 9}),
        ("never", {4: "madvise", 9: "never"}, "hugepage", {4}),
        ("always", {1: "always", 0: "always"}, "none", {9}),
    ],
)
def test_sysfs(enabled: str, sizes: dict[int, str], advice: str, expected: set[int]) -> None:
    host, state = small_host(machine(enabled, sizes=sizes), process(advice=advice))
    assert sysfs_orders(host, state.areas[HEAP]) == sum(1 << order for order in expected)


NUMA = """
policy p;
numa { otherwise off; }
numa for cgroup "/kubepods" { balance when task.uid == 7; otherwise off; hot_threshold = 200ms; }
"""


@pytest.mark.parametrize(
    ("hierarchy", "on"), [("walk", True), ("propagate", True), ("leaf", False)]
)
def test_the_hierarchy_of_numa_instances(hierarchy: str, on: bool) -> None:
    """A program is attached to /kubepods; the task is in /kubepods/java."""
    policy = PolicyHook(hook(NUMA).policy, "numab-rfc1")
    numa = spec.NumaBalancing(hierarchy=hierarchy)
    nodes = (spec.Node(memory=GIB, cpus=1), spec.Node(memory=GIB, cpus=1))
    host = host_with(policy, spec.Machine(nodes=nodes, numa=numa))
    (process,) = host.living()
    answer = host.hook.numa(host, process)
    assert answer.on is on
    assert answer.hot_threshold == (SECOND // 5 if on else None)
