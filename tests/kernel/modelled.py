"""The workloads that run both on a kernel in a VM and in the model, and with which policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CASES", "Case", "Spread"]

_HERE = Path(__file__).parent / "workloads"

#: By how much figures may differ where the kernel is deterministic.
EXACT = 0.03


@dataclass(frozen=True, slots=True)
class Spread:
    """How far model and kernel may be apart: a share of the kernel's figure, and why."""

    share: float
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """A workload, changes to it, and the policy that is attached meanwhile.

    `profile` is "thp" for whichever signature of thp_get_order there is. `spreads` are the
    figures in which the kernel is not deterministic, `apart` those that are not compared, and
    why, `killed` whether it ends by the OOM killer.
    """

    name: str
    workload: str
    overrides: tuple[str, ...] = ()
    policy: str = ""
    profile: str = ""
    apart: Mapping[str, str] = field(default_factory=dict[str, str])
    spreads: Mapping[str, Spread] = field(default_factory=dict[str, Spread])
    killed: bool = False

    @property
    def file(self) -> Path:
        """Where the workload is."""
        return _HERE / f"{self.workload}.toml"


_SCOPES = """
policy by_cgroup;
thp {
    allow pmd when cgroup under "/in";
    allow 64K when cgroup under "/middle";
    otherwise deny;
}
"""

_NARROWED = "policy narrowed; thp { otherwise allow 64K; }"

_KHUGEPAGED = """
policy khugepaged_only;
thp {
    allow pmd when event in { khugepaged, smaps };
    otherwise deny;
}
"""

_MASK = "policy sizes; thp { otherwise allow 16K | 64K; }"

_BALANCE = "policy balanced; numa { otherwise balance; }"

_TOUCHES = Spread(0.1, "which pages are touched at random")
_RECLAIM = Spread(0.15, "how many folios reclaim looks at before there is room")
_SCANS = Spread(0.2, "when the scanner comes by; the program's own pages move too")
_BALANCING = (
    *("numa_pages_migrated", "numa_hint_faults", "numa_hint_faults_local", "numa_pte_updates"),
    *("node 0", "node 1"),
)

#: mm/huge_memory.c, do_huge_zero_wp_pmd, which 6.18 has and 6.12 has not.
_SINCE = "a write to the huge zero page allocates a huge page in 6.18, and splits it in 6.12"
_SPLIT_ZERO = (
    *("memory", "bloat", "node 0", "thp_fault_alloc", "thp_split_pmd", "huge 9", "faults 9"),
)
_SLOW = Spread(0.1, "how much an emulated CPU does in its time")
_SHARED = "smaps tells of the parent; the model has what the child alone has of its huge pages"

CASES = (
    Case("fill-always", "fill-always"),
    Case("fill-never", "fill-always", ("machine.thp.enabled=never",)),
    Case("fill-madvise", "fill-madvise"),
    Case("stride-50k", "stride-50k"),
    Case("sizes-64k", "sizes-64k"),
    Case(
        "sizes-mixed",
        "sizes-mixed",
        spreads=dict.fromkeys(
            ("pgfault", "anon_fault_alloc", "faults 4", "huge 4", "mapped", "bloat"), _TOUCHES
        ),
    ),
    Case("policy-scopes", "policy-scopes", policy=_SCOPES, profile="thp"),
    Case("policy-narrowed", "policy-narrowed", policy=_NARROWED, profile="thp"),
    Case("policy-mask", "policy-narrowed", policy=_MASK, profile="mthp-v2"),
    Case("collapse-forced", "collapse-forced"),
    Case("khugepaged-limit", "khugepaged-limit", policy=_KHUGEPAGED, profile="thp"),
    Case(
        "shrinker-470",
        "shrinker-edge",
        spreads=dict.fromkeys(
            (
                *("pgfault", "thp_fault_alloc", "thp_split_page", "thp_underused_split_page"),
                *("faults 9", "huge 9", "mapped", "bloat", "memory"),
            ),
            _RECLAIM,
        ),
    ),
    Case("shrinker-471", "shrinker-edge", ("machine.khugepaged.max_ptes_none=471",), killed=True),
    Case("free-refault", "free-refault"),
    Case("fork-cow", "fork-cow", apart={"huge 9": _SHARED}),
    Case("read-zero", "read-zero", apart=dict.fromkeys(_SPLIT_ZERO, _SINCE)),
    Case("shmem-huge", "shmem-huge"),
    Case(
        "numa-follow",
        "numa-follow",
        policy=_BALANCE,
        profile="numab-rfc1",
        spreads={**dict.fromkeys((*_BALANCING, "pgfault"), _SCANS), "touches": _SLOW},
    ),
    Case("numa-left-alone", "numa-follow", spreads={"touches": _SLOW}),
)
