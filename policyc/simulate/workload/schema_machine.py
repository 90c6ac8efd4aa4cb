"""The keys of the tables of `[machine]`: nodes, and the settings of the kernel."""

from __future__ import annotations

from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.fields import LARGEST, LONGEST, Field, Kind

__all__ = ["KHUGEPAGED", "KMMSCAND", "MACHINE", "NODE", "NUMA", "THP"]

_MODES = ("always", "inherit", "madvise", "never")
_SHMEM_MODES = ("always", "inherit", "within_size", "advise", "never")
_DEFRAG = ("always", "defer", "defer+madvise", "madvise", "never")

MACHINE = (
    Field(key="nodes", kind=Kind.TABLES, table="node", required=True, meaning="NUMA nodes, from 0"),
    Field(
        key="page_size",
        kind=Kind.SIZE,
        meaning="4K, 16K or 64K",
    ),
    Field(
        key="pmd_order",
        kind=Kind.INT,
        low=2,
        high=20,
        meaning="order of a PMD-sized page; 9, 11 or 13 by page size if it is left out",
    ),
    Field(key="swap", kind=Kind.SIZE, high=LARGEST, meaning="swap space"),
    Field(
        key="fragmentation",
        kind=Kind.SHARE,
        meaning="share of free memory that lies in blocks below PMD size at the start",
    ),
    Field(
        key="remote_latency",
        kind=Kind.NUMBER,
        low=1,
        high=100,
        meaning="latency of another node of the same tier, as a factor",
    ),
    Field(
        key="tlb_entries",
        kind=Kind.INT,
        low=1,
        high=1 << 20,
        meaning="entries of the second-level TLB",
    ),
    Field(
        key="cache",
        kind=Kind.SIZE,
        low=1,
        high=1 << 40,
        meaning="last-level cache that a process finds for itself",
    ),
    Field(key="thp", kind=Kind.TABLE, table="thp", meaning="huge pages"),
    Field(key="khugepaged", kind=Kind.TABLE, table="khugepaged", meaning="khugepaged"),
    Field(key="numa", kind=Kind.TABLE, table="numa", meaning="NUMA balancing"),
    Field(key="kmmscand", kind=Kind.TABLE, table="kmmscand", meaning="kmmscand"),
)

NODE = (
    Field(key="memory", kind=Kind.SIZE, low=1 << 20, high=LARGEST, required=True, meaning="memory"),
    Field(
        key="cpus",
        kind=Kind.INT,
        high=1 << 16,
        meaning="CPUs; a node without any is memory only",
    ),
    Field(key="tier", kind=Kind.INT, high=16, meaning="memory tier; 0 is the fastest"),
    Field(
        key="latency",
        kind=Kind.DURATION,
        low=1,
        high=spec.SECOND,
        meaning="of a load that misses all caches, from the nearest CPU",
    ),
    Field(key="bandwidth", kind=Kind.BANDWIDTH, low=1, high=1e15, meaning="bytes a second"),
)

THP = (
    Field(
        key="enabled",
        kind=Kind.CHOICE,
        choices=("always", "madvise", "never"),
        meaning="`enabled`, for anonymous memory",
    ),
    Field(
        key="shmem_enabled",
        kind=Kind.CHOICE,
        choices=("always", "within_size", "advise", "never"),
        meaning="`shmem_enabled`",
    ),
    Field(key="defrag", kind=Kind.CHOICE, choices=_DEFRAG, meaning="`defrag`"),
    Field(key="use_zero_page", kind=Kind.BOOL, meaning="`use_zero_page`"),
    Field(key="shrink_underused", kind=Kind.BOOL, meaning="`shrink_underused`"),
    Field(
        key="sizes",
        kind=Kind.MODES,
        choices=_MODES,
        low=2,
        meaning="`hugepages-*/enabled`; a size that is not named is `never`, PMD size `inherit`",
    ),
    Field(
        key="shmem_sizes",
        kind=Kind.MODES,
        choices=_SHMEM_MODES,
        low=1,
        meaning="`hugepages-*/shmem_enabled`; a size that is not named is `never`",
    ),
)

