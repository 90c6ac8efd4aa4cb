"""Checks what the values of a workload mean together."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from policyc.runtime.checks import did_you_mean
from policyc.runtime.units import spell_value
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.findings import Findings
from policyc.simulate.workload.positions import Path
from policyc.simulate.workload.schema import PATTERN_KEYS

__all__ = ["check_meaning"]

#: Pages of all processes; the model has some ten bytes for each.
_MOST_PAGES = 1 << 31

_MOST_PROCESSES = 100_000
_MOST_NODES = 64
_ENDS = ("touches", "passes", "duration")


def check_meaning(workload: spec.Workload, findings: Findings) -> None:
    """Add to the findings what is wrong or odd, where nothing else is wrong already."""
    machine = workload.machine
    _check_machine(machine, findings)
    _check_cgroups(workload, findings)
    _check_unique("processes", "name", workload.processes, findings, ())
    for number, process in enumerate(workload.processes):
        _check_process(machine, process, ("processes", number), findings)
    _check_shares(workload, findings)
    _check_totals(workload, findings)
    _check_time(workload, findings)


def _size(value: int) -> str:
    return spell_value("size", value)


def _check_unique(
    what: str,
    key: str,
    things: tuple[spec.Process, ...] | tuple[spec.Vma, ...],
    findings: Findings,
    path: Path,
) -> None:
    seen: set[str] = set()
    for number, thing in enumerate(things):
        if thing.name and thing.name in seen:
            place = (*path, what, number, key)
            findings.error(place, f"there are two {what} with the name {thing.name!r}")
        seen.add(thing.name)


def _check_machine(machine: spec.Machine, findings: Findings) -> None:
    path: Path = ("machine",)
    if len(machine.nodes) > _MOST_NODES:
        count = len(machine.nodes)
        findings.error((*path, "nodes"), f"found {count} nodes, expected at most {_MOST_NODES}")
        return
    if not findings.sound((*path, "nodes")):
        return
    if not machine.cpus:
        findings.error((*path, "nodes"), "no node has CPUs")
    if all(node.tier for node in machine.nodes):
        message = "no node is of tier 0, the fastest"
        findings.error((*path, "nodes"), message)
    numa = machine.numa
    if numa.scan_period_min > numa.scan_period_max:
        message = "scan_period_min is longer than scan_period_max"
        findings.error((*path, "numa", "scan_period_min"), message)
    scan = machine.kmmscand
    if scan.scan_enabled:
        known = [number for number, node in enumerate(machine.nodes) if not node.tier]
        if scan.target_node not in known:
            message = f"found {scan.target_node}, expected a node of tier 0: {known}"
            findings.error((*path, "kmmscand", "target_node"), message)
    most = (1 << machine.pmd_order) - 1
    for key in ("max_ptes_none", "max_ptes_swap", "max_ptes_shared"):
        value = getattr(machine.khugepaged, key)
        if value > most and value != getattr(spec.Khugepaged(), key):
            message = f"found {value}, expected 0 to {most}: a PMD-sized page has {most + 1} pages"
            findings.error((*path, "khugepaged", key), message)


def _check_cgroups(workload: spec.Workload, findings: Findings) -> None:
    path: Path = ("cgroups",)
    for cgroup in workload.cgroups:
        place = (*path, cgroup.path)
        high, limit = cgroup.memory_high, cgroup.memory_max
        if high is not None and limit is not None and high > limit:
            message = f"memory_high {_size(high)} is above memory_max {_size(limit)}: no effect"
            findings.warn((*place, "memory_high"), message)
    if (*path, "/") in findings.lines:
        findings.error((*path, "/"), "the root cgroup has no limits")
    declared = [str(key[1]) for key in findings.lines if len(key) == 2 and key[0] == "cgroups"]
    for number, process in enumerate(workload.processes):
        parts = process.cgroup.strip("/").split("/")
        chain = ["/" + "/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if process.cgroup == "/" or not declared or set(chain) & set(declared):
            continue
        if near := get_close_matches(process.cgroup, declared, 1, 0.85):
            message = f"nothing of {process.cgroup} is declared; did you mean {near[0]!r}?"
            findings.warn(("processes", number, "cgroup"), message)


def _check_process(
    machine: spec.Machine, process: spec.Process, path: Path, findings: Findings
) -> None:
    nodes = machine.nodes
    if findings.sound(("machine", "nodes")):
        if process.node >= len(nodes):
            message = f"found {process.node}, expected a node of 0 to {len(nodes) - 1}"
            findings.error((*path, "node"), message)
        elif not nodes[process.node].cpus:
            findings.error((*path, "node"), f"node {process.node} has no CPUs to run on")
    _check_unique("vmas", "name", process.vmas, findings, path)
    for number, vma in enumerate(process.vmas):
        place = (*path, "vmas", number)
        if findings.sound(place):
            _check_vma(machine, process, vma, place, findings)
    for number, phase in enumerate(process.phases):
        place = (*path, "phases", number)
        if findings.sound(place):
            _check_phase(process, phase, place, findings)
    _check_order_of_phases(process, path, findings)
    if not process.phases and findings.sound(path):
        findings.warn(path, f"process {process.name!r} does nothing: it has no phases")
    used = {phase.vma for phase in process.phases}
    for number, vma in enumerate(process.vmas):
        if process.phases and vma.name not in used and findings.sound((*path, "phases")):
            findings.warn((*path, "vmas", number), f"VMA {vma.name!r} is never touched")


def _check_order_of_phases(process: spec.Process, path: Path, findings: Findings) -> None:
    for number, phase in enumerate(process.phases[:-1]):
        if phase.pattern is spec.Pattern.EXIT:
            message = "the process has ended: this phase is never reached"
            findings.warn((*path, "phases", number + 1), message)
            return


def _check_vma(
    machine: spec.Machine, process: spec.Process, vma: spec.Vma, path: Path, findings: Findings
) -> None:
    pmd = machine.page_size << machine.pmd_order
    if vma.misalign % machine.page_size or vma.misalign >= pmd:
        message = (
            f"found {_size(vma.misalign)}, expected whole pages of {_size(machine.page_size)}, "
            f"below {_size(pmd)}"
        )
        findings.error((*path, "misalign"), message)
    if vma.share and vma.kind != "shmem":
        message = f"only shmem can be shared, and this VMA is {vma.kind}; fork shares {vma.kind}"
        findings.error((*path, "share"), message)
    if vma.node is not None and findings.sound(("machine", "nodes")):
        last = len(machine.nodes) - 1
        if vma.node > last:
            findings.error((*path, "node"), f"found {vma.node}, expected a node of 0 to {last}")


def _check_phase(process: spec.Process, phase: spec.Phase, path: Path, findings: Findings) -> None:
    keys = PATTERN_KEYS[phase.pattern]
    if "vma" in keys:
        _check_range(process, phase, path, findings)
    if "touches" in keys:
        ends = [key for key in _ENDS if getattr(phase, key) is not None]
        if not ends:
            findings.error(path, "this phase has no end: give touches, passes or duration")
        elif len(ends) > 1:
            message = f"a phase ends in one way: choose {' or '.join(ends)}"
            findings.error((*path, ends[-1]), message)
        for key in ("passes", "rate", "hot_size"):
            if key in keys | {"passes"} and getattr(phase, key) == 0:
                findings.error((*path, key), "found 0, expected more")
    elif "duration" in keys and phase.duration is None:
        findings.error(path, f"a phase of pattern {phase.pattern.value!r} needs a duration")


def _check_range(process: spec.Process, phase: spec.Phase, path: Path, findings: Findings) -> None:
    known = {vma.name: vma for vma in process.vmas}
    if phase.vma not in known:
        if not phase.vma:
            there = ", ".join(known) or "none"
            message = f"say which vma: the process has {there}"
            findings.error(path, message)
            return
        hint = did_you_mean(phase.vma, known) or f"; it has {', '.join(known) or 'none'}"
        message = f"process {process.name!r} has no VMA {phase.vma!r}{hint}"
        findings.error((*path, "vma"), message)
        return
    size = known[phase.vma].size
    if phase.offset >= size:
        message = f"found {_size(phase.offset)}, but VMA {phase.vma!r} has {_size(size)}"
        findings.error((*path, "offset"), message)
    elif phase.length is not None and phase.offset + phase.length > size:
        message = (
            f"the range ends at {_size(phase.offset + phase.length)}, "
            f"but VMA {phase.vma!r} has {_size(size)}"
        )
        findings.error((*path, "length"), message)
    elif phase.pattern is spec.Pattern.STRIDE and phase.stride > size:
        message = f"the stride {_size(phase.stride)} is larger than VMA {phase.vma!r}"
        findings.warn((*path, "stride"), message)


def _vmas(workload: spec.Workload) -> Iterator[tuple[Path, spec.Process, spec.Vma]]:
    for number, process in enumerate(workload.processes):
        for index, vma in enumerate(process.vmas):
            yield ("processes", number, "vmas", index), process, vma


def _check_shares(workload: spec.Workload, findings: Findings) -> None:
    first: dict[str, spec.Vma] = {}
    for path, _, vma in _vmas(workload):
        if not vma.share:
            continue
        other = first.setdefault(vma.share, vma)
        if (other.size, other.misalign) != (vma.size, vma.misalign):
            message = (
                f"share {vma.share!r} has {_size(other.size)} and misalign "
                f"{_size(other.misalign)} elsewhere; all its VMAs must agree"
            )
            findings.error((*path, "share"), message)


def _check_totals(workload: spec.Workload, findings: Findings) -> None:
    processes = sum(process.count for process in workload.processes)
    if processes > _MOST_PROCESSES:
        message = f"there are {processes:,} processes, expected at most {_MOST_PROCESSES:,}"
        findings.error(("processes",), message)
    sizes: dict[object, int] = {}
    for path, process, vma in _vmas(workload):
        if findings.sound(path):
            once = vma.size if vma.share else vma.size * process.count
            sizes[vma.share or path] = once
    total = sum(sizes.values())
    if total // workload.machine.page_size > _MOST_PAGES:
        most = _size(_MOST_PAGES * workload.machine.page_size)
        message = f"the VMAs have {_size(total)} together, expected at most {most}"
        findings.error(("processes",), message)


def _check_time(workload: spec.Workload, findings: Findings) -> None:
    if workload.duration is None:
        if workload.processes and not any(process.repeat for process in workload.processes):
            message = "all processes repeat until the workload ends: give it a duration at the top"
            findings.error(("processes", 0, "repeat"), message)
        return
    for number, process in enumerate(workload.processes):
        if process.start >= workload.duration:
            message = "it starts when the workload has ended"
            findings.warn(("processes", number, "start"), message)
    for action in workload.actions:
        if action.at > workload.duration:
            message = f"{action.kind.value} is after the end of the workload"
            findings.warn(("at",), message)
            return
