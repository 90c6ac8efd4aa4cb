"""How long `policyc check` takes: 100 lines with start-up, and up to 10,000 lines.

Run: python benchmarks/bench_check.py [--runs N]

The first table is wall time of whole processes, `python -c pass` beside them in turn; the
second is the time of parsing and checking inside one process. The policies are made
here: rules of different shapes, with blank lines and comments.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_HEAD = """\
policy generated;

set   java    : cgroup  = { "/kubepods/java" };
param ceiling : percent = 10% in 0%..100%;
let   busy    = cgroup.psi.memory.full.avg10 > ceiling;

thp {
    deny when busy;
"""
_SHAPES = (
    '    allow pmd        when cgroup under "/kubepods/pod{0}" and event is khugepaged;',
    "    allow 16K..64K   when vma.size >= {0}M and cgroup in java;",
    "    # group {0}: what follows is for interactive services",
    '    deny             when task.comm == "worker-{0}" and mm.rss > {0}M;',
    "    allow ..64K      when memory.usage * 10 > memory.max * 9 or task.uid == {0};",
    "",
)
_TAIL = "    otherwise deny;\n}\n"


def policy(lines: int) -> str:
    """A policy of that many lines; every rule can be reached."""
    fixed = _HEAD.count("\n") + _TAIL.count("\n")
    body = [_SHAPES[n % len(_SHAPES)].format(n + 1) for n in range(lines - fixed)]
    return _HEAD + "\n".join(body) + "\n" + _TAIL


def _wall(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def _in_turn(
    commands: dict[str, list[str]], runs: int, environment: dict[str, str]
) -> dict[str, list[float]]:
    """Wall times of the commands, run in turn so that a drift of the machine hits all."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            times[name].append(_wall(command, environment))
    return {name: values[1:] for name, values in times.items()}


def _with_bytecode(folder: str) -> dict[str, str]:
    """An environment in which modules are compiled once, as pip does when it installs them."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _processes(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "generated.thp")
        file.write_text(policy(100))
        # What the installed `policyc` does.
        start = [sys.executable, "-c", "from policyc.cli.main import main; main()"]
        times = _in_turn(
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "policyc --version": [*start, "--version"],
                "policyc check (100 lines)": [*start, "check", str(file)],
            },
            runs,
            _with_bytecode(folder),
        )
    base = statistics.median(times["python -c pass"])
    print(f"{'whole process, median of ' + str(runs):32}  {'ms':>8}  {'x python':>8}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:32}  {median * 1000:8.1f}  {median / base:8.1f}")


def _best(measure: Callable[[], object], runs: int) -> float:
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        measure()
        best = min(best, time.perf_counter() - start)
    return best


def _scaling(runs: int) -> None:
    from policyc.check import check_text
    from policyc.diagnostics.model import Diagnostics
    from policyc.source import Source
    from policyc.syntax.parser import parse

    print(f"\n{'lines':>8}  {'parse s':>8}  {'total s':>8}  {'us a line':>9}")
    for lines in (100, 1_000, 2_500, 5_000, 10_000):
        text = policy(lines)
        result = check_text(text, "generated.thp")
        if result.plan is None:
            raise SystemExit(f"the generated policy has errors: {result.diagnostics[:3]}")
        parsing = _best(lambda text=text: parse(Source("generated.thp", text), Diagnostics()), runs)
        total = _best(lambda text=text: check_text(text, "generated.thp"), runs)
        print(f"{lines:8}  {parsing:8.3f}  {total:8.3f}  {total / lines * 1e6:9.1f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="How long `policyc check` takes")
    parser.add_argument("--runs", type=int, default=15, help="runs of each process")
    runs = parser.parse_args().runs
    _processes(runs)
    _scaling(min(3, runs))


if __name__ == "__main__":
    main()
