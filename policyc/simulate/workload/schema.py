"""The layout of workloads as TOML: every table, every key, what it takes and what it means.

The reader, the overrides, the JSON schema and the page in the reference all go by these
tables. Defaults are those of `specification.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.fields import LARGEST, LONGEST, Field, Kind, Table
from policyc.simulate.workload.schema_machine import (
    KHUGEPAGED,
    KMMSCAND,
    MACHINE,
    NODE,
    NUMA,
    THP,
)

__all__ = ["PATTERN_KEYS", "TABLES", "Field", "Kind", "Table", "default"]

_RANGE = frozenset({"vma", "offset", "length"})
_TOUCHING = _RANGE | {
    *("touches", "passes", "duration", "threads"),
    *("rate", "delay", "work", "write", "zero"),
}

#: The keys that a phase of each pattern can have, beside `pattern`.
PATTERN_KEYS: Mapping[spec.Pattern, frozenset[str]] = {
    spec.Pattern.SEQUENTIAL: _TOUCHING,
    spec.Pattern.STRIDE: _TOUCHING | {"stride"},
    spec.Pattern.UNIFORM: _TOUCHING,
    spec.Pattern.ZIPF: _TOUCHING | {"exponent"},
    spec.Pattern.HOTSET: _TOUCHING | {"hot_size", "hot_share", "hot_moves_every"},
    spec.Pattern.FREE: _RANGE,
    spec.Pattern.COLLAPSE: _RANGE,
    spec.Pattern.FORK: frozenset({"duration", "children"}),
    spec.Pattern.SLEEP: frozenset({"duration"}),
    spec.Pattern.EXIT: frozenset(),
}

_TOP = (
    Field(key="name", kind=Kind.NAME, meaning="its name; that of the file if it is left out"),
    Field(key="description", kind=Kind.TEXT, meaning="a line or more for people"),
    Field(key="seed", kind=Kind.INT, high=(1 << 63) - 1, meaning="of everything that is random"),
    Field(
        key="duration",
        kind=Kind.DURATION,
        low=1,
        high=LONGEST,
        meaning="simulated time",
        nothing="until all phases have ended",
    ),
    Field(
        key="tick",
        kind=Kind.DURATION,
        high=60 * spec.SECOND,
        meaning="the step of simulated time; 0: chosen for you",
    ),
    Field(
        key="at",
        kind=Kind.ACTIONS,
        meaning="what is done to the policy while it runs, see [actions](#actions)",
    ),
    Field(
        key="values",
        kind=Kind.VALUES,
        table="values",
        meaning='values with names, for use as `"$name"` elsewhere and for `--set name=VALUE`',
    ),
    Field(key="machine", kind=Kind.TABLE, table="machine", required=True, meaning="the host"),
    Field(key="cgroups", kind=Kind.BY_PATH, table="cgroup", meaning="cgroups with limits"),
    Field(key="processes", kind=Kind.TABLES, table="process", required=True, meaning="what runs"),
)

_CGROUP = tuple(
    Field(key=key, kind=Kind.LIMIT, high=LARGEST, meaning=f"`{file}`", nothing='`"max"`')
    for key, file in (
        ("memory_max", "memory.max"),
        ("memory_high", "memory.high"),
        ("swap_max", "memory.swap.max"),
    )
)

_PROCESS = (
    Field(key="name", kind=Kind.NAME, required=True, meaning="its name in results"),
    Field(key="cgroup", kind=Kind.CGROUP, meaning="made with its ancestors if it is not declared"),
    Field(key="comm", kind=Kind.COMM, meaning="`/proc/PID/comm`; if empty, the name, cut off"),
    Field(key="uid", kind=Kind.INT, high=(1 << 32) - 1, meaning="user"),
    Field(key="count", kind=Kind.INT, low=1, high=100_000, meaning="how many alike"),
    Field(key="node", kind=Kind.INT, high=63, meaning="the node whose CPUs it runs on"),
    Field(key="spread", kind=Kind.BOOL, meaning="its threads run on all nodes with CPUs, evenly"),
    Field(key="start", kind=Kind.DURATION, high=LONGEST, meaning="when it starts"),
    Field(
        key="repeat",
        kind=Kind.INT,
        high=10**9,
        meaning="how often its phases run; 0: until the workload ends",
    ),
    Field(
        key="thp_disable",
        kind=Kind.CHOICE,
        choices=("no", "yes", "except-advised"),
        meaning="`prctl(PR_SET_THP_DISABLE)`",
    ),
    Field(
        key="scan_scale",
        kind=Kind.INT,
        high=10,
        meaning="`prctl(PR_SET_PTE_A_SCAN_SCALE)`, of kmmscand; 0: not scanned",
    ),
    Field(
        key="oom_score_adj",
        kind=Kind.INT,
        low=-1000,
        high=1000,
        meaning="`/proc/PID/oom_score_adj`",
    ),
    Field(
        key="threads",
        kind=Kind.INT,
        low=1,
        high=1 << 20,
        meaning="threads of those phases that do not say",
    ),
    Field(key="vmas", kind=Kind.TABLES, table="vma", meaning="its mappings"),
    Field(key="phases", kind=Kind.TABLES, table="phase", meaning="what it does, in order"),
)

_VMA = (
    Field(key="name", kind=Kind.NAME, required=True, meaning="for phases"),
    Field(key="size", kind=Kind.SIZE, low=1, high=LARGEST, required=True, meaning="in whole pages"),
    Field(key="kind", kind=Kind.CHOICE, choices=("anon", "shmem"), meaning="kind of memory"),
    Field(
        key="advice",
        kind=Kind.CHOICE,
        choices=("none", "hugepage", "nohugepage"),
        meaning="`madvise`",
    ),
    Field(
        key="misalign",
        kind=Kind.SIZE,
        high=LARGEST,
        meaning="how far its start lies behind a PMD boundary; whole pages",
    ),
    Field(
        key="share",
        kind=Kind.NAME,
        meaning="name of a shmem object that all VMAs with this `share` map",
    ),
    Field(
        key="node",
        kind=Kind.INT,
        high=63,
        meaning="the node where it is allocated as long as there is room",
        nothing="that of the process",
    ),
)

_PHASE = (
    Field(
        key="pattern",
        kind=Kind.CHOICE,
        choices=tuple(pattern.value for pattern in spec.Pattern),
        required=True,
        meaning="what it does, see [patterns](#patterns)",
    ),
    Field(key="vma", kind=Kind.NAME, meaning="of which VMA; can be left out if there is one"),
    Field(key="offset", kind=Kind.SIZE, high=LARGEST, meaning="where its range starts"),
    Field(
        key="length",
        kind=Kind.SIZE,
        low=1,
        high=LARGEST,
        meaning="the size of its range",
        nothing="to the end of the VMA",
    ),
    Field(key="stride", kind=Kind.SIZE, low=1, high=LARGEST, meaning="bytes between touches"),
    Field(
        key="exponent", kind=Kind.NUMBER, low=0.01, high=10, meaning="of Zipf's law, of the ranks"
    ),
    Field(key="hot_size", kind=Kind.SHARE, meaning="share of the range that is hot"),
    Field(key="hot_share", kind=Kind.SHARE, meaning="share of the touches that go to it"),
    Field(
        key="hot_moves_every",
        kind=Kind.DURATION,
        high=LONGEST,
        meaning="when the hot window moves on by its size; 0: never",
    ),
    Field(
        key="touches",
        kind=Kind.COUNT,
        low=1,
        high=1e15,
        meaning="ends after so many touches of all threads together",
        nothing="",
    ),
    Field(key="passes", kind=Kind.NUMBER, high=1e9, meaning="ends after so many times its range"),
    Field(
        key="duration", kind=Kind.DURATION, low=1, high=LONGEST, meaning="ends after so much time"
    ),
    Field(key="threads", kind=Kind.INT, low=1, high=1 << 20, meaning="threads"),
    Field(
        key="rate",
        kind=Kind.RATE,
        high=1e12,
        meaning="at most so many touches a second, of all threads together",
        nothing="as fast as it can",
    ),
    Field(
        key="delay",
        kind=Kind.DURATION,
        high=LONGEST,
        meaning="pause of a thread after each touch",
    ),
    Field(
        key="work",
        kind=Kind.DURATION,
        high=LONGEST,
        meaning="CPU time of a thread for what it does with a page",
    ),
    Field(key="write", kind=Kind.SHARE, meaning="share of the touches that write"),
    Field(key="zero", kind=Kind.BOOL, meaning="only zeros are written"),
    Field(key="children", kind=Kind.INT, low=1, high=100_000, meaning="how many are forked"),
)

#: The tables by the names that `Field.table` has, in the order of the reference.
TABLES: Mapping[str, Table] = {
    "workload": Table("", "The top of the file.", spec.Workload, _TOP),
    "values": Table("[values]", "Any names, with texts, numbers or booleans.", None, ()),
    "machine": Table("[machine]", "The host.", spec.Machine, MACHINE),
    "node": Table("[[machine.nodes]]", "A NUMA node.", spec.Node, NODE),
    "thp": Table("[machine.thp]", "/sys/kernel/mm/transparent_hugepage.", spec.Thp, THP),
    "khugepaged": Table(
        "[machine.khugepaged]",
        "/sys/kernel/mm/transparent_hugepage/khugepaged.",
        spec.Khugepaged,
        KHUGEPAGED,
    ),
    "numa": Table(
        "[machine.numa]",
        "kernel.numa_balancing, and /sys/kernel/debug/sched/numa_balancing.",
        spec.NumaBalancing,
        NUMA,
    ),
    "kmmscand": Table("[machine.kmmscand]", "/sys/kernel/mm/kmmscand.", spec.Kmmscand, KMMSCAND),
    "cgroup": Table('[cgroups."/PATH"]', "Limits of a cgroup.", spec.Cgroup, _CGROUP),
    "process": Table("[[processes]]", "A process, or several alike.", spec.Process, _PROCESS),
    "vma": Table("[[processes.vmas]]", "A mapping of the process above.", spec.Vma, _VMA),
    "phase": Table("[[processes.phases]]", "A step of the process above.", spec.Phase, _PHASE),
}


def default(table: Table, key: str) -> Any:
    """The value that a key has if it is left out; None also where it must be given."""
    for field in dataclasses.fields(table.makes) if table.makes else ():
        if field.name == key:
            if field.default is not dataclasses.MISSING:
                return field.default
            if field.default_factory is not dataclasses.MISSING:
                return field.default_factory()
    return None
