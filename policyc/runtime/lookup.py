"""What generated conditions call: the place of a cgroup in the tree, and its share of a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from policyc.runtime.checks import U64_MAX

__all__ = ["MAX_CGROUP_LEVELS", "RuleTable", "cgroup_mix", "lineage_of"]

#: How many levels `under` and scopes look at: the cgroup itself and its nearest ancestors.
MAX_CGROUP_LEVELS = 32


# Machines have hundreds of cgroups that are asked about again and again.
@lru_cache(maxsize=4096)
def lineage_of(cgroup: str | None) -> frozenset[str]:
    """The cgroup and its nearest ancestors, at most MAX_CGROUP_LEVELS; empty without a cgroup."""
    if cgroup is None:
        return frozenset()
    levels = [cgroup]
    while cgroup != "/" and len(levels) < MAX_CGROUP_LEVELS:
        cgroup = cgroup.rpartition("/")[0] or "/"
        levels.append(cgroup)
    return frozenset(levels)


class RuleTable:
    """Rules that ask where a cgroup is: `itself` and `below` have the first one for a path.

    That is the first that holds for the path itself, and for all cgroups below it.
    """

    __slots__ = ("_below", "_itself", "find")

    def __init__(self, itself: Mapping[str, int], below: Mapping[str, int]) -> None:
        self._itself = itself
        self._below = below
        #: The first rule that holds for a cgroup, by its index; None if none does.
        self.find = lru_cache(maxsize=4096)(self._find)

    def _find(self, cgroup: str | None) -> int | None:
        if cgroup is None:
            return None
        found = [self._below[path] for path in lineage_of(cgroup) if path in self._below]
        if cgroup in self._itself:
            found.append(self._itself[cgroup])
        return min(found, default=None)


def cgroup_mix(cgroup_id: int) -> int:
    """The fixed 64-bit mix of a cgroup id that rollouts use.

    The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
    Generators, OOPSLA 2014).
    """
    mixed = (cgroup_id + 0x9E3779B97F4A7C15) & U64_MAX
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & U64_MAX
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & U64_MAX
    return mixed ^ (mixed >> 31)
