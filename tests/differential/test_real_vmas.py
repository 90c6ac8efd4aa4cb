"""The program in the kernel and the evaluator agree on the memory of real processes.

The hooks are not in this kernel; iterators over areas and tasks ask the program instead.
Recorded are the requests that it read itself, so that both see the same; whether it read
what is true, /proc and the processes tell.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest

from policyc.check import check_text
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.records import Record
from policyc.emit.uses import uses_of
from policyc.hooks.loader import attributes, profiles
from policyc.hooks.model import Profile
from policyc.kernel.cgroups import cgroup_id, mount_point
from policyc.kernel.errors import KernelToolMissing
from policyc.kernel.objects import load
from policyc.kernel.state import fill
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from tests.differential.lanes import kernel
from tests.emit.bpf_plans import random_plan, random_state
from tests.emit.test_bpf_kernel_readers import plan_with_everything
from tests.records.processes import Process, vmas_of
from tests.records.replay import Replay, Result
from tests.records.ring import recorded, records_of
from tests.records.truth import averages_of, count_of_list, status_of, wrong_about_area

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(bool(kernel.available()), reason=kernel.available() or "-"),
]

RING_SIZE = 64 << 20
PAGE = os.sysconf("SC_PAGESIZE")

#: Asks for each area of the watched processes, for every reason and several orders.
THP_ENTRY = """
struct bpf_iter_meta;
struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
} __attribute__((preserve_access_index));

SEC("iter/task_vma")
int probe(struct bpf_iter__task_vma *context)
{
	struct task_struct *task = context->task;
	struct vm_area_struct *vma = context->vma;

	if (!task || !vma || !watched(task->tgid))
		return 0;
	CALL(TVA_SMAPS, 0x3fe);
	CALL(TVA_PAGEFAULT, 0x200);
	CALL(TVA_PAGEFAULT, 0x1fe);
	CALL(TVA_KHUGEPAGED, 0x200);
	CALL(TVA_FORCED_COLLAPSE, 0x200);
	CALL(TVA_SWAP_PAGEFAULT, 0x1fc);
	return 0;
}
"""

TASK_ENTRY = """
struct bpf_iter_meta;
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

SEC("iter/task")
int probe(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;

	if (!task || !(watched(task->tgid) || !task->mm))
		return 0;
	CALL;
	return 0;
}
"""

CGROUP_OF = """
struct css_set___asked {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));

static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	return ((struct css_set___asked *)task->cgroups)->dfl_cgrp;
}
"""

#: How the C answers for an enumerator that the running kernel does not have.
LACKING = "(u64)bpf_core_enum_value(type, name) : ~0ULL)"

WATCHED = """
struct {
	__uint(type, 1);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u8);
} watched_processes SEC(".maps");

