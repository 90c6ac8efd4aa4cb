"""Sentences about a run: the settings without which a policy had no effect, and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policyc.simulate.model.hook import PolicyHook
from policyc.simulate.workload.specification import Workload

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host

__all__ = ["notes_of"]


def notes_of(host: Host, workload: Workload) -> tuple[str, ...]:
    """What somebody who reads the figures should know."""
    hook = host.hook
    if not isinstance(hook, PolicyHook):
        return ()
    found: list[str] = []
    machine = workload.machine
    plan = hook.policy.plan
    thp = machine.thp
    if plan.thp is not None and thp.enabled == "never":
        found.append(
            "the policy is not asked: transparent_hugepage/enabled is never; "
            "it takes madvise or always"
        )
    elif plan.thp is not None:
        enabled = {host.pmd_order: "inherit", **thp.sizes}
        small = [o for o, mode in enabled.items() if mode != "never" and o < host.pmd_order]
        if not small:
            found.append(
                "only PMD-sized pages are enabled in sysfs: orders below that the policy "
                "allows had no effect (hugepages-*kB/enabled)"
            )
        if thp.enabled == "madvise" and not _advised(host):
            found.append(
                "transparent_hugepage/enabled is madvise and no mapping is advised: "
                "page faults use base pages whatever the policy says"
            )
    if thp.shrink_underused and machine.khugepaged.max_ptes_none >= (1 << host.pmd_order) - 1:
        found.append(
            "the shrinker of underused pages does nothing while khugepaged/max_ptes_none is "
            f"{machine.khugepaged.max_ptes_none}"
        )
    if plan.numa is not None and len(host.nodes) < 2:
        found.append("numa rules have no effect on a machine with one node")
    return tuple(found)


def _advised(host: Host) -> bool:
    return any(area.advised for process in host.processes for area in process.areas.values())
