"""Stock settings by name, and the settings of a policy's host block, on a workload's machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from policyc.plan.nodes import HostSetting, Plan
from policyc.simulate.workload.specification import Machine, Workload

__all__ = [
    "BASELINES",
    "DEFAULT",
    "UNMODELLED",
    "applied",
    "host_settings",
    "kept",
    "numa_default",
]

#: What the shrinker compares with where the machine has the kernel's default of 511, with
#: which it never splits: 80% of a PMD page, the value that its author measured with.
_SHRINKER_MAX_PTES_NONE = 409
_KERNEL_MAX_PTES_NONE = 511


def _thp(machine: Machine, enabled: str, *, shrink: bool = False) -> Machine:
    """One global mode for anonymous memory and nothing by size; shmem stays as it is."""
    thp = replace(machine.thp, enabled=enabled, sizes={}, shrink_underused=shrink)
    return replace(machine, thp=thp)


def _shrinker(machine: Machine) -> Machine:
    machine = _thp(machine, "always", shrink=True)
    if machine.khugepaged.max_ptes_none < _KERNEL_MAX_PTES_NONE:
        return machine
    khugepaged = replace(machine.khugepaged, max_ptes_none=_SHRINKER_MAX_PTES_NONE)
    return replace(machine, khugepaged=khugepaged)


def _balancing(machine: Machine, mode: int, *, scan: bool = False) -> Machine:
    return replace(
        machine,
        numa=replace(machine.numa, balancing=mode),
        kmmscand=replace(machine.kmmscand, scan_enabled=scan),
    )


#: What each baseline makes of a machine.
BASELINES: dict[str, Callable[[Machine], Machine]] = {
    "never": lambda machine: _thp(machine, "never"),
    "madvise": lambda machine: _thp(machine, "madvise"),
    "always": lambda machine: _thp(machine, "always"),
    "always+shrinker": _shrinker,
    "numab0": lambda machine: _balancing(machine, 0),
    "numab1": lambda machine: _balancing(machine, 1),
    "numab2": lambda machine: _balancing(machine, 2),
    "kmmscand": lambda machine: _balancing(machine, 1, scan=True),
}

#: The baselines beside a policy.
DEFAULT = ("never", "madvise", "always", "always+shrinker")

#: Beside one with a numa block: the modes that the machine has not anyway; the last one only
#: where there are tiers.
_NUMA_MODES = ("numab0", "numab1", "numab2")

#: Settings of host.toml that the model has no counterpart of.
UNMODELLED = ("khugepaged.defrag",)


def applied(workload: Workload, name: str) -> Workload:
    """The workload on a machine with the stock settings of a baseline.

    `always` is without the shrinker of underused pages; `always+shrinker` has it with
    max_ptes_none as the machine has it, or 409 where that is the kernel's 511. The numab
    baselines and kmmscand leave the settings of THP as they are, and the others those of
    NUMA balancing. KeyError if there is no such baseline.
    """
    return replace(workload, machine=BASELINES[name](workload.machine))


#: What a baseline is named after: nobody means these when a setting is given for all runs.
_OF_BASELINES = frozenset(
    {"thp.enabled", "thp.shrink_underused", "numa.balancing", "kmmscand.scan_enabled"}
)


def kept(
    before: Workload, after: Workload, overrides: Iterable[str], *, baseline: bool
) -> Workload:
    """`after`, with the settings of the machine that were asked for as they were `before`.

    `overrides` are KEY or KEY=VALUE. What a user sets on the command line is stronger than
    the host block of a policy, and than all that a baseline is not named after.
    """
    machine = after.machine
    for override in overrides:
        path = override.partition("=")[0].strip().split(".")
        if path[0] != "machine" or len(path) < 3:
            continue
        part, field = path[1], path[2]
        if baseline and f"{part}.{field}" in _OF_BASELINES:
            continue
        asked = getattr(before.machine, part, None)
        if hasattr(asked, field):
            machine = _replaced(machine, part, field, getattr(asked, field))
    return replace(after, machine=machine)


def numa_default(machine: Machine) -> tuple[str, ...]:
    """The baselines beside a policy with a numa block."""
    tiers = len({node.tier for node in machine.nodes})
    modes = _NUMA_MODES if tiers > 1 else _NUMA_MODES[:2]
    return tuple(name for number, name in enumerate(modes) if number != machine.numa.balancing)


def host_settings(workload: Workload, plan: Plan) -> Workload:
    """The workload on a machine with the settings of the policy's host block."""
    machine = workload.machine
    for setting in plan.host:
        machine = _set(machine, setting)
    return replace(workload, machine=machine)


def _set(machine: Machine, setting: HostSetting) -> Machine:
    """The machine with one setting; both it and the language count in bytes and nanoseconds."""
    if setting.name in UNMODELLED:
        return machine
    part, _, name = setting.name.partition(".")
    known = getattr(machine, part)
    if name.endswith("[]"):
        field = {"enabled[]": "sizes", "shmem_enabled[]": "shmem_sizes"}[name]
        assert setting.argument is not None
        return _replaced(
            machine, part, field, {**getattr(known, field), setting.argument: setting.value}
        )
    value = setting.value
    return _replaced(machine, part, name, bool(value) if _is_switch(known, name) else value)


def _is_switch(part: object, name: str) -> bool:
    return isinstance(getattr(part, name), bool)


def _replaced(machine: Machine, part: str, field: str, value: object) -> Machine:
    return replace(machine, **{part: replace(getattr(machine, part), **{field: value})})
