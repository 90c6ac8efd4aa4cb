"""A policy in the kernel: loaded, its maps filled, attached."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from policyc.kernel import state
from policyc.kernel.cgroups import cgroup_id
from policyc.kernel.links import Link
from policyc.kernel.objects import Loaded, load
from policyc.kernel.session import initial_state
from policyc.plan.evaluate import State
from tests.kernel.guest.cgroups import Cgroup
from tests.kernel.policies import Program

__all__ = ["Attached", "attached", "loaded"]


@dataclass(frozen=True, slots=True)
class Attached:
    """A policy at work."""

    program: Program
    loaded: Loaded
    link: Link

    def refill(self, values: State | None = None) -> None:
        """Look its cgroups up again, since they came or went; or change its state."""
        plan = self.program.plan()
        state.fill(self.loaded, plan, values or initial_state(self.program.plan()), cgroup_id)

    def counters(self) -> dict[int, int]:
        """How often each rule decided, by its index."""
        return state.counters(self.loaded, self.program.plan())


@contextmanager
def loaded(program: Program, data: Mapping[str, int] | None = None) -> Generator[Loaded]:
    """Load an object, and fill its maps if it is a policy's."""
    with load(program.object(), data=data) as found:
        if program.profile:
            state.fill(found, program.plan(), initial_state(program.plan()), cgroup_id)
        yield found


@contextmanager
def attached(
    program: Program,
    *,
    cgroup: Cgroup | None = None,
    data: Mapping[str, int] | None = None,
) -> Generator[Attached]:
    """Load an object and attach it while the block lasts.

    `cgroup` is for instances that belong to one by their link; `data` are data members.
    """
    with loaded(program, data) as found:
        link = found.attach(cgroup.directory if cgroup else None)
        try:
            yield Attached(program, found, link)
        finally:
            link.detach()
