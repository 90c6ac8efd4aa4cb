"""The readers of kernel objects are taken by the verifier of the running kernel.

The hooks are not in this kernel, so the decision of each profile is put into a program
of a type that is: an iterator over areas for thp, a raw tracepoint with a task for numa.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.hooks.loader import attributes, profiles
from policyc.hooks.model import AttributeRow, Profile
from policyc.kernel.objects import load
from policyc.plan import nodes as n
from policyc.plan.types import CGROUP, ORDERS, PERCENT, STRING, Kind
from tests.differential.lanes import kernel
from tests.emit.bpf_plans import random_plan

pytestmark = pytest.mark.skipif(bool(kernel.available()), reason=kernel.available() or "-")

CGROUP_ATTRIBUTE = n.Attribute(CGROUP, "cgroup")

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
	struct thp_request request = {};
	struct vm_area_struct *vma = context->vma;

	if (!vma)
		return 0;
	thp_fill(&request, vma, BPF_THP_VM_NONE, TVA_PAGEFAULT, 0x3fe);
	count_rule(thp_decide(&request, (void *)0).orders ? 1 : 2);
	return 0;
}
"""

MTHP_ENTRY = """
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(probe, struct cgroup *cgroup, const char *path)
{
	struct thp_request request = {};

	thp_fill(&request, cgroup, 0x3fe);
	count_rule(thp_decide(&request, (void *)0).orders ? 1 : 2);
	return 0;
}
"""

NUMA_ENTRY = """
SEC("tp_btf/task_newtask")
int BPF_PROG(probe, struct task_struct *task, u64 flags)
{
	struct numa_request request = {};

	numa_fill(&request, task);
	count_rule(numa_decide(&request, (void *)0).on ? 1 : 2);
	return 0;
}
"""

ENTRIES = {"thp": THP_ENTRY, "mthp": MTHP_ENTRY, "numab": NUMA_ENTRY}


def condition(row: AttributeRow) -> n.Expr:
    """A condition that needs the value and that most requests do not fulfil."""
    value = n.Attribute(row.type, row.name)
    match row.type.kind:
        case Kind.BOOL:
            return value
        case Kind.CGROUP:
            return n.IsPath(value, 0)
        case Kind.STRING:
            return n.And(
                (
                    n.Compare(n.CompareOperator.EQUAL, value, n.Const(STRING, b"nobody")),
                    n.InSet(value, "names"),
                )
            )
        case Kind.ENUM:
            last = {"event": "swap_pagefault", "advice": "nohugepage", "vma_kind": "file"}[
                row.type.enum
            ]
            return n.Compare(n.CompareOperator.EQUAL, value, n.Const(row.type, last))
        case Kind.ORDERS:
            return n.Compare(n.CompareOperator.EQUAL, value, n.Const(ORDERS, 1 << 40))
        case _:
            return n.Compare(n.CompareOperator.EQUAL, value, n.Const(row.type, 12345678901))


def plan_with_everything(profile: Profile) -> n.Plan:
    name = n.HookName(profile.hook)
    rows = [r for r in attributes().values() if name in r.hooks and profile.has(r)]
    answer: n.Action = (
        n.Allow(n.Const(ORDERS, 0x210)) if name is n.HookName.THP else n.Balance(True)
    )
    conditions = [condition(row) for row in rows]
    conditions += [n.UnderSet(CGROUP_ATTRIBUTE, "groups"), n.UnderPath(CGROUP_ATTRIBUTE, 1)]
    rules = [n.Rule(i, c, answer, "", i, "rule") for i, c in enumerate(conditions)]
    rules.append(n.Rule(len(rules), None, n.Pass(), "", 0, "otherwise"))
    scoped = (n.Rule(len(rules), None, answer, "", 0, "otherwise"),)
    blocks = (
        n.Block(0, None, 0, None, tuple(rules), None, 1),
        n.Block(1, 1, 1, n.Const(PERCENT, 5000), scoped, None, 1),
    )
    hook = n.HookPlan(name, n.Combine.MEET, blocks)
    sets = (n.SetDefinition("names", STRING, (), 1), n.SetDefinition("groups", CGROUP, (), 1))
    thp, numa = (hook, None) if name is n.HookName.THP else (None, hook)
    return n.Plan("all", "all.thp", n.Target(), ("/", "/x"), sets, (), (), thp, numa, ())


