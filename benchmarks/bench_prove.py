"""How long `policyc prove` and `policyc diff` take for each example, with start-up.

Run: python benchmarks/bench_prove.py [--runs N] [--long]

Whole processes: the processor's time, which does not depend on what else the machine does, and
the wall time; the median of some runs, next to `python -c pass`. Each example is compared with
itself, which has to be proved, and with a copy in which the first rule is gone.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: What the installed `policyc` does.
START = [sys.executable, "-c", "from policyc.cli.main import main; main()"]


def _times(command: list[str], runs: int) -> tuple[float, float]:
    """Processor and wall milliseconds."""
    processor: list[float] = []
    wall: list[float] = []
    for _ in range(runs):
        start, before = time.perf_counter(), _children()
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, cwd=ROOT)
        wall.append(time.perf_counter() - start)
        processor.append(_children() - before)
    return statistics.median(processor) * 1000, statistics.median(wall) * 1000


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _without_first_rule(text: str) -> str:
    """The policy without its first rule that is on a line of its own."""
    lines = text.splitlines(keepends=True)
    starts = ("deny", "allow", "pass", "balance", "off")
    for number, line in enumerate(lines):
        words = line.split("#")[0].split(":")[-1].split()
        if words and words[0] in starts and line.split("#")[0].rstrip().endswith(";"):
            return "".join(lines[:number] + lines[number + 1 :])
    return text


def _long() -> None:
    """Policies of up to a thousand rules, and with one rule changed; each runs once."""
    from bench_check import policy

    print(f"\n{'lines':>8}{'rules':>8}{'prove':>18}{'diff, changed':>18}")
    with tempfile.TemporaryDirectory() as folder:
        for lines in (400, 1_000, 1_500):
            text = policy(lines)
            file, changed = Path(folder, "long.thp"), Path(folder, "changed.thp")
            file.write_text(text, "utf-8")
            changed.write_text(text.replace("vma.size >= 2M", "vma.size >= 3M"), "utf-8")
            commands = (["prove", str(file)], ["diff", str(file), str(changed)])
            times = [_times([*START, *command], 1) for command in commands]
            figures = "".join(f"{_figures(pair):>18}" for pair in times)
            print(f"{lines:8,}{text.count(';') - 4:8,}{figures}")


def main() -> None:
    """Print the table; the exit code is 1 if anything takes a second of the processor."""
    parser = argparse.ArgumentParser(description="How long proofs of the examples take")
    parser.add_argument("--runs", type=int, default=3, help="runs of each process")
    parser.add_argument("--long", action="store_true", help="long policies, too")
    runs = parser.parse_args().runs
    base = _times([sys.executable, "-c", "pass"], runs)
    print(f"ms of the processor / wall, median of {runs}; python -c pass: {_figures(base)}\n")
    print(f"{'example':24}{'prove':>14}{'diff, same':>14}{'diff, changed':>14}")
    longest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for example in sorted((ROOT / "examples").glob("*.thp")):
            changed = Path(folder, example.name)
            changed.write_text(_without_first_rule(example.read_text("utf-8")), "utf-8")
            commands = (
                ["prove", str(example)],
                ["diff", str(example), str(example)],
                ["diff", str(example), str(changed)],
            )
            times = [_times([*START, *command], runs) for command in commands]
            longest = max(longest, *(processor for processor, _ in times))
            print(f"{example.stem:24}" + "".join(f"{_figures(pair):>14}" for pair in times))
    print(f"\nlongest: {longest:.0f} ms of the processor")
    if parser.parse_args().long:
        _long()
    if longest >= 1000:
        raise SystemExit(1)


def _figures(times: tuple[float, float]) -> str:
    return f"{times[0]:.0f} / {times[1]:.0f}"


if __name__ == "__main__":
    main()