static __always_inline bool watched(u32 process)
{
	return bpf_map_lookup_elem(&watched_processes, &process) != (void *)0;
}
"""

VMA_TYPE = """
static __always_inline u32 vma_type_of(struct vm_area_struct *vma)
{
	if (vma->vm_flags & 0x20000000)
		return BPF_THP_VM_HUGEPAGE;
	return vma->vm_flags & 0x40000000 ? BPF_THP_VM_NOHUGEPAGE : BPF_THP_VM_NONE;
}
"""


def asked_by_iterator(text: str, profile: Profile) -> str:
    """A recording program, asked by an iterator instead of a hook."""
    section = f'SEC("struct_ops/{profile.member}")\n{profile.returns} BPF_PROG({profile.member}, '
    assert section in text
    head, marker, _ = text.partition('SEC(".struct_ops.link")')
    assert marker
    if LACKING in head:
        # The hooks' enumerations are not in this kernel either: their published numbers are.
        head = head.replace(LACKING, "(u64)bpf_core_enum_value(type, name) : (u64)name)")
    function = f"static __noinline {profile.returns} {profile.member}("
    head = head.replace(section, function)
    if profile.member == "thp_get_order":
        kind = "vma_type_of(vma), " if profile.name == "thp-v7" else ""
        call = f"#define CALL(event, orders) {profile.member}(vma, {kind}event, orders)\n"
        entry = VMA_TYPE + call + THP_ENTRY
    elif profile.member == "mthp_choose":
        call = "#define CALL mthp_choose(cgroup_of(task), 0x3fe)\n"
        entry = CGROUP_OF + call + TASK_ENTRY
    else:
        entry = "#define CALL numab_hook(task)\n" + TASK_ENTRY
    quiet = '#pragma clang diagnostic ignored "-Wunused-function"\n'
    return f"{quiet}#define RECORDS_SIZE {RING_SIZE}\n{head}{WATCHED}{entry}"


# -- the processes and their cgroups


class World:
    """Cgroups below one of our own, which the policies call by the rest of their path."""

    def __init__(self, root: Path, prefix: Path) -> None:
        self.root, self.prefix = root, prefix
        self.made: list[Path] = []

    def make(self, path: str) -> Path:
        """The directory of a cgroup as the policies call it, made with those above it."""
        directory = self.prefix
        for part in ("", *path.strip("/").split("/")):
            directory = directory / part if part else directory
            if not directory.exists():
                directory.mkdir()
                self.made.append(directory)
        return directory

    def id(self, path: str) -> int | None:
        """The id of a cgroup, None if it is not there."""
        return cgroup_id(self.root if path == "/" else self.prefix / path.strip("/"))

    def paths(self) -> dict[int, str]:
        """The paths of the cgroups by id, as the policies call them."""
        found = {self.root.stat().st_ino: "/"}
        for directory in self.made:
            name = directory.relative_to(self.prefix).as_posix()
            found[directory.stat().st_ino] = f"/{name}" if name != "." else "/"
        return found


@contextmanager
def cgroup_world() -> Iterator[World]:
    try:
        root = mount_point()
    except KernelToolMissing as error:
        pytest.skip(str(error))
    world = World(root, root / f"policyc-test-{os.getpid()}")
    try:
        world.make("/")
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {root}: {error}")
    try:
        yield world
    finally:
        for directory in reversed(world.made):
            directory.rmdir()


PLACES = ("/a", "/a/b", "/a/bc", "/a/b/c", "/" + "/".join("d" * 40))
NAMES = ("redis", "redis-server", "exactly15bytes!", "java", "nobody")

AREAS = (
    {"name": "plain", "size": 4 << 20, "touch": True},
    {"name": "hugepage", "size": 8 << 20, "advice": "hugepage"},
    {"name": "nohugepage", "size": 65536, "advice": "nohugepage", "touch": True},
    {"name": "odd", "size": 3 * 4096, "shift": 4096},
    {"name": "stack", "size": 1 << 20, "stack": True},
    {"name": "locked", "size": 65536, "locked": True},
    {"name": "exec", "size": 65536, "exec": True},
    {"name": "memfd", "size": 1 << 20, "kind": "memfd", "touch": True},
    {"name": "shared", "size": 1 << 20, "kind": "shared", "advice": "hugepage"},
)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[World, list[Process]]]:
    with cgroup_world() as cgroups, ExitStack() as stack:
        processes = [
            stack.enter_context(
                Process(comm=name, uid=1000 + place, cgroup=cgroups.make(path), areas=AREAS)
            )
            for place, (path, name) in enumerate(zip(PLACES, NAMES, strict=True))
        ]
        yield cgroups, processes


# -- asking


def ask(
    plan: n.Plan,
    profile: Profile,
    state: State,
    world: tuple[World, list[Process]],
    mistake: tuple[str, str] = ("", ""),
) -> tuple[Replay, list[Record]]:
    """Everything that the program decided in one round over the processes.

    `mistake` is text of the C and what stands in its place.
    """
    cgroups, processes = world
    (hook,) = plan.hooks
    text = asked_by_iterator(emit_bpf(plan, profile, record=True), profile)
    assert mistake[0] in text
    text = text.replace(*mistake) if mistake[0] else text
    with load(compile_object(text)) as loaded:
        fill(loaded, plan, state, cgroups.id)
        for process in processes:
            loaded.map("watched_processes").update(struct.pack("=I", process.pid), b"\1")
        loaded.iterate("probe")
        data, asked, dropped = recorded(loaded)
    replay = Replay(plan, hook, profile, state, cgroups.paths())
    found = list(replay.records(records_of(data)))
    assert len(found) + dropped == asked
    assert dropped == 0
    assert sorted(record.sequence for record in found) == list(range(asked))
    return replay, found


THP = [profiles()[name] for name in ("thp-v7", "thp-v9", "thp-v12", "mthp-v2")]
NUMA = profiles()["numab-rfc1"]


def plans_for(profile: Profile, count: int) -> Iterator[tuple[int, n.Plan]]:
    """Random plans that the profile can answer, with the seeds that they are made of."""
    seed = 0
    while count:
        seed += 1
        plan = random_plan(seed)
        if profile.answers(plan.hooks[0].hook) and plan.target == n.Target():
            used = uses_of(plan, plan.hooks[0]).attributes
            if all(profile.has(attributes()[name]) for name in used):
                count -= 1
                yield seed, plan


@pytest.mark.parametrize("profile", [*THP, NUMA], ids=lambda p: p.name)
def test_decisions_are_the_evaluators(profile: Profile, world: tuple[World, list[Process]]) -> None:
    result, outcomes = Result(), set[tuple[int, ...]]()
    # A task is asked about once, an area for several reasons.
    thp = profile.member == "thp_get_order"
    for seed, plan in plans_for(profile, 10 if thp else 40):
        state = random_state(Random(seed))
        replay, records = ask(plan, profile, state, world)
        replay.check(records, result)
        outcomes |= {(seed, record.raw, *(f or 0 for f in record.fired)) for record in records}
    assert result.wrong == []
    assert result.decisions > (5000 if thp else 300)
    assert result.changed * 100 < result.decisions
    assert len(outcomes) > 15, "the policies decide too much alike to find a mistake"


# -- the truth


def test_attributes_are_those_of_the_processes(world: tuple[World, list[Process]]) -> None:
    cgroups, processes = world
    profile = profiles()["thp-v12"]
    plan = plan_with_everything(profile)
    state = State({"names": frozenset(), "groups": frozenset()}, {})
    first = averages_of(Path("/proc/pressure"), "psi", "")
    replay, records = ask(plan, profile, state, world)
    second = averages_of(Path("/proc/pressure"), "psi", "")
    assert replay.check(records).wrong == []
    by_owner = {process.pid: process for process in processes}
    areas = {process.pid: {vma.start: vma for vma in vmas_of(process.pid)} for process in processes}
    kinds: set[object] = set()
    for record in records:
        process, values = by_owner[record.owner], record.before.values
        vma = areas[record.owner][record.start]
        assert wrong_about_area(values, vma) == []
        kinds.add((values["vma.kind"], values["vma.advice"], vma.stack, vma.locked, vma.exec))
        assert (values["task.pid"], values["task.uid"]) == (process.pid, process.report["uid"])
        assert values["task.comm"] == (process.comm or "").encode()
        assert replay.path(record.before.lineage) == process.report["cgroup"].removeprefix(
            f"/{cgroups.prefix.name}"
        )
        assert values["cgroup.depth"] == process.report["cgroup"].count("/")
        assert len(record.before.lineage) == min(32, 1 + process.report["cgroup"].count("/"))
        status = status_of(record.owner)
        assert values["mm.size"] == int(status["VmSize"].split()[0]) * 1024
        difference = abs(int(values["mm.rss"]) - int(status["VmRSS"].split()[0]) * 1024)
        assert difference <= 3 * 64 * (os.cpu_count() or 1) * PAGE
        for name in first:
            if name in values:
                low, high = sorted((first[name], second[name]))
                assert low <= int(values[name]) <= high, name
        nodes = Path("/sys/devices/system/node/online")
        online = nodes.read_text("ascii") if nodes.exists() else "0"
        assert values["node.count"] == count_of_list(online)
    assert len(kinds) >= len(AREAS)
    seen = {(record.owner, record.start) for record in records}
    assert {
        (pid, start) for pid, vmas in areas.items() for start in vmas if start < 1 << 63
    } <= seen


#: In the C: reading something else, and deciding something else.
WRONG_READERS = [
    ("#define VM_EXEC 0x4UL", "#define VM_EXEC 0x2UL"),
    ("vma->vm_end - vma->vm_start", "vma->vm_end - vma->vm_start + 1"),
    ("s_magic == TMPFS_MAGIC", "s_magic != TMPFS_MAGIC"),
]
WRONG_DECISIONS = [
    ("decision->orders & opinion->orders", "decision->orders | opinion->orders"),
    ("vma_size > 65536ULL", "vma_size >= 65536ULL"),
    ("? (int)highest_order", "? 1 + (int)highest_order"),
    ("return thp_answer(opinion, 0, 2)", "return thp_answer(opinion, 0, 1)"),
]

SEEDED = """
policy seeded;
thp {
    allow 16K..64K | pmd when vma.size > 64K;
    deny when vma.exec or vma.kind is shmem;
    otherwise pass;
}
thp for cgroup "/a" { otherwise allow 32K | pmd; }
"""


def seeded_plan() -> n.Plan:
    plan = check_text(SEEDED, "seeded.thp", profiles=["thp-v12"]).plan
    assert plan is not None
    return plan


@pytest.mark.parametrize("mistake", WRONG_READERS)
def test_the_truth_tells_a_wrong_reader(
    mistake: tuple[str, str], world: tuple[World, list[Process]]
) -> None:
    _, processes = world
    _, records = ask(
        plan_with_everything(profiles()["thp-v12"]),
        profiles()["thp-v12"],
        State({"names": frozenset(), "groups": frozenset()}, {}),
        world,
        mistake,
    )
    areas = {process.pid: {vma.start: vma for vma in vmas_of(process.pid)} for process in processes}
    assert any(wrong_about_area(r.before.values, areas[r.owner][r.start]) for r in records)


@pytest.mark.parametrize("mistake", [("", ""), *WRONG_DECISIONS])
def test_the_replay_tells_a_wrong_decision(
    mistake: tuple[str, str], world: tuple[World, list[Process]]
) -> None:
    plan, state = seeded_plan(), State({}, {})
    replay, records = ask(plan, profiles()["thp-v12"], state, world, mistake)
    assert bool(replay.check(records).wrong) == bool(mistake[0])
