"""What a run came to: the figures of each cgroup, of the whole, and the rules that decided."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from policyc.simulate.model.histogram import Histogram
from policyc.simulate.model.hook import PolicyHook
from policyc.simulate.results import COUNTERS, Figures, RuleCount, Run, Timeline
from policyc.simulate.workload.specification import SECOND

if TYPE_CHECKING:
    from policyc.simulate.model.area import Area
    from policyc.simulate.model.host import CgroupState, Host, ProcessState
    from policyc.simulate.recorder import Recorder

__all__ = ["account"]


def account(host: Host, recorder: Recorder, name: str) -> Run:
    """The result of a run that has ended."""
    rules, undecided = _rules(host)
    figures = {
        path: _figures(host, recorder, cgroup)
        for path, cgroup in host.cgroups.items()
        if path != "/" or cgroup.processes
    }
    return Run(
        name=name,
        policy=isinstance(host.hook, PolicyHook),
        total=_figures(host, recorder, host.root),
        cgroups=figures,
        process_seconds={
            process.name: -1.0 if process.killed else (process.ended or host.now) / SECOND
            for process in host.processes
        },
        rules=rules,
        no_opinion=undecided,
        timeline=Timeline(
            seconds=tuple(round(s, 6) for s in recorder.seconds),
            series={key: tuple(values) for key, values in sorted(recorder.series.items())},
        ),
    )


def _figures(host: Host, recorder: Recorder, cgroup: CgroupState) -> Figures:
    size = host.page_size
    processes = [process for each in cgroup.below() for process in each.processes]
    areas = _areas(processes)
    access, faults = Histogram(), Histogram()
    orders: Counter[int] = Counter()
    for process in processes:
        access.merge(process.access_times)
        faults.merge(process.fault_times)
        orders.update(process.fault_orders)
    some, full = recorder.highest.get(cgroup.path, (0, 0))
    ends = [process.ended for process in processes if process.ended is not None]
    unfinished = any(p.alive and p.ended is None and p.parent is None for p in processes)
    folios, nodes = _places(areas)
    return Figures(
        counters={name: cgroup.counters[name] for name in COUNTERS},
        memory_bytes=cgroup.usage * size,
        memory_peak_bytes=cgroup.peak * size,
        memory_mean_bytes=round(recorder.weight[cgroup.path] * size / max(1, recorder.length)),
        bloat_bytes=sum(area.unfilled for area in areas) * size + _lingering(cgroup) * size,
        swap_bytes=cgroup.swap * size,
        huge_bytes_by_order={order: folios[order] * size for order in range(1, host.pmd_order + 1)},
        bytes_by_node=tuple(nodes[node] * size for node in range(len(host.nodes))),
        faults_by_order={order: orders[order] for order in sorted(orders)},
        touches=round(sum(process.touches for process in processes)),
        run_seconds=(host.now if unfinished or not ends else max(ends)) / SECOND,
        cpu_seconds=sum(process.cpu_time for process in processes) / SECOND,
        access_p50_seconds=access.quantile(0.5) / SECOND,
        access_p99_seconds=access.quantile(0.99) / SECOND,
        fault_p50_seconds=faults.quantile(0.5) / SECOND,
        fault_p99_seconds=faults.quantile(0.99) / SECOND,
        pressure_some=some / 100,
        pressure_full=full / 100,
        stall_seconds=sum(p.all_stalls + p.stalled for p in processes) / SECOND,
    )


def _areas(processes: list[ProcessState]) -> list[Area]:
    """The areas that are charged to these processes."""
    found: list[Area] = []
    for process in processes:
        if process.alive:
            found += [area for area in process.areas.values() if area.process is process]
    return found


def _places(areas: list[Area]) -> tuple[Counter[int], Counter[int]]:
    """Pages by the order of their folio, and by node; what a fork shares is there once."""
    orders, nodes = Counter[int](), Counter[int]()
    for area in areas:
        orders.update(dict(enumerate(area.by_order)))
        nodes.update(dict(enumerate(area.by_node)))
        if area.borrowed is not None:
            orders.subtract(area.folio[area.borrowed].tolist())
            nodes.subtract(area.node[area.borrowed].tolist())
    return orders, nodes


def _lingering(cgroup: CgroupState) -> int:
    return sum(each.lingering for each in cgroup.below())


def _rules(host: Host) -> tuple[tuple[RuleCount, ...], int]:
    hook = host.hook
    if not isinstance(hook, PolicyHook):
        return (), 0
    counts = [
        RuleCount(
            hook=each.hook.value,
            index=rule.index,
            label=rule.label,
            line=rule.line,
            text=rule.text,
            decisions=hook.decided[each.hook.value, rule.index],
        )
        for each in hook.policy.plan.hooks
        for block in each.blocks
        for rule in block.rules
    ]
    return tuple(counts), sum(hook.decided[name, -1] for name in ("thp", "numa"))
