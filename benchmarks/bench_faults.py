"""What an attached policy costs a page fault: the first touch of fresh memory in the VM.

The VM emulates its CPU, so that times mean nothing by themselves; the ratios do, and those of
single runs vary by some percent. Needs what `make test-kernel` needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def measure(work: Path) -> int:
    """Run the tests that measure, showing their output only if they fail."""
    done = subprocess.run(
        [REPOSITORY / "testbed" / "stock", work, "--", "tests/kernel/test_cost.py"],
        env={**os.environ, "POLICYC_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-3000:])
    return done.returncode


def main() -> int:
    work = CACHE / "policyc-testbed"
    status = measure(work)
    if status:
        return status
    print("first touch of 4 KiB, on an unmodified kernel with the module, emulated CPU")
    print(f"{'signature':10} {'folios':8} {'no policy':>12} {'policy':>12} {'ratio':>6}")
    for report in sorted((work / "results" / "stock").glob("two-nodes*/files/cost-*.json")):
        _, signature, pages = report.stem.split("-")
        costs = json.loads(report.read_text("utf-8"))
        without, asked = costs["without a policy"], costs["with a policy"]
        folios = {"huge": "2 MiB", "small": "4 KiB"}[pages]
        print(
            f"{signature:10} {folios:8} {without:9,.0f} ns {asked:9,.0f} ns {asked / without:6.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
