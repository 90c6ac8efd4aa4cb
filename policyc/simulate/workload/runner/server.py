"""The program that forks the processes of a workload: `python -m ...runner.server`.

It reads an Order, pickled by the runner that started it, from standard input; it forks, and
reports how each process ended. It imports little, since its memory is that of each process.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import sys

from policyc.simulate.workload.runner.child import be
from policyc.simulate.workload.runner.protocol import Order, members

__all__ = ["main"]


def main() -> int:
    """Fork all processes, and wait for all of them."""
    order: Order = pickle.load(sys.stdin.buffer)
    numbers: dict[int, int] = {}
    for member in members(order.workload):
        pid = os.fork()
        if pid == 0:
            be(member, order, random.Random(f"{order.workload.seed} {member.number}"))
        numbers[pid] = member.number
    while numbers:
        pid, status, usage = os.wait4(-1, 0)
        number = numbers.pop(pid, None)
        if number is None:
            continue
        facts = {
            "number": number,
            "ended": os.waitstatus_to_exitcode(status),
            "faults": usage.ru_minflt,
        }
        os.write(order.channels.report, (json.dumps(facts) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
