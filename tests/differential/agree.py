"""Compares the executors over a range of seeds.

    python -m tests.differential.agree FIRST END STEP REQUESTS

It is a program of its own because emitted C with undefined behaviour ends the process that
it runs in; the last seed that was printed is then the one to look at.
"""

from __future__ import annotations

import sys

from tests.differential.compare import host_lane, memory_lane, module_lane, reference_lane
from tests.differential.failures import find_failure, smallest_failure

__all__ = ["LANES", "main"]

#: Every other policy is asked of each kind of Python; making the modules takes longest.
LANES = (
    (reference_lane, module_lane, host_lane),
    (reference_lane, memory_lane, host_lane),
)


def main(first: int, end: int, step: int, count: int) -> int:
    """Print each seed, and what disagrees at the first that fails; the exit code is 1 then."""
    for place, seed in enumerate(range(first, end, step)):
        sys.stdout.write(f"seed {seed}\n")
        sys.stdout.flush()
        lanes = LANES[place % len(LANES)]
        if find_failure(seed, count, lanes) is not None:
            sys.stdout.write(f"{smallest_failure(seed, count, lanes)}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