KHUGEPAGED = (
    Field(
        key="pages_to_scan",
        kind=Kind.INT,
        high=1 << 31,
        meaning="pages scanned at a time; 0 stops it",
    ),
    Field(
        key="scan_sleep",
        kind=Kind.DURATION,
        high=LONGEST,
        meaning="`scan_sleep_millisecs`",
    ),
    Field(
        key="alloc_sleep",
        kind=Kind.DURATION,
        high=LONGEST,
        meaning="`alloc_sleep_millisecs`, after an allocation failed",
    ),
    Field(
        key="max_ptes_none",
        kind=Kind.INT,
        high=(1 << 20) - 1,
        meaning="pages of a block that may be empty; the shrinker uses it, too",
    ),
    Field(
        key="max_ptes_swap",
        kind=Kind.INT,
        high=(1 << 20) - 1,
        meaning="pages of a block that may be swapped out",
    ),
    Field(
        key="max_ptes_shared",
        kind=Kind.INT,
        high=(1 << 20) - 1,
        meaning="pages of a block that may be shared with another process",
    ),
    Field(key="mthp", kind=Kind.BOOL, meaning="collapses to sizes below PMD, too"),
)

NUMA = (
    Field(
        key="balancing",
        kind=Kind.INT,
        high=3,
        meaning="`kernel.numa_balancing`: 0 off, 1 normal, 2 tiering, 3 both",
    ),
    Field(key="scan_delay", kind=Kind.DURATION, high=LONGEST, meaning="`scan_delay_ms`"),
    Field(
        key="scan_period_min",
        kind=Kind.DURATION,
        low=spec.MILLISECOND,
        high=LONGEST,
        meaning="`scan_period_min_ms`",
    ),
    Field(
        key="scan_period_max",
        kind=Kind.DURATION,
        low=spec.MILLISECOND,
        high=LONGEST,
        meaning="`scan_period_max_ms`",
    ),
    Field(key="scan_size", kind=Kind.SIZE, low=spec.MIB, high=LARGEST, meaning="`scan_size_mb`"),
    Field(
        key="hot_threshold",
        kind=Kind.DURATION,
        high=LONGEST,
        meaning="`hot_threshold_ms`",
    ),
    Field(
        key="promote_rate_limit",
        kind=Kind.SIZE,
        high=LARGEST,
        meaning="`numa_balancing_promote_rate_limit_MBps`, bytes a second",
    ),
    Field(
        key="hierarchy",
        kind=Kind.CHOICE,
        choices=("walk", "propagate", "leaf"),
        meaning="whose numa policy a task of a child cgroup gets: the nearest ancestor's, "
        "the same for cgroups that existed at attachment, or its own cgroup's only",
    ),
    Field(
        key="demotion",
        kind=Kind.BOOL,
        meaning="reclaim moves pages to the next tier instead of swapping them out",
    ),
)

KMMSCAND = (
    Field(key="scan_enabled", kind=Kind.BOOL, meaning="whether it runs"),
    Field(key="scan_sleep", kind=Kind.DURATION, low=1, high=LONGEST, meaning="`scan_sleep_ms`"),
    Field(
        key="scan_period",
        kind=Kind.DURATION,
        low=1,
        high=LONGEST,
        meaning="`mm_scan_period_ms`, where the period of a process starts",
    ),
    Field(key="mms_to_scan", kind=Kind.INT, low=1, high=1 << 31, meaning="`mms_to_scan`"),
    Field(key="target_node", kind=Kind.INT, high=63, meaning="`target_node`, of the fastest tier"),
    Field(
        key="scan_size", kind=Kind.SIZE, low=spec.MIB, high=LARGEST, meaning="memory of one scan"
    ),
    Field(
        key="migrate_sleep",
        kind=Kind.DURATION,
        low=1,
        high=LONGEST,
        meaning="sleep of the thread that migrates",
    ),
    Field(key="scan_delay", kind=Kind.DURATION, high=LONGEST, meaning="before its first scan"),
)
