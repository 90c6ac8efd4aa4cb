"""Small hosts, made by hand, for tests of single mechanisms."""

from __future__ import annotations

from typing import Any

import numpy as np

from policyc.simulate.model import folios
from policyc.simulate.model.area import Area
from policyc.simulate.model.costs import Costs
from policyc.simulate.model.free_lists import FreeLists
from policyc.simulate.model.hook import Hook
from policyc.simulate.model.host import CgroupState, Host, NodeState, ProcessState
from policyc.simulate.workload.specification import (
    MIB,
    Khugepaged,
    Machine,
    Node,
    Process,
    Thp,
    Vma,
)

PAGE = 4096


def host(
    *memory: int,
    tiers: tuple[int, ...] = (),
    fragmentation: float = 0.0,
    thp: Thp | None = None,
    khugepaged: Khugepaged | None = None,
    **machine: Any,
) -> Host:
    """A host whose nodes have some bytes each; `tiers` are theirs, 0 if not given."""
    nodes = tuple(
        Node(memory=size, cpus=0 if tiers and tiers[i] else 4, tier=tiers[i] if tiers else 0)
        for i, size in enumerate(memory or (256 * MIB,))
    )
    found = Machine(
        nodes=nodes,
        fragmentation=fragmentation,
        thp=thp or Thp(enabled="always"),
        khugepaged=khugepaged or Khugepaged(),
        **machine,
    )
    return Host(
        machine=found,
        nodes=[
            NodeState(i, node, FreeLists(node.memory // PAGE, 9, fragmentation))
            for i, node in enumerate(nodes)
        ],
        cgroups={"/": CgroupState("/", 1, None)},
        costs=Costs(),
        rng=np.random.default_rng(1),
        hook=Hook(),
    )


def cgroup(host: Host, path: str, **limits: Any) -> CgroupState:
    """A cgroup below one that exists; limits in pages."""
    parent = host.cgroups[path.rsplit("/", 1)[0] or "/"]
    found = CgroupState(path, len(host.cgroups) + 1, parent, **limits)
    host.cgroups[path] = found
    parent.children.append(found)
    return found


def process(host: Host, path: str = "/", name: str = "p", **spec: Any) -> ProcessState:
    """A process that runs one thread."""
    group = host.cgroups[path]
    number = len(host.processes) + 1
    found = ProcessState(number, Process(name=name, cgroup=path, **spec), name, group, 0)
    found.running = True
    host.processes.append(found)
    group.processes.append(found)
    return found


def area(host: Host, owner: ProcessState, size: int, name: str = "heap", **vma: Any) -> Area:
    """A mapping of a process."""
    found = Area.make(owner, Vma(name=name, size=size, **vma), PAGE, 9, len(host.nodes))
    owner.areas[name] = found
    for watch in host.watchers:
        watch(found)
    return found


def huge(host: Host, area: Area, blocks: range, filled: int = 512, node: int = 0) -> None:
    """Map huge pages, each with some pages that are not zero."""
    got = host.nodes[node].free.allocate(9, len(blocks))
    assert got == len(blocks)
    heads = np.array(blocks) * 512
    folios.install(host, area, heads, 9, node)
    for head in heads:
        folios.fill(area, np.arange(head, head + filled))


def small(host: Host, area: Area, pages: np.ndarray | range, node: int = 0) -> None:
    """Map base pages with something in them."""
    found = np.array(pages)
    assert host.nodes[node].free.allocate(0, len(found)) == len(found)
    folios.install(host, area, found, 0, node)
    folios.fill(area, found)
