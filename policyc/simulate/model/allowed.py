"""Which orders a mapping may use (include/linux/huge_mm.h, thp_vma_allowable_orders)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policyc.runtime.requests import Event

if TYPE_CHECKING:
    from policyc.simulate.model.area import Area
    from policyc.simulate.model.host import Host

__all__ = ["allowed_orders", "fitting_orders", "sysfs_orders", "thp_disabled"]


def allowed_orders(host: Host, area: Area, event: Event, orders: int, count: int = 1) -> int:
    """The mask of the requested orders that the mapping may use; asked `count` times.

    First the policy, then sysfs, then prctl and the shape of the mapping. Where the global
    mode is "never" the policy is not asked. The fault path of shared memory asks no policy
    (seen on 6.12).
    """
    if thp_disabled(area, event):
        return 0
    asked = host.machine.thp.enabled != "never"
    if area.vma.kind == "shmem" and event in ("pagefault", "swap_pagefault"):
        asked = False
    if asked:
        orders = host.hook.thp(host, area, event, orders, count)
    if event != "forced_collapse":
        orders &= sysfs_orders(host, area)
    elif area.vma.kind == "anon":
        orders &= _anonymous(host)
    if orders and event not in ("pagefault", "swap_pagefault"):
        orders &= fitting_orders(area)
    return orders


def thp_disabled(area: Area, event: Event) -> bool:
    """Whether advice or prctl rule out THP (include/linux/huge_mm.h, vma_thp_disabled)."""
    if area.vma.advice == "nohugepage":
        return True
    match area.process.spec.thp_disable:
        case "yes":
            return True
        case "except-advised":
            return not area.advised and event != "forced_collapse"
        case _:
            return False


def _anonymous(host: Host) -> int:
    """THP_ORDERS_ALL_ANON: 2 to the PMD order."""
    return (2 << host.pmd_order) - 4


def sysfs_orders(host: Host, area: Area) -> int:
    """The orders that the global and the per-size modes leave to a mapping."""
    thp = host.machine.thp
    if area.vma.kind == "shmem":
        return _modes(host, area, thp.shmem_sizes, thp.shmem_enabled, "never")
    return _modes(host, area, thp.sizes, thp.enabled, "inherit") & _anonymous(host)


def _modes(host: Host, area: Area, sizes: dict[int, str], inherited: str, default: str) -> int:
    """The orders whose mode, or what it inherits, is "always", or "madvise" and advised."""
    modes = {host.pmd_order: inherited if area.vma.kind == "shmem" else default, **sizes}
    mask = 0
    for order, mode in modes.items():
        effective = inherited if mode == "inherit" else mode
        always = effective in ("always", "force", "within_size")
        if always or (effective in ("madvise", "advise") and area.advised):
            mask |= 1 << order
    return mask


def fitting_orders(area: Area) -> int:
    """The orders of which an aligned folio fits into the mapping (thp_vma_suitable_order)."""
    mask = 0
    for order in range(area.order + 1):
        head = -(-area.first >> order) << order
        if head + (1 << order) <= area.end:
            mask |= 1 << order
    return mask
