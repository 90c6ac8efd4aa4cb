"""What recordings of any kind have in common: the machine, cgroups, and the finished text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from policyc.simulate.workload.lines import RecordError
from policyc.simulate.workload.specification import Cgroup, Machine, Node, Process, Workload
from policyc.simulate.workload.writer import write_workload

__all__ = ["Given", "Recorded", "cgroup_of", "machine_of", "named", "workload_of"]

_NODES = Path("/sys/devices/system/node")
_MEMINFO = Path("/proc/meminfo")
_LONGEST = 64
_MOST_PAGES = 1 << 31
_TOTAL = re.compile(r"MemTotal:\s+(\d+) kB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a recording does not tell: None or 0 is that of this host.

    `memory` is in bytes, of all nodes together; `cgroups` are paths by process id, target or
    name of a process.
    """

    name: str = "recorded"
    memory: int | None = None
    nodes: int | None = None
    cpus: int | None = None
    page_size: int | None = None
    cgroups: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Recorded:
    """A workload and what was inferred for it: comments by table, for `write_workload`."""

    workload: Workload
    comments: Mapping[tuple[str | int, ...], Sequence[str]]

    def toml(self) -> str:
        """The text, comments included."""
        return write_workload(self.workload, self.comments)


def machine_of(given: Given) -> tuple[Machine, str]:
    """The machine that was asked for, with what is missing from this host; and a comment.

    Raises RecordError if this host does not tell.
    """
    page_size = given.page_size or os.sysconf("SC_PAGE_SIZE")
    pmd_order = (page_size // 8).bit_length() - 1
    asked = (given.memory, given.nodes, given.cpus)
    if given.memory is not None and given.nodes is not None and given.cpus is not None:
        nodes = _even(given.memory, given.nodes, given.cpus)
    else:
        host = _host()
        nodes = host
        if any(value is not None for value in asked):
            nodes = _even(
                given.memory or sum(node.memory for node in host),
                given.nodes or len(host),
                given.cpus or sum(node.cpus for node in host),
            )
    settings = "The settings of THP and NUMA are the defaults: the recording does not have them."
    if all(value is None for value in asked):
        settings = f"Memory and CPUs are those of the host where this was made. {settings}"
    return Machine(nodes=nodes, page_size=page_size, pmd_order=pmd_order), settings


def _even(memory: int, nodes: int, cpus: int) -> tuple[Node, ...]:
    """Nodes of the same size; the last have fewer CPUs if they do not come out even."""
    each = memory // nodes >> 20 << 20
    if each == 0:
        raise RecordError(f"{nodes} nodes need at least 1M of memory each, found {memory} bytes")
    counts = [(cpus * (number + 1) // nodes) - (cpus * number // nodes) for number in range(nodes)]
    return tuple(Node(memory=each, cpus=count) for count in sorted(counts, reverse=True))


def _host() -> tuple[Node, ...]:
    """The nodes of this host that have memory."""
    found: list[Node] = []
    try:
        for directory in sorted(_NODES.glob("node[0-9]*"), key=lambda path: int(path.name[4:])):
            total = _TOTAL.search((directory / "meminfo").read_text())
            cpus = _length((directory / "cpulist").read_text())
            if total is not None and int(total[1]):
                found.append(Node(memory=int(total[1]) << 10 >> 20 << 20, cpus=cpus))
        if not found:
            total = _TOTAL.search(_MEMINFO.read_text())
            if total is not None:
                size = int(total[1]) << 10 >> 20 << 20
                found.append(Node(memory=size, cpus=os.cpu_count() or 1))
    except OSError:
        found = []
    if not found:
        raise RecordError("this host does not tell how much memory it has; give --memory")
    return tuple(found)


def _length(numbers: str) -> int:
    """How many CPUs a list such as 0-3,8 has."""
    count = 0
    for part in numbers.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            count += int(last or first) - int(first) + 1
    return count


def named(wanted: str, taken: Iterable[str], *, fallback: str) -> str:
    """A name for a process or VMA that is none of those taken."""
    clean = " ".join("".join(c if c.isprintable() else "?" for c in wanted).split()) or fallback
    clean = clean[:_LONGEST].strip()
    used = set(taken)
    name, number = clean, 2
    while name in used:
        name, number = f"{clean}-{number}", number + 1
    return name


def cgroup_of(given: Given, *keys: str) -> str:
    """The cgroup that was asked for by one of the keys; else one for the last key, a name."""
    for key in keys:
        if key in given.cgroups:
            return given.cgroups[key]
    plain = re.sub(r"[^A-Za-z0-9_.@:-]", "_", keys[-1][:_LONGEST]).strip(".") or "unnamed"
    return f"/recorded/{plain}"


def workload_of(
    given: Given, description: str, machine: Machine, processes: Sequence[Process]
) -> Workload:
    """The workload of processes, with their cgroups and those above them.

    Raises RecordError if the model could not hold their memory.
    """
    pages = sum(vma.size for each in processes for vma in each.vmas) // machine.page_size
    if pages > _MOST_PAGES:
        raise RecordError(
            f"its memory lies in {pages:,} pages, more than the {_MOST_PAGES:,} that a workload "
            "can have; record fewer processes at a time"
        )
    cgroups: dict[str, Cgroup] = {}
    for process in processes:
        parts = process.cgroup.strip("/").split("/")
        for end in range(1, len(parts) + 1 if parts[0] else 0):
            path = "/" + "/".join(parts[:end])
            cgroups.setdefault(path, Cgroup(path=path))
    return Workload(
        name=given.name,
        description=description,
        machine=machine,
        cgroups=tuple(cgroups.values()),
        processes=tuple(processes),
    )
