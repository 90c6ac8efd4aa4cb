"""What a simulation found: runs, each with totals, cgroups, rules and a timeline.

Sizes are in bytes, times in seconds, pressures in percent. Nothing here needs numpy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["COUNTERS", "Figures", "RuleCount", "Run", "Simulation", "Timeline"]

#: The counters, by the names of /proc/vmstat and memory.stat, and what they count.
COUNTERS: dict[str, str] = {
    "pgfault": "page faults",
    "pgmajfault": "page faults that read from swap",
    "thp_fault_alloc": "PMD-sized pages allocated by faults",
    "thp_fault_fallback": "faults that wanted a PMD-sized page and got smaller ones",
    "thp_fault_fallback_charge": "of them because a limit of the cgroup was in the way",
    "thp_zero_page_alloc": "times the huge zero page was allocated",
    "thp_collapse_alloc": "PMD-sized pages made by khugepaged or MADV_COLLAPSE",
    "thp_collapse_alloc_failed": "collapses for which no PMD-sized page was free",
    "thp_split_page": "PMD-sized pages split",
    "thp_split_pmd": "PMD mappings split",
    "thp_deferred_split_page": "PMD-sized pages put on the queue of the shrinker",
    "thp_underused_split_page": "PMD-sized pages split because too much of them was zero",
    "thp_swpout_fallback": "PMD-sized pages split before they were swapped out",
    "anon_fault_alloc": "mTHP pages allocated by faults, of all sizes below PMD",
    "anon_fault_fallback": "tries of a size below PMD that fell back to a smaller one",
    "anon_fault_fallback_charge": "of them because a limit of the cgroup was in the way",
    "pgscan": "pages looked at by reclaim",
    "pgsteal": "pages reclaimed",
    "pswpin": "pages read from swap",
    "pswpout": "pages written to swap",
    "oom_kill": "processes killed by the OOM killer",
    "memory_high": "times a cgroup was over memory.high",
    "memory_max": "times a cgroup was about to go over memory.max",
    "numa_pte_updates": "pages marked for hint faults",
    "numa_huge_pte_updates": "PMD-sized pages among them, marked as a whole",
    "numa_hint_faults": "hint faults",
    "numa_hint_faults_local": "of them on the node of the page",
    "numa_pages_migrated": "pages moved by NUMA balancing",
    "pgpromote_success": "pages promoted to a faster tier",
    "pgpromote_candidate": "pages that were candidates of promotion",
    "pgdemote_kswapd": "pages demoted to a slower tier",
    "pgmigrate_fail": "pages that could not be moved",
    "kmmscand_mm_scans": "address spaces scanned by kmmscand",
    "kmmscand_migadded": "pages that kmmscand queued for migration",
    "kmmscand_migrated": "pages that kmmscand moved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a cgroup with all below it, or of the whole machine.

    `memory_bytes` is charged memory at the end, `bloat_bytes` what of it was never touched
    or is zero-filled inside large folios, `huge_bytes_by_order` memory in folios of each
    order above 0; all three at the end. Latencies are seconds. `pressure_some` and
    `pressure_full` are the highest 10 s averages, in percent. `stall_seconds` is the time
    that threads stood still for memory, `cpu_seconds` the time that they were busy: accesses,
    what they do with a page, page faults. `touches` are page touches.
    """

    counters: dict[str, int] = field(default_factory=dict[str, int])
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    memory_mean_bytes: int = 0
    bloat_bytes: int = 0
    swap_bytes: int = 0
    huge_bytes_by_order: dict[int, int] = field(default_factory=dict[int, int])
    bytes_by_node: tuple[int, ...] = ()
    faults_by_order: dict[int, int] = field(default_factory=dict[int, int])
    touches: int = 0
    run_seconds: float = 0.0
    cpu_seconds: float = 0.0
    access_p50_seconds: float = 0.0
    access_p99_seconds: float = 0.0
    fault_p50_seconds: float = 0.0
    fault_p99_seconds: float = 0.0
    pressure_some: float = 0.0
    pressure_full: float = 0.0
    stall_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """How often a rule decided; `hook` is thp or numa, `label` may be empty."""

    hook: str
    index: int
    label: str
    line: int
    text: str
    decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Samples over time: `seconds` and series of the same length by name.

    Memory by order is `memory.order0` (base pages) to `memory.order9`, bytes; rates are
    `migrations`, `faults`, `splits`, `collapses`, `decisions.allowed`, `decisions.narrowed`,
    `decisions.denied`, all a second; `pressure.some` and `pressure.full` are percent; and
    `cgroup.PATH` is the memory of each cgroup that has processes.
    """

    seconds: tuple[float, ...] = ()
    series: dict[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One simulated run: of a policy or of a baseline.

    `process_seconds` is when each process ended its phases, by name, -1 if killed.
    `notes` are sentences such as settings without which the policy had no effect.
    """

    name: str
    policy: bool
    total: Figures
    cgroups: dict[str, Figures]
    process_seconds: dict[str, float] = field(default_factory=dict[str, float])
    rules: tuple[RuleCount, ...] = ()
    no_opinion: int = 0
    notes: tuple[str, ...] = ()
    timeline: Timeline = Timeline()


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The runs of one workload and seed, the policy's first."""

    workload: str
    description: str
    policy: str
    seed: int
    runs: tuple[Run, ...]
