"""Policies whose decisions are recorded: the examples, and some that ask for much at once."""

from __future__ import annotations

from pathlib import Path

from policyc.hooks.loader import attributes, profiles
from policyc.hooks.model import AttributeRow, Profile
from policyc.plan.types import Kind
from tests.kernel.policies import Program, policy, thp_policy

__all__ = ["EXAMPLES", "MTHP", "NUMA", "PROBES", "THP", "example_names"]

EXAMPLES = Path(__file__).parents[2] / "examples"

#: The examples by what they are for: reading them all in the VM to find out takes long.
THP_EXAMPLES = (
    *("advised-only", "canary", "fleet", "hierarchy-meet", "hierarchy-nearest"),
    *("khugepaged-only", "latency-tiers", "no-swap-in", "pressure", "whitelist", "zgc-shmem"),
)
MTHP_EXAMPLES = ("pressure", "whitelist")
NUMA_EXAMPLES = ("fleet", "hierarchy-outermost", "hot-threshold", "numa-one-workload")

DENSE = """
policy dense;
set   chosen  : cgroup = { "/kubepods/java", "/tenants" };
set   named   : string = { "java", "postgres", "exactly15bytes!" };
param ceiling : percent = 10% in 0%..100%;
param share   : percent = 50% in 0%..100%;
param large   : size = 1M in 4K..1G;
let   squeezed = cgroup.psi.memory.some.avg10 > ceiling or psi.memory.full.avg10 > ceiling;
let   small    = 16K..64K;
combine thp by meet;

thp {
    advised: allow all when vma.advice is hugepage and not squeezed;
    collapse: allow pmd when event in { khugepaged, forced_collapse } and cgroup under chosen;
    deny when vma.stack or vma.locked or vma.exec or vma.kind is file;
    allow small | pmd when task.comm in named and vma.size >= large;
    allow 32K when task.uid == 0 and task.pid % 2 == 0 and mm.rss < mm.size / 2;
    allow small when cgroup.depth >= 2 and memory.free > 1M and memory.usage < memory.max;
    otherwise pass;
}

thp for cgroup "/kubepods" {
    rollout share by cgroup;
    deny when pmd in orders and vma.size < 4M;
    allow 64K | pmd when event is pagefault;
    otherwise pass;
}

thp for cgroup "/kubepods/java" {
    allow ..32K when node.count > 1 and node.id == 0;
    otherwise allow all;
}
"""

#: A run of rules long enough to become a table, with cgroups that there are and others.
TABLE = (
    "policy many;\nthp {\n"
    + "".join(f'    allow 16K when cgroup under "/many/{number}";\n' for number in range(40))
    + """    allow 64K when cgroup == "/kubepods/java";
    allow pmd when cgroup under "/kubepods";
    allow 32K when cgroup under "/tenants/a/web";
    allow all when cgroup under "/tenants";
    deny when cgroup under "/latency";
    otherwise pass;
}
"""
)

MASK = """
policy mask;
set   chosen : cgroup = { "/kubepods/java", "/tenants" };
param floor  : size = 64M in 4K..1G;
let   full   = memory.free < floor or cgroup.psi.memory.full.avg10 > 20%;
thp {
    deny when full;
    allow 16K..64K when cgroup under chosen and cgroup.depth < 3;
    allow pmd when pmd in orders and cgroup under "/kubepods";
    otherwise pass;
}
"""

TASKS = """
policy tasks;
set   workers : string = { "postgres", "java", "exactly15bytes!" };
param share   : percent = 50% in 0%..100%;
combine numa by nearest;
numa {
    balance when task.comm in workers and mm.rss > 4M;
    off when task.uid != 0 or not has mm.size;
    balance when task.pid % 2 == 1 and memory.usage < memory.max;
    otherwise pass;
}
numa for cgroup "/kubepods" {
    rollout share by cgroup;
    balance when node.id == 0;
    off when psi.cpu.some.avg10 > 90%;
    otherwise pass;
    hot_threshold = 300ms;
}
"""


def example_names() -> set[str]:
    """The examples that some profile's decisions are recorded of."""
    return {*THP_EXAMPLES, *MTHP_EXAMPLES, *NUMA_EXAMPLES}


def _example(name: str) -> str:
    return (EXAMPLES / f"{name}.thp").read_text("utf-8")


#: By signature.
THP: list[dict[str, Program]] = [
    thp_policy(text, record=True) for text in (DENSE, TABLE, *map(_example, THP_EXAMPLES))
]
MTHP = [policy(t, "mthp-v2", record=True) for t in (MASK, *map(_example, MTHP_EXAMPLES))]
NUMA = [policy(t, "numab-rfc1", record=True) for t in (TASKS, *map(_example, NUMA_EXAMPLES))]


# -- policies that ask for everything


def _condition(row: AttributeRow) -> str:
    """A condition that needs the value and that no request fulfils in the tests."""
    match row.type.kind:
        case Kind.BOOL:
            return f"{row.name} and vma.size == 54321K"
        case Kind.CGROUP:
            return f'{row.name} under "/nowhere"'
        case Kind.STRING:
            return f'{row.name} == "nobody"'
        case Kind.ENUM:
            last = {"event": "swap_pagefault", "advice": "nohugepage", "vma_kind": "file"}
            return f"{row.name} is {last[row.type.enum]} and vma.size == 54321K"
        case Kind.PERCENT:
            return f"{row.name} == 99.87%"
        case Kind.SIZE:
            return f"{row.name} == 12345K"
        case _:
            return f"{row.name} == 1234567"


def probe_text(profile: Profile) -> str:
    """A policy that mentions every attribute of a profile and leaves all requests alone."""
    hook = profile.hook
    rows = [r for r in attributes().values() if hook in r.hooks and profile.has(r)]
    answer = "deny" if hook == "thp" else "balance"
    rules = [f"    {answer} when {_condition(row)};" for row in rows if row.name != "orders"]
    return "\n".join(["policy probe;", f"{hook} {{", *rules, "    otherwise pass;", "}", ""])


PROBES = {
    **{
        f"thp-{s}": p for s, p in thp_policy(probe_text(profiles()["thp-v12"]), record=True).items()
    },
    **{n: policy(probe_text(profiles()[n]), n, record=True) for n in ("mthp-v2", "numab-rfc1")},
}
