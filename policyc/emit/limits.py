"""What a BPF program has no room for."""

from __future__ import annotations

from policyc.plan.passes.tables import MAX_MASK_PATHS

__all__ = ["MAX_BLOCKS", "MAX_FUNCTIONS", "MAX_PATHS", "MAX_RULES", "PolicyTooLarge"]

#: Paths of scopes and of conditions that are not in tables.
MAX_PATHS = MAX_MASK_PATHS

#: Rules of a policy: an answer tells which ones applied as 16-bit numbers from 1 on.
MAX_RULES = 65_535

#: Blocks of a hook: each is some thirty instructions at least, and with twice as many, jumps
#: over them are longer than 16 bits.
MAX_BLOCKS = 512

#: Blocks of a hook that are functions of their own. The kernel takes 256 functions in a
#: program; the others are ours.
MAX_FUNCTIONS = 240


class PolicyTooLarge(Exception):  # noqa: N818 - says what is wrong
    """The policy has more of something than a BPF program can hold."""
