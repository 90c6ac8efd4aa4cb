"""A policy reads what is true: of processes, their areas and cgroups, and of the machine.

A policy that mentions every attribute records them; what they should be, the processes
themselves and the files of the kernel tell.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from policyc.emit.records import Record
from policyc.plan.nodes import ConstValue
from tests.kernel.deciding import PROBES
from tests.kernel.guest.cgroups import ROOT, Cgroup, Cgroups
from tests.kernel.guest.modules import hooks_loaded
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.recording import Recording, recording
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.waiting import wait_for
from tests.kernel.guest.workload import MIB, Workload
from tests.records.processes import Process, Vma, vmas_of
from tests.records.replay import Replay
from tests.records.truth import averages_of, count_of_list, status_of, wrong_about_area

PAGE = 4096

#: The three counters of mm.rss lag behind by up to 32 pages on each CPU (percpu_counter_batch).
RSS_LAG = 3 * 32 * (os.cpu_count() or 1) * PAGE

#: A file system that is in memory but no tmpfs.
RAMFS = Path("/tmp/ramfs")

AREAS = (
    {"name": "plain", "size": 1 << 20, "touch": True},
    {"name": "hugepage", "size": 8 << 20, "advice": "hugepage"},
    {"name": "nohugepage", "size": 65536, "advice": "nohugepage", "touch": True},
    {"name": "odd", "size": 3 * PAGE, "shift": PAGE},
    {"name": "stack", "size": 1 << 20, "stack": True},
    {"name": "locked", "size": 65536, "locked": True},
    {"name": "exec", "size": 65536, "exec": True},
    {"name": "memfd", "size": 1 << 20, "kind": "memfd", "touch": True},
    {"name": "shared", "size": 1 << 20, "kind": "shared", "advice": "hugepage"},
    {"name": "file", "size": 65536, "kind": "file", "path": f"{RAMFS}/file", "touch": True},
    {"name": "private", "size": 65536, "kind": "private", "path": f"{RAMFS}/file"},
)

#: What the areas are, of which madvise(2) said something; the others are anonymous.
KINDS = {"memfd": "shmem", "shared": "shmem", "file": "file", "private": "file"}
ADVICE = {"hugepage": "hugepage", "shared": "hugepage", "nohugepage": "nohugepage"}


@pytest.fixture(scope="module", autouse=True)
def ramfs() -> Generator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    RAMFS.mkdir(exist_ok=True)
    assert libc.mount(b"ramfs", bytes(RAMFS), b"ramfs", ctypes.c_ulong(0), None) == 0
    yield
    assert libc.umount(bytes(RAMFS)) == 0


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Generator[Recording]:
    """The recording policy for areas, attached: of the test's signature, or any."""
    signature = hooks_loaded() or os.environ["POLICYC_THP"]
    if "signature" in request.fixturenames:
        signature = request.getfixturevalue("signature")
    with recording(PROBES[f"thp-{signature}"]) as found:
        yield found


def look(pid: int) -> None:
    """Have the kernel ask about each area of a process."""
    Path(f"/proc/{pid}/smaps").read_bytes()


def of(records: Iterable[Record], pid: int) -> list[Record]:
    """The decisions about a process's memory."""
    return [record for record in records if record.owner == pid]


def looked(probe: Recording, pid: int) -> list[Record]:
    """What is decided when the kernel is asked now about each area of a process."""
    probe.discard()
    look(pid)
    found = [r for r in of(probe.take(), pid) if r.current == os.getpid()]
    assert found
    return found


def number(values: Mapping[str, ConstValue], name: str) -> int:
    """The value of a numeric attribute."""
    found = values[name]
    assert isinstance(found, int)
    return found


def psi(cgroup: Cgroup | None) -> dict[str, int]:
    directory = Path("/proc/pressure") if cgroup is None else cgroup.directory
    prefix = "psi" if cgroup is None else "cgroup.psi"
    return averages_of(directory, prefix, "" if cgroup is None else ".pressure")


def check_averages(
    values: Mapping[str, ConstValue], first: Mapping[str, int], second: Mapping[str, int]
) -> None:
    """Averages are between those that the files told before and after."""
    for name in first:
        low, high = sorted((first[name], second[name]))
        assert low <= number(values, name) <= high, name


def bytes_of(text: str) -> int | None:
    """What memory.max says; None for no limit."""
    return None if text == "max" else int(text)


