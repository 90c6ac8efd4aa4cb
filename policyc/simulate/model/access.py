"""What a touch costs: latency of the node, reach of the TLB, bandwidth.

A touch is one access to a cache line of a page. Its time is that of the cache, or of the
memory of the node times what the load of the node adds; plus a page walk where the TLB has
no translation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model.area import LARGEST
from policyc.simulate.model.host import cpu_nodes

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, ProcessState
    from policyc.simulate.model.patterns import Stream

__all__ = ["LINE", "Access", "access_of"]

#: Bytes of a cache line.
LINE = 64

#: Touches that are looked at where pages differ in heat: 1.6 % of error in a share of a half,
#: in each tick anew.
_SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class Access:
    """The touches of a stream at present.

    `mean` nanoseconds; `classes` are times with their shares; `traffic` is bytes a touch
    asks of each node.
    """

    mean: float
    classes: tuple[tuple[float, float], ...]
    traffic: tuple[float, ...]


def access_of(host: Host, process: ProcessState, stream: Stream) -> Access:
    """What touches of a stream cost a process as its pages lie now."""
    by_node, by_order = _where(host, stream)
    costs = host.costs
    machine = host.machine
    # Translations that the stream needs, if all its pages are mapped as these are.
    translations = max(
        1.0, sum(stream.distinct() * share / (1 << o) for o, share in enumerate(by_order))
    )
    entries = min(1.0, machine.tlb_entries / translations)
    tables = translations * 8
    cached = min(1.0, machine.cache / 2 / tables)
    walk = cached * costs.walk_cached + (1 - cached) * costs.walk_memory
    if stream.in_order:
        # A translation lasts as long as the touches stay in its folio; walks are next to
        # each other in the tables.
        missing = sum(share / (1 << order) for order, share in enumerate(by_order))
        walk = costs.walk_cached
        hit = 0.0
    else:
        missing = 1 - stream.share_of_hottest(entries)
        # A touch may be of any line of its page.
        footprint = stream.distinct() * host.page_size
        hit = stream.share_of_hottest(min(1.0, machine.cache / 2 / footprint))
    classes: list[tuple[float, float]] = []
    traffic = [0.0] * len(host.nodes)
    for node, share in enumerate(by_node):
        if share <= 0:
            continue
        latency = _latency(host, process, node)
        if stream.in_order:
            latency *= costs.prefetched
        latency *= host.nodes[node].load
        traffic[node] = share * (1 - hit) * LINE
        classes += [
            (costs.cache_hit, share * hit),
            (latency + walk, share * (1 - hit) * missing),
            (latency, share * (1 - hit) * (1 - missing)),
        ]
    rest = 1 - sum(share for _, share in classes)
    if rest > 1e-9:  # zero pages: always in the caches
        classes.append((costs.cache_hit, rest))
    mean = sum(time * share for time, share in classes)
    return Access(mean, tuple(classes), tuple(traffic))


def _latency(host: Host, process: ProcessState, node: int) -> float:
    """Of a load from the process's CPUs. A slower tier's own figure holds for all CPUs."""
    found = host.nodes[node].spec
    if not found.cpus:
        return float(found.latency)
    runs_on = cpu_nodes(host, process)
    remote = 1 - runs_on.count(node) / len(runs_on)
    return found.latency * (1 + remote * (host.machine.remote_latency - 1))


def _where(host: Host, stream: Stream) -> tuple[list[float], list[float]]:
    """The shares of touches by node, and of pages by order."""
    area = stream.area
    resident = max(1, area.resident)
    uniform = stream.share_of_hottest(0.5) <= 0.5
    if uniform and stream.span == area.pages:
        total = max(1, area.resident + area.zero_mapped)
        nodes = [number / total for number in area.by_node]
        return nodes, [number / resident for number in area.by_order]
    pages = stream.draw(_SAMPLE, host.rng)
    folio = area.folio[pages]
    there = folio <= LARGEST
    number = max(1, int(np.count_nonzero(there)))
    nodes = np.bincount(area.node[pages[there]], minlength=len(host.nodes)) / _SAMPLE
    orders = np.bincount(folio[there], minlength=area.order + 1) / number
    missing = int(np.count_nonzero(folio > LARGEST))
    if missing and not area.zero_mapped:
        # What is not there yet will be: count it like the rest.
        nodes = nodes * _SAMPLE / number
    return nodes.tolist(), orders.tolist()