def with_entry(text: str, entry: str) -> str:
    """The text with another program instead of the hook's."""
    head, marker, _ = text.partition("/* The programs that the kernel runs. */")
    assert marker
    # What only the hook itself calls is not needed here.
    return f"""#pragma clang diagnostic ignored "-Wunused-function"\n{head}{entry}"""


HOOK_PROFILES = [p for p in profiles().values() if p.attachment != "test-run"]


@pytest.mark.parametrize("profile", HOOK_PROFILES, ids=lambda p: p.name)
def test_verifier_takes_every_reader(profile: Profile) -> None:
    text = emit_bpf(plan_with_everything(profile), profile)
    compile_object(text)
    entry = ENTRIES[profile.template.split(".")[0]]
    with load(compile_object(with_entry(text, entry))) as loaded:
        assert loaded.program_descriptor("probe") >= 0


def plan_with_a_table(profile: Profile, count: int) -> n.Plan:
    """A rule for each of many cgroups; some pass."""
    name = n.HookName(profile.hook)
    thp = name is n.HookName.THP
    answers = (n.Allow(n.Const(ORDERS, 0x210)), n.Pass()) if thp else (n.Balance(True), n.Pass())
    rules = [
        n.Rule(i, n.UnderPath(CGROUP_ATTRIBUTE, i), answers[i % 3 == 1], "", i, "rule")
        for i in range(count)
    ]
    rules.append(n.Rule(count, None, n.Pass(), "", 0, "otherwise"))
    hook = n.HookPlan(name, n.Combine.MEET, (n.Block(0, None, 0, None, tuple(rules), None, 1),))
    paths = tuple(f"/{i}" for i in range(count))
    only = (hook, None) if thp else (None, hook)
    return n.Plan("table", "table.thp", n.Target(), paths, (), (), (), *only, ())


@pytest.mark.parametrize("profile", HOOK_PROFILES, ids=lambda p: p.name)
def test_verifier_takes_large_tables_at_a_fixed_price(profile: Profile) -> None:
    entry = ENTRIES[profile.template.split(".")[0]]
    prices: set[int] = set()
    for count in (100, 10_000):
        text = emit_bpf(plan_with_a_table(profile, count), profile)
        compile_object(text)
        with load(compile_object(with_entry(text, entry))) as loaded:
            prices.update(program.verified_instructions for program in loaded.programs)
    assert len(prices) == 1
    assert max(prices) < 250


@pytest.mark.parametrize("profile", HOOK_PROFILES, ids=lambda p: p.name)
@pytest.mark.parametrize("name", list(attributes()))
def test_each_attribute_alone_compiles(profile: Profile, name: str) -> None:
    """A missing type or function would be hidden by the others in the policy with everything."""
    row = attributes()[name]
    if profile.hook not in row.hooks or not profile.has(row):
        pytest.skip(f"{profile.name} has no {name}")
    everything = plan_with_everything(profile)
    (hook,) = everything.hooks
    answer = hook.blocks[0].rules[0].action
    rules = (
        n.Rule(0, condition(row), answer, "", 1, "rule"),
        n.Rule(1, None, n.Pass(), "", 2, "otherwise"),
    )
    only = n.HookPlan(hook.hook, hook.combine, (n.Block(0, None, 0, None, rules, None, 1),))
    thp, numa = (only, None) if everything.thp else (None, only)
    plan = n.Plan("one", "one.thp", n.Target(), ("/",), everything.sets, (), (), thp, numa, ())
    compile_object(emit_bpf(plan, profile, counters=False))


