"""What a policy answers, as the model of the kernel asks it.

The answer is what the kernel of a profile makes of the value that a compiled program
returns, by the code that `policyc decide` and embedding programs use too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from policyc.runtime.requests import Advice, Event, NumaRequest, ThpRequest, VmaKind
from policyc.simulate.workload.specification import Process

if TYPE_CHECKING:
    from policyc.api import Policy
    from policyc.simulate.model.area import Area
    from policyc.simulate.model.host import CgroupState, Host, ProcessState
    from policyc.simulate.model.pressure import Pressure

__all__ = ["Hook", "NumaAnswer", "PolicyHook", "comm_of"]

#: memory.max of a cgroup without a limit, in bytes: PAGE_COUNTER_MAX pages of 4 KiB.
_NO_LIMIT = 0x7FFF_FFFF_FFFF_F000


@dataclass(frozen=True, slots=True)
class NumaAnswer:
    """Whether a task is balanced by us, and its hot threshold in nanoseconds, None: the
    system's.
    """

    on: bool
    hot_threshold: int | None


def comm_of(process: Process) -> str:
    """The name that the kernel has for a process: its own, cut to 15 bytes."""
    return (process.comm or process.name).encode()[:15].decode(errors="ignore")


@dataclass(slots=True, eq=False)
class Hook:
    """No policy is attached: every request is left alone."""

    def thp(self, host: Host, area: Area, event: Event, orders: int, count: int = 1) -> int:
        """The orders of a request that the kernel goes on with; asked `count` times."""
        return orders

    def numa(self, host: Host, process: ProcessState) -> NumaAnswer:
        """Whether a task is balanced."""
        return NumaAnswer(False, None)

    @property
    def attached(self) -> bool:
        """Whether a program is called at all."""
        return False

    def forget(self) -> None:
        """A tick has passed: usage and pressure may have changed."""


@dataclass(slots=True, eq=False)
class PolicyHook(Hook):
    """A policy that is attached by a profile.

    `decided` counts decisions by hook and the index of the rule, -1 where no block has an
    opinion; `outcomes` counts what became of thp requests: allowed, narrowed, denied.
    """

    policy: Policy
    profile: str
    active: bool = True
    decided: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    _thp: dict[tuple[int, str, int], tuple[int, int, str]] = field(
        default_factory=dict[tuple[int, str, int], tuple[int, int, str]]
    )
    _numa: dict[int, tuple[NumaAnswer, int]] = field(
        default_factory=dict[int, tuple[NumaAnswer, int]]
    )

    @property
    def attached(self) -> bool:
        """Whether it is attached."""
        return self.active

    def forget(self) -> None:
        """See Hook."""
        self._thp.clear()
        self._numa.clear()

    def thp(self, host: Host, area: Area, event: Event, orders: int, count: int = 1) -> int:
        """See Hook."""
        if not self.active or self.policy.plan.thp is None or (not count and not orders):
            return orders
        key = (id(area), event, orders)
        found = self._thp.get(key)
        if found is None:
            found = self._thp[key] = self._ask(host, area, event, orders)
        effective, rule, outcome = found
        self.decided["thp", rule] += count
        self.outcomes[outcome] += count
        return effective

    def _ask(self, host: Host, area: Area, event: Event, orders: int) -> tuple[int, int, str]:
        decision = self.policy.decide(thp_request(host, area, event, orders))
        effective = decision.effective(self.profile) & orders
        if decision.rule is None:
            return effective, -1, "no opinion"
        kept = "denied" if not effective else "narrowed"
        outcome = "allowed" if effective == orders & ~1 else kept
        return effective, decision.rule.index, outcome

    def numa(self, host: Host, process: ProcessState) -> NumaAnswer:
        """See Hook; which instance a task of a cgroup gets is `machine.numa.hierarchy`."""
        hook = self.policy.plan.numa
        if not self.active or hook is None:
            return NumaAnswer(False, None)
        found = self._numa.get(process.pid)
        if found is None:
            found = self._numa[process.pid] = self._balance(host, process)
        answer, rule = found
        self.decided["numa", rule] += 1
        return answer

    def _balance(self, host: Host, process: ProcessState) -> tuple[NumaAnswer, int]:
        if host.machine.numa.hierarchy == "leaf" and not self._has_instance(process.cgroup):
            return NumaAnswer(False, None), -1
        decision = self.policy.decide(numa_request(host, process))
        rule = -1 if decision.rule is None else decision.rule.index
        return NumaAnswer(decision.on, decision.hot_threshold), rule

    def _has_instance(self, cgroup: CgroupState) -> bool:
        """Whether a program is attached to the very cgroup, and not to one above it."""
        plan = self.policy.plan
        assert plan.numa is not None
        scopes = {
            "/" if block.scope is None else plan.paths[block.scope] for block in plan.numa.blocks
        }
        return cgroup.path in scopes


def thp_request(host: Host, area: Area, event: Event, orders: int) -> ThpRequest:
    """The attributes of a request, as a program reads them."""
    process = area.process
    vma = area.vma
    return ThpRequest(
        orders=orders,
        event=event,
        vma_advice=cast("Advice", vma.advice),
        vma_kind=cast("VmaKind", vma.kind),
        vma_size=area.pages * host.page_size,
        **_of_task(host, process),
    )


def numa_request(host: Host, process: ProcessState) -> NumaRequest:
    """The attributes of a task."""
    return NumaRequest(**_of_task(host, process))


def _of_task(host: Host, process: ProcessState) -> dict[str, Any]:
    cgroup = process.cgroup
    limit = host.limit_of(cgroup)
    values: dict[str, Any] = {
        "mm_rss": process.resident * host.page_size,
        "mm_size": sum(area.pages for area in process.areas.values()) * host.page_size,
        "task_comm": comm_of(process.spec),
        "task_uid": process.spec.uid,
        "task_pid": process.pid,
        "cgroup": cgroup.path,
        "cgroup_depth": cgroup.depth,
        "cgroup_id": cgroup.id,
        "memory_usage": cgroup.usage * host.page_size,
        "memory_max": _NO_LIMIT if limit is None else limit * host.page_size,
        "node_count": len(host.nodes),
        "node_id": process.node,
    }
    values.update(_pressures("cgroup_psi", cgroup.pressure))
    values.update(_pressures("psi", host.psi))
    return values


def _pressures(prefix: str, pressure: Pressure) -> dict[str, int]:
    """Pressure of memory as it is; of CPU and IO, which the model has not, none."""
    found: dict[str, int] = {}
    for which in ("some", "full"):
        for window in ("avg10", "avg60", "avg300"):
            found[f"{prefix}_memory_{which}_{window}"] = pressure.percent(which, window)
            for other in ("cpu", "io"):
                found[f"{prefix}_{other}_{which}_{window}"] = 0
    return found
