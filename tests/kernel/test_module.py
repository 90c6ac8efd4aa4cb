"""The module for stock kernels as a module: loading, unloading, many instances, the switches."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from policyc.kernel.objects import load
from tests.kernel.guest import modules
from tests.kernel.guest.answers import answering, set_answer
from tests.kernel.guest.cgroups import Cgroups
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.waiting import wait_for
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import c_program
from tests.kernel.test_effects_numa import follows

THP = {s: c_program("answer_thp.bpf.c", THP=int(s[1:])) for s in modules.offered_signatures()}
MTHP = c_program("answer_mthp.bpf.c")
NUMAB = c_program("answer_numab.bpf.c")

NAMES = {"v12": "policyc_hooks", "v7": "policyc_hooks_v7", "v9": "policyc_hooks_v9"}
SIZE = 4 * MIB

FTRACE_ENABLED = Path("/proc/sys/kernel/ftrace_enabled")
NUMA_BALANCING = Path("/proc/sys/kernel/numa_balancing")


@pytest.fixture(autouse=True)
def _stock(lane: str) -> None:
    if lane != "stock":
        pytest.skip("the hooks of the patched kernel are not a module")


def references(signature: str) -> int:
    return int(Path("/sys/module", NAMES[signature], "refcnt").read_text("ascii"))


def removed(name: str) -> bool:
    """Unload a module, unless something holds it."""
    try:
        modules.remove(name)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EBUSY):
            raise
        return False
    return True


def test_it_tells_its_signature(signature: str) -> None:
    told = Path("/sys/module", NAMES[signature], "parameters/signature").read_text("ascii")
    assert told.strip() == signature[1:]


def test_only_one_can_be_loaded(signature: str) -> None:
    for other in NAMES:
        expected = "File exists" if other == signature else "busy"
        with pytest.raises(OSError, match=expected):
            modules.insert(modules.module_of(other))


def test_it_cannot_be_unloaded_under_a_policy(signature: str, cgroups: Cgroups) -> None:
    inside = cgroups.make("/in")
    for program, data, cgroup in (
        (THP[signature], None, None),
        (MTHP, None, inside),
        (NUMAB, {"cgroup_id": inside.id}, None),
    ):
        with answering(program, 0, data=data, cgroup=cgroup):
            assert references(signature) > 0
            assert not removed(NAMES[signature])
    # maps let go of the module when no CPU and no task can be in their programs any more
    wait_for(lambda: removed(NAMES[signature]), "the module to be free")


def test_it_is_loaded_and_unloaded_under_faults() -> None:
    with Workload() as workload:
        workload.send("churn", 2, 4 * MIB, 5.0)
        for _ in range(3):
            modules.use_signature("v12")
            with answering(THP["v12"], 0):
                time.sleep(0.1)
            wait_for(lambda: removed(NAMES["v12"]), "the module to be free")
        assert workload.receive()["pages"] > 0


def test_tracing_cannot_be_switched_off_under_it() -> None:
    with pytest.raises(OSError, match="busy"):
        FTRACE_ENABLED.write_text("0\n", "ascii")
    assert FTRACE_ENABLED.read_text("ascii").strip() == "1"


def test_the_numa_switch_is_the_users(thp: Thp, numa: Numa, cgroups: Cgroups) -> None:
    thp.mode("never")
    numa.scan()
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with answering(NUMAB, 1, data={"cgroup_id": inside.id}):
        for mode in (2, 3, 1, 0):
            numa.switch(mode)
            assert numa.mode() == mode
        with pytest.raises(OSError, match="Invalid"):
            NUMA_BALANCING.write_text("9\n", "ascii")
        assert numa.mode() == 0
        assert not follows(outside)
        assert follows(inside)
        numa.switch(2)
    assert numa.mode() == 2
    numa.switch(0)
    assert not follows(inside)


def test_many_instances(thp: Thp, numa: Numa, cgroups: Cgroups) -> None:
    numa.scan()
    places = [cgroups.make(f"/many{number}") for number in range(100)]
    with load(MTHP.object()) as loaded:
        set_answer(loaded, 0)
        links = [loaded.attach(place.directory) for place in places]
        with Workload(places[77]) as workload:
            assert workload.huge(workload.touched(SIZE)) == 0
        for link in links:
            link.detach()
    thp.mode("never")
    objects = [load(NUMAB.object(), data={"cgroup_id": place.id}) for place in places[:12]]
    for loaded in objects:
        set_answer(loaded, 1)
    links = [loaded.attach() for loaded in objects]
    assert follows(places[11])
    assert not follows(places[12])
    for link, loaded in zip(links, objects, strict=True):
        link.detach()
        loaded.close()