def test_attributes_of_processes(signature: str, probe: Recording, cgroups: Cgroups) -> None:
    limited = cgroups.make("/probe/limited")
    deep = cgroups.make("/probe/a/b/c/d")
    plain = cgroups.make("/" + "/".join(["deep"] * 34), memory=False)
    limited.write("memory.max", 512 << 20)
    with (
        Process(comm="limited", uid=1001, cgroup=limited.directory, areas=AREAS) as one,
        Process(comm="exactly15bytes!", cgroup=deep.directory, areas=AREAS) as two,
        Process(comm="", uid=65534, cgroup=plain.directory, areas=AREAS) as three,
    ):
        for process, cgroup in ((one, limited), (two, deep), (three, plain)):
            check_process(probe, process, cgroup)
        first = psi(None)
        record = looked(probe, one.pid)[0]
        check_averages(record.before.values, first, psi(None))


def check_process(probe: Recording, process: Process, cgroup: Cgroup) -> None:
    areas = {vma.start: vma for vma in vmas_of(process.pid)}
    status = status_of(process.pid)
    memory, pressure = memory_of(cgroup), psi(cgroup)
    records = looked(probe, process.pid)
    replay, after = probe.replay(), psi(cgroup)
    assert memory_of(cgroup) == memory
    assert {record.start for record in records} == {a for a in areas if a < 1 << 63}
    for record in records:
        values = record.before.values
        assert wrong_about_area(values, areas[record.start]) == []
        assert values["event"] == "smaps"
        assert (values["task.pid"], values["task.uid"]) == (process.pid, process.report["uid"])
        assert values["task.comm"] == (process.comm or "").encode()
        check_cgroup(replay, record, cgroup, memory)
        assert values["mm.size"] == int(status["VmSize"].split()[0]) * 1024
        rss = int(status["VmRSS"].split()[0]) * 1024
        assert abs(number(values, "mm.rss") - rss) <= RSS_LAG
        check_averages(values, pressure, after)
        assert values["node.count"] == count_of_list(online_nodes())
        assert values["node.id"] == node_of(record.cpu)
    check_own_areas(process, {vma.start: vma for vma in areas.values()}, records)


def memory_of(cgroup: Cgroup) -> tuple[int, int | None] | None:
    """What is charged and the limit of the memory cgroup that it belongs to; None at the root."""
    directory = cgroup.directory
    while not (directory / "memory.current").exists():
        if directory == ROOT:
            return None
        directory = directory.parent
    current = int((directory / "memory.current").read_text("ascii"))
    return current, bytes_of((directory / "memory.max").read_text("ascii").strip())


def check_cgroup(
    replay: Replay, record: Record, cgroup: Cgroup, memory: tuple[int, int | None] | None
) -> None:
    values, depth = record.before.values, cgroup.path.count("/")
    assert record.before.lineage[0] == cgroup.id
    assert replay.path(record.before.lineage) == cgroup.path
    assert values["cgroup.depth"] == depth
    assert len(record.before.lineage) == min(32, depth + 1)
    if memory is None:
        return
    usage, most = memory
    assert values["memory.usage"] == usage
    assert values["memory.max"] == (most if most is not None else (1 << 63) - PAGE)


def check_own_areas(process: Process, areas: dict[int, Vma], records: list[Record]) -> None:
    """What the process itself says that it mapped."""
    by_start = {record.start: record.before.values for record in records}
    for area in AREAS:
        start, end = process.area(str(area["name"]))
        values = by_start[start]
        assert values["vma.size"] == end - start == areas[start].end - start
        assert values["vma.kind"] == KINDS.get(str(area["name"]), "anon")
        assert values["vma.advice"] == ADVICE.get(str(area["name"]), "none")
        for name in ("stack", "locked", "exec"):
            assert values[f"vma.{name}"] is bool(area.get(name)), (area["name"], name)


def online_nodes() -> str:
    return Path("/sys/devices/system/node/online").read_text("ascii")


def node_of(cpu: int) -> int:
    (link,) = Path(f"/sys/devices/system/cpu/cpu{cpu}").glob("node*")
    return int(link.name.removeprefix("node"))


