"""The emitted program in the running kernel, asked through BPF_PROG_TEST_RUN."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policyc.emit.layout import answer_layout, request_layout
from policyc.kernel import state as live
from policyc.kernel.closing import Closing
from policyc.kernel.library import unavailable
from policyc.kernel.objects import load
from policyc.kernel.testrun import TestRun
from policyc.kernel.verify import has_may_goto
from policyc.plan import nodes as n
from policyc.plan.evaluate import State

__all__ = ["MAY_GOTO", "KernelLane", "available", "has_may_goto"]

#: In front of a testrun program: walk up the tree as the programs for the hooks do.
MAY_GOTO = "#define POLICYC_MAY_GOTO\n"


def available() -> str:
    """Why the lane cannot run here, empty if it can."""
    return unavailable()


class KernelLane(Closing):
    """A plan as a loaded object; `ids` numbers cgroup paths as the requests do."""

    def __init__(self, plan: n.Plan, data: bytes, ids: Callable[[str], int]) -> None:
        self._plan = plan
        self._ids = ids
        self.loaded = load(data)
        self._runs: dict[n.HookName, TestRun] = {}
        # The paths; sets are empty until a state is set.
        self.set_state(State({}, {param.name: param.default for param in plan.params}))

    def set_state(self, state: State) -> None:
        """Give sets and parameters their values."""
        live.fill(self.loaded, self._plan, state, self._ids)

    def decide(self, hook: n.HookPlan, requests: Sequence[bytes]) -> list[bytes]:
        """The answers to some requests."""
        size = request_layout(self._plan, hook).size
        answer = answer_layout(self._plan, hook).size
        if hook.hook not in self._runs:
            descriptor = self.loaded.program_descriptor(hook.hook.value)
            self._runs[hook.hook] = TestRun(descriptor, size + answer)
        run = self._runs[hook.hook].run
        return [run(request)[size : size + answer] for request in requests]

    def counters(self) -> dict[int, int]:
        """How often each rule decided, on all processors together."""
        return live.counters(self.loaded, self._plan)

    def close(self) -> None:
        """Unload the object."""
        self.loaded.close()
