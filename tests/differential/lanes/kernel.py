"""The emitted program in the running kernel, asked through BPF_PROG_TEST_RUN."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Sequence

from policyc.emit.layout import answer_layout, params_layout, request_layout
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from tests.differential.lanes.closing import Closing
from tests.differential.lanes.host import set_keys
from tests.differential.lanes.libbpf import BpfObject, TestRun, possible_cpus, unavailable
from tests.differential.lanes.paths import path_maps

__all__ = ["MAY_GOTO", "KernelLane", "available", "has_may_goto"]

#: In front of a testrun program: walk up the tree as the programs for the hooks do.
MAY_GOTO = "#define POLICYC_MAY_GOTO\n"

#: The smallest packet that the kernel takes, an Ethernet header.
_SMALLEST_PACKET = 14


def available() -> str:
    """Why the lane cannot run here, empty if it can."""
    return unavailable()


def has_may_goto() -> bool:
    """Whether the running kernel is new enough for may_goto, which came with 6.9."""
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= (6, 9)


class KernelLane(Closing):
    """A plan as a loaded object; `ids` numbers cgroup paths as the requests do."""

    def __init__(self, plan: n.Plan, data: bytes, ids: Callable[[str], int]) -> None:
        self._plan = plan
        self._ids = ids
        self.object = BpfObject(data)
        self._keys: dict[str, list[bytes]] = {}
        self._runs: dict[n.HookName, TestRun] = {}
        for name, elements in path_maps(plan, ids).items():
            fd = self.object.map_fd(name)
            if fd is not None:
                for key, value in elements.items():
                    self.object.update(fd, key, value)

    def set_state(self, state: State) -> None:
        """Give sets and parameters their values."""
        for name, keys in set_keys(self._plan, state, self._ids).items():
            fd = self.object.map_fd(f"set_{name}")
            if fd is None:
                continue
            for key in self._keys.get(name, []):
                self.object.delete(fd, key)
            for key in keys:
                self.object.update(fd, key, b"\1")
            self._keys[name] = keys
        fd = self.object.map_fd(".data.params")
        if fd is not None:
            values = [int(state.params[item.name]) for item in params_layout(self._plan)]
            self.object.update(fd, struct.pack("=I", 0), struct.pack(f"={len(values)}Q", *values))

    def decide(self, hook: n.HookPlan, requests: Sequence[bytes]) -> list[bytes]:
        """The answers to some requests."""
        size = request_layout(self._plan, hook).size
        answer = answer_layout(self._plan, hook).size
        if hook.hook not in self._runs:
            packet = max(_SMALLEST_PACKET, size + answer)
            self._runs[hook.hook] = TestRun(self.object.program_fd(hook.hook.value), packet)
        run = self._runs[hook.hook].run
        return [run(request)[size : size + answer] for request in requests]

    def counters(self) -> dict[int, int]:
        """How often each rule decided, on all processors together."""
        fd = self.object.map_fd("rule_counters")
        if fd is None:
            return {}
        size = 8 * possible_cpus()
        elements = {
            rule.index: self.object.lookup(fd, struct.pack("=I", rule.index), size)
            for rule in self._plan.rules
        }
        return {index: sum(struct.unpack(f"={size // 8}Q", e)) for index, e in elements.items()}

    def close(self) -> None:
        """Unload the object."""
        self.object.close()
