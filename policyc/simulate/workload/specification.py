"""A workload as data: a machine, a cgroup tree, processes, and what they do to memory.

Sizes are in bytes, durations in nanoseconds, shares between 0 and 1. Nothing here imports
numpy: the native runner reads workloads too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "Action",
    "ActionKind",
    "Cgroup",
    "Khugepaged",
    "Kmmscand",
    "Machine",
    "Node",
    "NumaBalancing",
    "Pattern",
    "Phase",
    "Process",
    "Thp",
    "Vma",
    "Workload",
]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MICROSECOND, MILLISECOND, SECOND = 1_000, 1_000_000, 1_000_000_000


class Pattern(Enum):
    """What a phase does."""

    SEQUENTIAL = "sequential"  # every page of the range, in order, over and over
    STRIDE = "stride"  # one byte every `stride` bytes, in order
    UNIFORM = "uniform"  # pages of the range at random, all alike
    ZIPF = "zipf"  # at random, page of rank k with weight k ** -exponent
    HOTSET = "hotset"  # `hot_share` of the touches go to a window that moves on
    FREE = "free"  # madvise(MADV_DONTNEED) on the range
    COLLAPSE = "collapse"  # madvise(MADV_COLLAPSE) on the range
    FORK = "fork"  # a child that shares all memory copy-on-write, for `duration`
    SLEEP = "sleep"  # nothing, for `duration`
    EXIT = "exit"  # the process ends, and its memory is freed


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A NUMA node. `tier` 0 is the fastest; a node without CPUs is memory only.

    `latency` is that of a load which misses all caches, from a CPU of the node (for a node
    without CPUs: from the nearest one); `bandwidth` is in bytes a second.
    """

    memory: int
    cpus: int = 0
    tier: int = 0
    latency: int = 90
    bandwidth: int = 200 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Thp:
    """/sys/kernel/mm/transparent_hugepage.

    `sizes` and `shmem_sizes` are the modes by order: always, inherit, madvise, never
    (shmem also: within_size, advise); an order that is not named is "never", but the PMD
    order of anonymous memory is "inherit".
    """

    enabled: str = "madvise"
    shmem_enabled: str = "never"
    defrag: str = "madvise"
    use_zero_page: bool = True
    shrink_underused: bool = True
    sizes: dict[int, str] = field(default_factory=dict[int, str])
    shmem_sizes: dict[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Khugepaged:
    """/sys/kernel/mm/transparent_hugepage/khugepaged; 0 pages_to_scan stops it.

    `mthp` lets it collapse to smaller orders than PMD (mainline since 7.2).
    """

    pages_to_scan: int = 4096
    scan_sleep: int = 10 * SECOND
    alloc_sleep: int = 60 * SECOND
    max_ptes_none: int = 511
    max_ptes_swap: int = 64
    max_ptes_shared: int = 256
    mthp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaBalancing:
    """kernel.numa_balancing (bits: 1 normal, 2 tiering) and what tunes it.

    `hierarchy` is which instance of a numa policy a task of a child cgroup gets: "walk"
    (the nearest ancestor's), "propagate" (the same for what existed at attachment), "leaf"
    (its own cgroup's only).
    """

    balancing: int = 0
    scan_delay: int = 1 * SECOND
    scan_period_min: int = 1 * SECOND
    scan_period_max: int = 60 * SECOND
    scan_size: int = 256 * MIB
    hot_threshold: int = 1 * SECOND
    promote_rate_limit: int = 65536 * MIB
    hierarchy: str = "walk"
    demotion: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kmmscand:
    """/sys/kernel/mm/kmmscand of the RFC."""

    scan_enabled: bool = False
    scan_sleep: int = 16 * MILLISECOND
    scan_period: int = 2 * SECOND
    mms_to_scan: int = 4096
    target_node: int = 0
    scan_size: int = 1 * GIB
    migrate_sleep: int = 20 * MILLISECOND
    scan_delay: int = 1 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A host and its settings.

    `fragmentation` is the share of free memory that lies in blocks below the PMD order when
    the workload starts. `remote_latency` is what an access to another node of the same tier
    costs more, as a factor. `tlb_entries` are those of the second level, shared by 4 KiB and
    PMD translations; `cache` is the last-level cache that a process finds for itself.
    """

    nodes: tuple[Node, ...]
    page_size: int = 4096
    pmd_order: int = 9
    thp: Thp = Thp()
    khugepaged: Khugepaged = Khugepaged()
    numa: NumaBalancing = NumaBalancing()
    kmmscand: Kmmscand = Kmmscand()
    swap: int = 0
    fragmentation: float = 0.0
    remote_latency: float = 1.6
    tlb_entries: int = 2048
    cache: int = 32 * MIB

    @property
    def cpus(self) -> int:
        """All CPUs."""
        return sum(node.cpus for node in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroup:
    """A cgroup by path; None is no limit ("max")."""

    path: str
    memory_max: int | None = None
    memory_high: int | None = None
    swap_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vma:
    """A mapping. `kind` is anon or shmem, `advice` none, hugepage or nohugepage.

    `misalign` is how many bytes its start lies behind a PMD boundary. `share` names a shmem
    object that several processes map. `node` is where its pages are allocated as long as
    there is room; None: on the node of the process.
    """

    name: str
    size: int
    kind: str = "anon"
    advice: str = "none"
    misalign: int = 0
    share: str = ""
    node: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One step of what a process does; phases follow each other.

    The range is `offset` and `length` (None: to the end) of VMA `vma`. It ends after
    `touches` page touches of all threads together, or `passes` over the range, or
    `duration`, whichever is given. `rate` limits the touches a second of all threads
    together, `delay` is a pause of a thread after each touch, `work` the CPU time of a
    thread for what it does with a page beyond the access itself. `write` is the share of
    touches that write; a written page is not zero-filled any more unless `zero` says that
    only zeros are written. For FORK, `children` is how many.
    """

    pattern: Pattern
    vma: str = ""
    offset: int = 0
    length: int | None = None
    stride: int = 4096
    exponent: float = 0.99
    hot_size: float = 0.1
    hot_share: float = 0.9
    hot_moves_every: int = 0
    touches: int | None = None
    passes: float | None = None
    duration: int | None = None
    threads: int = 1
    rate: float | None = None
    delay: int = 0
    work: int = 0
    write: float = 1.0
    zero: bool = False
    children: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, or `count` alike. `thp_disable` is prctl(PR_SET_THP_DISABLE): "no", "yes",
    "except-advised". `scan_scale` is the RFC's prctl for kmmscand, 0 to 10. `repeat` is how
    often its phases run, 0: until the workload ends. `oom_score_adj` as in /proc. With
    `spread` its threads run on all nodes with CPUs, evenly; `node` is then the first one's.
    """

    name: str
    cgroup: str = "/"
    comm: str = ""
    uid: int = 0
    count: int = 1
    node: int = 0
    spread: bool = False
    start: int = 0
    repeat: int = 1
    thp_disable: str = "no"
    scan_scale: int = 1
    oom_score_adj: int = 0
    vmas: tuple[Vma, ...] = ()
    phases: tuple[Phase, ...] = ()


class ActionKind(Enum):
    """What is done to a running policy, or to the machine."""

    SET_ADD = "set add"
    SET_REMOVE = "set remove"
    PARAM = "param"
    ATTACH = "attach"
    DETACH = "detach"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something done at a time: `name` is of a set or parameter, `value` its member or value."""

    at: int
    kind: ActionKind
    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """All of it. Without `duration` it ends when all phases have ended; `tick` is the step of
    simulated time, 0 lets the engine choose.
    """

    name: str
    description: str = ""
    seed: int = 1
    duration: int | None = None
    tick: int = 0
    machine: Machine
    cgroups: tuple[Cgroup, ...] = ()
    processes: tuple[Process, ...] = ()
    actions: tuple[Action, ...] = ()