VALUES_ENTRY = THP_ENTRY.replace(
    "count_rule(thp_decide(&request, (void *)0).orders ? 1 : 2);",
    """struct task_struct *task = context->task;

	if (!task || task->tgid != OWN_PID)
		return 0;
	{
		struct comm comm = {};
		u32 key = 0;
		struct seen *total = bpf_map_lookup_elem(&seen, &key);

		if (!total)
			return 0;
		if (thp_read_vma_exec(&request))
			total->exec += 1;
		if (thp_read_vma_kind(&request) == VMA_KIND_ANON)
			total->anon += 1;
		total->areas += 1;
		total->size += thp_read_vma_size(&request);
		thp_read_mm_rss(&request, &total->rss);
		thp_read_mm_size(&request, &total->mm_size);
		thp_read_task_pid(&request, &total->pid);
		thp_read_task_uid(&request, &total->uid);
		thp_read_task_comm(&request, &comm);
		thp_read_cgroup(&request, &total->cgroup);
		thp_read_cgroup_depth(&request, &total->depth);
		thp_read_memory_usage(&request, &total->usage);
		thp_read_memory_max(&request, &total->max);
		total->comm = comm;
	}""",
)

SEEN = """
struct seen {
	u64 areas, size, exec, anon, rss, mm_size, pid, uid, cgroup, depth, usage, max;
	struct comm comm;
};
struct {
	__uint(type, 2);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct seen);
} seen SEC(".maps");
"""


def test_values_are_those_of_this_process() -> None:
    """Reads this very process through the iterator and compares with /proc."""
    profile = profiles()["thp-v12"]
    text = emit_bpf(plan_with_everything(profile), profile)
    entry = SEEN + VALUES_ENTRY.replace("OWN_PID", str(os.getpid()))
    with load(compile_object(with_entry(text, entry))) as loaded:
        loaded.iterate("probe")
        data = loaded.map("seen").lookup(bytes(4))
    assert data is not None
    words = [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(12)]
    areas, sizes, executable, anon, rss, size, pid, uid, cgroup, depth, usage, most = words
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert areas > 10
    assert 0 < executable < areas
    assert 0 < anon < areas
    assert abs(sizes - size) < 32 << 20
    assert (pid, uid) == (os.getpid(), os.getuid())
    assert abs(size // 1024 - int(status["VmSize"].split()[0])) < 32 * 1024
    assert rss // 1024 == pytest.approx(int(status["VmRSS"].split()[0]), rel=0.3)
    assert data[96:].rstrip(b"\0") == Path("/proc/self/comm").read_bytes().rstrip(b"\n")
    assert cgroup != 0
    assert depth < 32
    assert most == 0 or 0 < usage <= most
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    mount = next(
        (
            p
            for p in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
            if Path(p, "cgroup.procs").exists()
        ),
        None,
    )
    if own is not None and mount is not None:
        assert cgroup == Path(mount + own).stat().st_ino
        assert depth == len([part for part in own.split("/") if part])


#: Policies for which the compiler once computed with pointers, which the verifier refuses.
ONCE_REFUSED = [("thp-v12", 305), ("thp-v12", 1023), ("numab-rfc1", 350), ("numab-rfc1", 550)]


@pytest.mark.parametrize(("name", "seed"), ONCE_REFUSED)
def test_verifier_takes_programs_that_ask_twice(name: str, seed: int) -> None:
    """Several rules look whether the same pointers are null."""
    profile = profiles()[name]
    entry = ENTRIES[profile.template.split(".")[0]]
    text = emit_bpf(random_plan(seed), profile)
    with load(compile_object(with_entry(text, entry))) as loaded:
        assert [program.name for program in loaded.programs] == ["probe"]


def test_comparing_with_a_quotient_needs_no_wide_product() -> None:
    compile_object(emit_bpf(random_plan(2744), profiles()["numab-rfc1"]))
