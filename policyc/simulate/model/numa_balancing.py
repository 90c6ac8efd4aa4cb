"""NUMA balancing (kernel/sched/fair.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host

__all__ = ["NumaBalancing"]


class NumaBalancing:
    """Off."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def advance(self, host: Host, until: int) -> None:
        """Nothing is due."""