@pytest.mark.usefixtures("swapping")
def test_events_and_orders(
    signature: str, probe: Recording, thp: Thp, cgroups: Cgroups, lane: str
) -> None:
    """Why and for which orders the kernel asks is what was done to the memory."""
    for order in (2, 4):
        thp.size(order, "always")
    with Workload(cgroups.make("/in")) as workload:
        region = workload.map(4 * MIB)
        probe.discard()

        def asked(do: object, *arguments: Any) -> list[tuple[str, int]]:
            assert callable(do)
            do(*arguments)
            found = [r for r in probe.take() if r.owner == workload.pid and r.start == region.start]
            return [
                (str(r.before.values["event"]), number(r.before.values, "orders")) for r in found
            ]

        faults = asked(workload.touch, region)
        workload.advise(region, "dontneed")
        thp.size(9, "never")
        small = asked(workload.touch, region)
        thp.size(9, "inherit")
        collapse = asked(workload.advise, region, "collapse")
        smaps = asked(workload.smaps, region)
        workload.advise(region, "pageout")
        wait_for(lambda: workload.smaps(region)["Swap"] > 0, "swap-out")
        probe.discard()
        swap_in = asked(workload.read, region)
    # A fault may also ask for khugepaged, whether that shall look at the process.
    assert [item for item in faults if item[0] != "khugepaged"] == [("pagefault", 1 << 9)] * 2
    assert set(faults) <= {("pagefault", 1 << 9), ("khugepaged", 1 << 9)}
    assert ("pagefault", (1 << 9) - 1) in small
    assert ("forced_collapse", 1 << 9) in collapse
    assert set(collapse) <= {("forced_collapse", 1 << 9), ("khugepaged", 1 << 9)}
    assert {event for event, _ in smaps} == {"smaps"}
    assert all(orders & 1 << 9 for _, orders in smaps)
    if lane == "patched":
        assert "swap_pagefault" in {event for event, _ in swap_in}


def test_khugepaged_asks_for_the_owner(probe: Recording, thp: Thp, cgroups: Cgroups) -> None:
    """khugepaged is who asks, but the memory and its attributes are the process's."""
    inside = cgroups.make("/in")
    thp.size(4, "always")
    with Workload(inside, "collapsed") as workload:
        region = workload.map(4 * MIB, offset=2 * MIB - 65536)
        workload.touch(region)
        probe.discard()
        thp.wake_khugepaged()
        found: list[Record] = []
        wait_for(lambda: found.extend(khugepaged_in(probe, workload)) or found, "khugepaged")
        thp.khugepaged(scan_sleep_millisecs=3_600_000)
    for record in found:
        assert record.current != workload.pid
        assert record.before.values["task.comm"] == b"collapsed"
        assert record.before.values["orders"] == 1 << 9
        assert record.before.lineage[0] == inside.id


def khugepaged_in(probe: Recording, workload: Workload) -> list[Record]:
    events = of(probe.take(), workload.pid)
    return [record for record in events if record.before.values["event"] == "khugepaged"]


def test_what_changes_is_seen_at_once(probe: Recording, cgroups: Cgroups) -> None:
    """The name, the cgroup, the limit and the sizes are those of the moment."""
    first, second = cgroups.make("/first"), cgroups.make("/second")
    with Process(comm="before", cgroup=first.directory, areas=AREAS) as process:
        before = looked(probe, process.pid)[0].before
        process.do("name", "after")
        second.add(process.pid)
        second.write("memory.max", 64 << 20)
        process.do("touch", "hugepage")
        after = looked(probe, process.pid)[0].before
    assert (before.values["task.comm"], after.values["task.comm"]) == (b"before", b"after")
    assert (before.lineage[0], after.lineage[0]) == (first.id, second.id)
    assert number(before.values, "memory.max") == (1 << 63) - PAGE
    assert number(after.values, "memory.max") == 64 << 20
    grown = number(after.values, "mm.rss") - number(before.values, "mm.rss")
    assert grown >= (8 << 20) - RSS_LAG


def test_memory_without_an_owner(probe: Recording, thp: Thp) -> None:
    """A process ends while somebody reads its smaps: its memory is there, its owner is not."""
    thp.size(9, "never")
    for attempt in range(8):
        with Workload() as workload:
            thp.mode("never")  # so that nobody is asked about all these pages
            workload.touched(128 * MIB)
            thp.mode("always")
            start = time.monotonic()
            look(workload.pid)
            duration = time.monotonic() - start
            probe.discard()
            reader = threading.Thread(target=read_until_gone, args=(workload.pid,))
            reader.start()
            time.sleep(duration * (attempt + 1) / 9)
            os.kill(workload.pid, signal.SIGKILL)
            reader.join()
            # The gate VMA at the end of a look that was not cut short has not even an mm.
            ownerless = [
                record
                for record in probe.take()
                if not record.owner and "mm.size" in record.before.values
            ]
        if ownerless:
            break
    else:
        pytest.skip("no process ended in the middle of a look at its memory")
    for record in ownerless:
        values = record.before.values
        assert not values.keys() & {"task.pid", "task.uid", "task.comm", "cgroup.depth"}
        assert not values.keys() & {"memory.usage", "memory.max"}
        assert record.before.lineage == ()
        assert number(values, "mm.size") >= number(values, "vma.size") > 0
    assert probe.replay().check(ownerless).wrong == []


