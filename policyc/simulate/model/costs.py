"""What things cost, in nanoseconds: each constant with its source or its calibration."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Costs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The constants of the cost model. Nanoseconds unless a name says otherwise."""

    #: A minor fault without the zeroing: exception, page walk, rmap, LRU, charge.
    #: 0.5 us is what lmbench's lat_pagefault and will-it-scale's page_fault1 give on
    #: recent x86-64 servers for a 4 KiB anonymous fault (0.5 to 0.7 us with zeroing).
    fault: float = 450.0
    #: Zeroing, a byte: 10 GB/s, clear_page_erms on one core.
    zero_byte: float = 0.1
    #: A page fault that is stopped to ask a BPF program: benchmarks/bench_decision_cost.py
    #: measures 75 ns with the call of the test run.
    hook: float = 40.0
    #: Unmapping and freeing a page; the batches of zap_pte_range.
    free: float = 60.0
    #: Copying a page table entry at fork, with its reference count: copy_pte_range.
    fork_page: float = 12.0
    #: Splitting a PMD-sized folio: 512 rmap and LRU operations.
    split: float = 60_000.0
    #: Collapsing costs copying 2 MiB and freeing 512 pages.
    collapse: float = 150_000.0
    #: A NUMA hint fault that does not migrate: exception, cpupid, statistics.
    hint_fault: float = 1_000.0
    #: Marking a page for a hint fault in task_numa_work, a page.
    mark: float = 20.0
    #: Moving a 4 KiB folio: unmap, copy, remap. A larger one adds copying only.
    migrate: float = 2_000.0
    #: Copying, a byte: 5 GB/s, read and write of one core.
    copy_byte: float = 0.2
    #: The share of migrations by hint faults that fail, for each other thread of the process
    #: that may hold the folio's lock or a reference (migrate_pages with MIGRATE_ASYNC does
    #: not wait). Calibrated on NUMAB2 in the 8 GB row of the kmmscand table: 30 % with 64.
    contended: float = 0.00564
    #: The same in the migration thread of kmmscand: 11.19 s for the 2,097,152 pages of the
    #: 8 GB run that the cover letter of its V0 breaks up (1 December 2024).
    daemon_migrate: float = 5_300.0
    #: Testing and clearing the accessed bit of a page: idle_page and PTE, uncontended.
    scan_page: float = 50.0
    #: An inter-processor interrupt for a TLB flush, for each CPU that runs the process.
    shootdown: float = 300.0
    #: Reclaiming one page: scan, unmap, free.
    reclaim: float = 500.0
    #: Writing a page to swap, waiting included when it is reclaimed directly.
    swap_out: float = 20_000.0
    #: Reading a page from swap: a read of an NVMe SSD.
    swap_in: float = 90_000.0
    #: A page walk that finds its entries in the caches, and one that goes to memory, of which
    #: out-of-order execution hides more than half. Not fitted: what is predicted of NUMAB2 and
    #: kmmscand in the table of the latter stays within 10 % from 27 to 45 ns.
    walk_cached: float = 8.0
    walk_memory: float = 30.0
    #: Entries of the second-level TLB come with the machine (`tlb_entries`).
    #: A touch that finds its data in the caches.
    cache_hit: float = 10.0
    #: A touch in order, where prefetching hides most of the latency, as a share of it.
    prefetched: float = 0.1
