"""What somebody should know who reads a policy's figures: settings that decide all."""

from __future__ import annotations

from policyc.hooks.loader import host_rows
from policyc.plan.nodes import HostSetting, Plan
from policyc.runtime.units import spell_value
from policyc.simulate.baselines import UNMODELLED
from policyc.simulate.results import Run
from policyc.simulate.workload.specification import Machine, Thp, Workload

__all__ = ["notes_after", "notes_before"]

#: With this value the shrinker of underused pages never splits (mm/huge_memory.c,
#: thp_underused), and it is the kernel's default.
_SHRINKER_OFF = 511


def notes_before(plan: Plan, workload: Workload, used: Workload) -> tuple[str, ...]:
    """What the settings alone say: of the workload's machine, and as the policy has them."""
    before, after = workload.machine, used.machine
    notes = [*_thp_notes(plan, before, used), *_numa_notes(plan, after)]
    for setting in plan.host:
        if setting.name in UNMODELLED:
            notes.append(f"{setting.name} is not part of the model")
    if after.thp.shrink_underused and after.khugepaged.max_ptes_none >= _SHRINKER_OFF:
        names = {setting.name for setting in plan.host}
        if "thp.shrink_underused" in names:
            notes.append("thp.shrink_underused splits nothing with khugepaged.max_ptes_none = 511")
    return tuple(notes)


def notes_after(run: Run) -> tuple[str, ...]:
    """What the figures of a policy's run say about it."""
    if not run.rules:
        return ()
    notes: list[str] = []
    hooks = {rule.hook for rule in run.rules}
    if run.no_opinion + sum(rule.decisions for rule in run.rules) == 0:
        notes.append("the kernel never asked the policy anything")
    elif all(rule.decisions == 0 for rule in run.rules):
        notes.append("no rule ever decided: all requests were left as they were")
    elif len(hooks) > 1:
        notes += [
            f"the kernel never asked the {hook} block, or no rule of it decided"
            for hook in sorted(hooks)
            if not any(rule.decisions for rule in run.rules if rule.hook == hook)
        ]
    return tuple(notes)


def _asks(thp: Thp) -> bool:
    """Whether any anonymous area may have huge pages, so that the hook is asked."""
    modes = set(thp.sizes.values())
    return thp.enabled != "never" or bool(modes & {"always", "madvise"})


def _thp_notes(plan: Plan, before: Machine, used: Workload) -> list[str]:
    if plan.thp is None:
        return []
    after = used.machine
    if not _asks(after.thp):
        said = "thp.enabled is never, so the kernel never asks the thp block"
        return [f"{said}; `host {{ thp.enabled = madvise; }}` changes that"]
    if not _asks(before.thp):
        settings = [
            _spelled(plan, setting)
            for setting in plan.host
            if setting.name in ("thp.enabled", "thp.enabled[]")
        ]
        said = f"without {', '.join(settings)} the thp block would have had no effect"
        return [f"{said}: the workload's machine has thp.enabled = never"]
    return _narrow_notes(after, used)


def _narrow_notes(machine: Machine, workload: Workload) -> list[str]:
    """What sysfs leaves out, where the hook is asked and its answer changes nothing."""
    notes: list[str] = []
    thp = machine.thp
    small = [mode for order, mode in thp.sizes.items() if order < machine.pmd_order]
    if all(mode == "never" for mode in small):
        notes.append(
            "sysfs enables PMD-sized pages only: smaller orders that the policy allows "
            "have no effect (thp.enabled[64K] and so on)"
        )
    advised = any(v.advice == "hugepage" for p in workload.processes for v in p.vmas)
    if thp.enabled == "madvise" and not advised and "always" not in thp.sizes.values():
        notes.append(
            "thp.enabled is madvise and no mapping is advised: faults use base pages "
            "whatever the policy says"
        )
    return notes


def _numa_notes(plan: Plan, after: Machine) -> list[str]:
    if plan.numa is None:
        return []
    notes: list[str] = []
    thresholds = any(block.hot_threshold is not None for block in plan.numa.blocks)
    if thresholds and not after.numa.balancing & 2:
        notes.append(
            "hot_threshold has no effect: numa.balancing has not the bit of memory tiering (2)"
        )
    if len(after.nodes) < 2:
        notes.append("the machine has one node: there is nothing that NUMA balancing could move")
    return notes


def _spelled(plan: Plan, setting: HostSetting) -> str:
    """A setting as the policy writes it."""
    row = host_rows()[setting.name]
    name = setting.name
    if setting.argument is not None:
        size = spell_value("size", plan.target.page_size << setting.argument)
        name = name.replace("[]", f"[{size}]")
    value = setting.value
    if isinstance(value, bool):
        return f"{name} = {'on' if value else 'off'}"
    if isinstance(value, int):
        return f"{name} = {spell_value(row.type.kind.value, value)}"
    return f"{name} = {value if isinstance(value, str) else value.decode()}"