def read_until_gone(pid: int) -> None:
    try:
        look(pid)
    except (FileNotFoundError, ProcessLookupError):
        return


def test_a_process_that_outlives_its_cgroups_directory(probe: Recording, cgroups: Cgroups) -> None:
    """Moved out, it is judged by where it is; the ids of removed cgroups are not seen again."""
    gone = cgroups.make("/gone")
    with Process(comm="moved", cgroup=gone.directory, areas=AREAS) as process:
        old = gone.id
        Cgroup(ROOT).add(process.pid)
        gone.directory.rmdir()
        cgroups.make("/gone/again")
        records = looked(probe, process.pid)
        assert {record.before.lineage for record in records} == {(Cgroup(ROOT).id,)}
        assert all(record.before.values["cgroup.depth"] == 0 for record in records)
        assert not any(name.startswith("cgroup.psi") for name in records[0].before.values)
    assert old not in probe.paths or probe.paths[old] == "/gone"


def test_pressure_that_is_real(probe: Recording, cgroups: Cgroups) -> None:
    """A cgroup that stalls at memory.high has the averages that memory.pressure tells."""
    squeezed = cgroups.make("/squeezed")
    squeezed.write("memory.high", 8 << 20)
    with Workload(squeezed) as workload:
        workload.send("churn", 2, 16 * MIB, 6)
        time.sleep(5)
        first = psi(squeezed), psi(None)
        records = looked(probe, workload.pid)
        second = psi(squeezed), psi(None)
        workload.receive()
    assert number(records[0].before.values, "cgroup.psi.memory.some.avg10") > 0
    for own, of_all in zip(first, second, strict=True):
        check_averages(records[0].before.values, own, of_all)


def test_attributes_of_tasks(cgroups: Cgroups, numa: Numa, thp: Thp) -> None:
    """The hook for NUMA balancing is asked about a task, not about memory."""
    thp.mode("never")
    numa.scan(minimum_ms=10, maximum_ms=20, delay_ms=10)
    inside = cgroups.make("/in")
    inside.write("memory.max", 256 << 20)
    with (
        recording(PROBES["numab-rfc1"], data={"cgroup_id": inside.id}) as probe,
        Process(comm="balanced", uid=1003, cgroup=inside.directory, areas=AREAS) as process,
    ):
        found: list[Record] = []
        probe.discard()

        def asked() -> list[Record]:
            process.do("spin", 200)
            found.extend(of(probe.take(), process.pid))
            return found

        wait_for(asked, "the hook to be asked")
        status = status_of(process.pid)
    for record in found:
        values = record.before.values
        assert (values["task.pid"], values["task.uid"]) == (process.pid, 1003)
        assert values["task.comm"] == b"balanced"
        assert record.before.lineage == (inside.id, Cgroup(ROOT).id)
        assert values["memory.max"] == 256 << 20
        assert values["node.count"] == count_of_list(online_nodes())
        assert values["node.id"] == node_of(record.cpu)
        assert values["mm.size"] == int(status["VmSize"].split()[0]) * 1024


def test_attributes_of_cgroups(cgroups: Cgroups, thp: Thp) -> None:
    """mthp is asked about the cgroup of whoever faults, below the one that it is attached to."""
    above, inside = cgroups.make("/above"), cgroups.make("/above/inside")
    with recording(PROBES["mthp-v2"], cgroup=above) as probe, Workload(inside) as workload:
        inside.write("memory.max", 128 << 20)
        probe.discard()
        workload.touched(4 * MIB)
        records = probe.take()
    assert records
    for record in records:
        values = record.before.values
        assert record.before.lineage == (inside.id, above.id, Cgroup(ROOT).id)
        assert values["cgroup.depth"] == 2
        assert values["memory.max"] == 128 << 20
        assert 0 < number(values, "memory.usage") <= 128 << 20
