"""Whether a page moves to the node that touched it, and the statistics of hint faults.

should_numa_migrate_memory(), task_numa_fault() and task_numa_placement() of
kernel/sched/fair.c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.model.area import NOWHERE, Bools, Bytes

__all__ = ["FaultStatistics", "passes_filter"]

#: ACTIVE_NODE_FRACTION: a node is active with a third of the faults of the busiest one.
ACTIVE_FRACTION = 3

#: Scan sequences in which first and private faults migrate at once.
EARLY = 4


@dataclass(slots=True, eq=False)
class FaultStatistics:
    """The faults of a task, or of a group of tasks, by node.

    `memory` and `cpu` decay by half at each placement, memory with a column for shared and
    one for private faults; `buffer` and `cpu_buffer` are those since the last one.
    """

    memory: NDArray[np.float64]
    cpu: NDArray[np.float64]
    buffer: NDArray[np.float64]
    cpu_buffer: NDArray[np.float64]
    preferred: int | None = None

    @classmethod
    def make(cls, nodes: int) -> FaultStatistics:
        """No faults yet."""
        return cls(np.zeros((nodes, 2)), np.zeros(nodes), np.zeros((nodes, 2)), np.zeros(nodes))

    def add(self, memory: Bytes, cpu: Bytes, private: Bools, sizes: NDArray[np.int64]) -> None:
        """Count faults of folios on `memory` nodes by CPUs of `cpu` nodes."""
        nodes = len(self.cpu)
        kinds = memory.astype(np.intp) * 2 + private
        self.buffer += np.bincount(kinds, sizes, 2 * nodes).reshape(nodes, 2)
        self.cpu_buffer += np.bincount(cpu, sizes, nodes)

    def place(self) -> tuple[int, int]:
        """Fold in what came since the last placement; shared and private faults of it."""
        shared, private = (int(number) for number in self.buffer.sum(axis=0))
        total = float(self.cpu_buffer.sum())
        self.memory += self.buffer - self.memory / 2
        # Weighted by run time, of which all of a process have the same here: shares of 2**16.
        self.cpu += self.cpu_buffer * (65536 / (total + 1)) - self.cpu / 2
        self.buffer[:] = 0
        self.cpu_buffer[:] = 0
        by_node = self.memory.sum(axis=1)
        if by_node.max() > 0:
            self.preferred = int(by_node.argmax())
        return shared, private

    def active(self) -> Bools:
        """By node: whether the group runs there (`numa_group_count_active_nodes`)."""
        return self.cpu * ACTIVE_FRACTION > self.cpu.max()


def passes_filter(
    statistics: FaultStatistics,
    *,
    mode: int,
    sequence: int,
    grouped: bool,
    source: Bytes,
    target: Bytes,
    last: Bytes,
    private: Bools,
    slow: Bools,
) -> Bools:
    """Which pages may move from `source` to `target`, outside of promotion.

    `last` is the node of the last fault on each page, NOWHERE if there was none, `private`
    whether the same task had it; `slow` whether the page lies on a slow tier. Pages move
    when two faults in a row come from one node, early or private ones at once, and in a
    group only towards nodes that use the memory more (the multi-stage node selection).
    """
    unset = last == NOWHERE
    private = private & ~unset
    allowed = np.ones(len(source), np.bool_) if mode & 2 else ~(slow & unset)
    early = np.zeros(len(source), np.bool_)
    if statistics.preferred is None or sequence <= EARLY:
        early = unset | private
    same = unset | (last == target)
    useful = np.ones(len(source), np.bool_)
    if grouped:
        cpu, memory = statistics.cpu, statistics.memory.sum(axis=1)
        at_source, at_target = source.astype(np.intp), target.astype(np.intp)
        useful = cpu[at_target] > ACTIVE_FRACTION * cpu[at_source]
        useful |= cpu[at_target] * memory[at_source] * 3 > cpu[at_source] * memory[at_target] * 4
    return allowed & (early | (same & (private | useful)))
