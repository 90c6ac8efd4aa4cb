"""Pressure stall information (kernel/sched/psi.c)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pressure"]


@dataclass(slots=True, eq=False)
class Pressure:
    """The averages of one cgroup or of the system, for memory."""
