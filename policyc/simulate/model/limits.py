"""Limits of memory cgroups (mm/memcontrol.c, page counters)."""

from __future__ import annotations

from policyc.simulate.model.host import CgroupState

__all__ = ["charge", "limiting", "room", "uncharge"]


def room(cgroup: CgroupState) -> int:
    """Pages that may be charged until memory.max of the cgroup or of an ancestor."""
    return min(each.max - each.usage for each in cgroup.upwards())


def limiting(cgroup: CgroupState) -> CgroupState:
    """The cgroup or ancestor with the least room, the nearest of several."""
    return min(cgroup.upwards(), key=lambda each: each.max - each.usage)


def charge(cgroup: CgroupState, pages: int) -> None:
    """Charge pages, whatever the limits say: the caller asked for room before."""
    for each in cgroup.upwards():
        each.usage += pages
        each.peak = max(each.peak, each.usage)


def uncharge(cgroup: CgroupState, pages: int) -> None:
    """Take a charge back."""
    for each in cgroup.upwards():
        each.usage -= pages
