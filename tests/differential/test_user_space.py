"""Random policies mean the same to the evaluator, to generated Python and to the emitted C.

POLICYC_POLICIES and POLICYC_REQUESTS say how many policies and how many requests to each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from policyc.syntax.printer import format_policy
from tests.differential.lanes import host
from tests.strategies.policies import policy_of_seed

POLICIES = int(os.environ.get("POLICYC_POLICIES", "1000"))
REQUESTS = int(os.environ.get("POLICYC_REQUESTS", "1000"))
SHARDS = 20
ROOT = Path(__file__).parents[2]


def last_seed(output: str) -> int:
    return next(int(x.split()[1]) for x in reversed(output.splitlines()) if x.startswith("seed "))


@pytest.mark.slow
@pytest.mark.skipif(bool(host.available()), reason=host.available() or "-")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_executors_agree(shard: int) -> None:
    numbers = map(str, (shard, POLICIES, SHARDS, REQUESTS))
    done = subprocess.run(
        [sys.executable, "-m", "tests.differential.agree", *numbers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        assert done.stdout.count("seed ") == len(range(shard, POLICIES, SHARDS))
        return
    shown = f"{done.stdout[-10_000:]}\n{done.stderr[-10_000:]}"
    if done.returncode < 0:
        policy = format_policy(policy_of_seed(last_seed(done.stdout)).file)
        shown += f"\nsignal {-done.returncode} (4 and 6: undefined behaviour in the C) by\n{policy}"
    pytest.fail(shown, pytrace=False)
