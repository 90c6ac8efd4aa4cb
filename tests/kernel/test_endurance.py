"""Policies come and go two hundred times under load, and nothing is left of them."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from policyc.kernel.library import libbpf
from tests.kernel.guest import modules
from tests.kernel.guest.attached import loaded
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.waiting import wait_for
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import policy, thp_policy

CYCLES = 200
#: The objects are loaded anew after so many cycles.
RELOAD = 20
#: One object a cycle would be left of these many, at least.
MOST_OBJECTS = CYCLES - 50
MOST_MEMORY = 16 * MIB

THP = thp_policy('policy thp_cycles; thp { deny when cgroup under "/in"; otherwise pass; }')
MTHP = policy("policy mthp_cycles; thp { otherwise allow 64K; }", "mthp-v2")
NUMA = policy("policy numa_cycles; numa { otherwise balance; }", "numab-rfc1")


def bpf_ids() -> dict[str, set[int]]:
    """The ids of all programs, maps and links in the kernel."""
    found: dict[str, set[int]] = {}
    for kind in ("prog", "map", "link"):
        following = getattr(libbpf(), f"bpf_{kind}_get_next_id")
        number = ctypes.c_uint32(0)
        found[kind] = set()
        while following(number, ctypes.byref(number)) == 0:
            found[kind].add(number.value)
    return found


def newer_than(ids: dict[str, set[int]]) -> dict[str, set[int]]:
    """The programs, maps and links that came after these."""
    return {kind: now - ids[kind] for kind, now in bpf_ids().items() if now - ids[kind]}


@dataclass(frozen=True, slots=True)
class Cache:
    """The objects of a cache that are in use, and how many a slab holds."""

    used: int
    per_slab: int


def slabs() -> dict[str, Cache]:
    """The caches of the kernel, each as small as it was seen.

    Of a slab that a CPU allocates from, all objects count as used; it is one that comes and
    goes, so some looks are better than one.
    """
    found: dict[str, Cache] = {}
    for _ in range(5):
        shrink()
        for line in Path("/proc/slabinfo").read_text("ascii").splitlines()[2:]:
            name, used, _, _, per_slab, *_ = line.split()
            now = Cache(int(used), int(per_slab))
            found[name] = min(found.get(name, now), now, key=lambda cache: cache.used)
    return found


def grown(before: dict[str, Cache]) -> dict[str, int]:
    """By how many objects caches have grown, if by more than their noise."""
    none = Cache(0, 0)
    more = {name: (now, now.used - before.get(name, none).used) for name, now in slabs().items()}
    return {
        name: count
        for name, (now, count) in more.items()
        if count >= max(MOST_OBJECTS, now.per_slab)
    }


def memory() -> dict[str, int]:
    """Bytes that the kernel uses for itself."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    return {name: sizes[name] for name in ("SUnreclaim", "VmallocUsed", "Percpu")}


def settle() -> None:
    """Have the kernel free what it frees later."""
    for _ in range(2):
        Path("/proc/sys/vm/drop_caches").write_text("3\n", "ascii")
        time.sleep(0.5)


def shrink() -> None:
    """Have the kernel free what each CPU keeps of the caches."""
    for cache in Path("/sys/kernel/slab").glob("*/shrink"):
        if not cache.parent.is_symlink():
            cache.write_text("1\n", "ascii")


def check_nothing_left(act: Callable[[], None]) -> None:
    """Do something, after which the kernel has as much as before."""
    settle()
    ids, caches, used = bpf_ids(), slabs(), memory()
    act()
    wait_for(lambda: not newer_than(ids), "programs, maps and links to go")
    settle()
    left = grown(caches)
    if left:
        # What RCU and work queues free may take its time.
        time.sleep(5)
        settle()
        left = grown(caches)
    assert left == {}
    after = memory()
    assert {n: after[n] - used[n] for n in after if after[n] - used[n] >= MOST_MEMORY} == {}


def cycles(signature: str, cgroup: Cgroup, count: int) -> None:
    """Attach and detach one of each hook."""
    for _ in range(count // RELOAD):
        with (
            loaded(THP[signature]) as thp,
            loaded(MTHP) as mthp,
            loaded(NUMA, {"cgroup_id": cgroup.id}) as numa,
        ):
            for _ in range(RELOAD):
                links = thp.attach(), mthp.attach(cgroup.directory), numa.attach()
                for link in links:
                    link.detach()


def load(workloads: list[Workload], seconds: float) -> None:
    for workload in workloads:
        workload.send("churn", 1, MIB, seconds)


@pytest.fixture
def signature_here(lane: str) -> str:
    """The signature that the kernel has now."""
    return modules.hooks_loaded() or modules.offered_signatures()[0]


def test_policies_come_and_go(cgroups: Cgroups, signature_here: str) -> None:
    cgroup = cgroups.make("/in")

    def act(count: int = CYCLES) -> None:
        with ExitStack() as stack:
            workloads = [stack.enter_context(Workload(cgroup)) for _ in range(2)]
            for _ in range(count // RELOAD):
                load(workloads, 0.5)
                cycles(signature_here, cgroup, RELOAD)
                for workload in workloads:
                    assert workload.receive()["pages"] > 0

    act(2 * RELOAD)  # what is only made once
    check_nothing_left(act)
    for line in modules_lines():
        assert line.split()[2] == "0", line


def modules_lines() -> list[str]:
    """What /proc/modules says of the hooks."""
    path = Path("/proc/modules")
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [line for line in lines if line.startswith("policyc_hooks")]


@pytest.mark.slow
def test_the_module_comes_and_goes(cgroups: Cgroups, lane: str) -> None:
    if lane != "stock":
        pytest.skip("the hooks are built in")
    cgroup = cgroups.make("/in")
    signatures = modules.offered_signatures()

    def act(count: int = CYCLES) -> None:
        with ExitStack() as stack:
            workloads = [stack.enter_context(Workload(cgroup)) for _ in range(2)]
            for number in range(count):
                if number % 10 == 0:
                    load(workloads, 0.5)
                modules.use_signature(None)
                assert modules_lines() == []
                modules.use_signature(signatures[number % len(signatures)])
                if number % 10 == 9:
                    for workload in workloads:
                        assert workload.receive()["pages"] > 0

    act(10)
    check_nothing_left(act)
