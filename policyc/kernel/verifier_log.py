"""What the verifier says: its statistics, and where a program was refused."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

__all__ = ["Statistics", "reason_of", "source_lines", "statistics_of", "tail_of"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The last lines of a log of level 4 (print_verification_stats of kernel/bpf/verifier.c).

    `processed` instructions were looked at; `total_states` were kept, `peak_states` at once.
    `stack` has the depth in bytes of the program and of each of its functions. `microseconds`
    is what verification took. What the kernel does not tell is 0.
    """

    processed: int = 0
    limit: int = 0
    total_states: int = 0
    peak_states: int = 0
    stack: tuple[int, ...] = ()
    microseconds: int = 0


def statistics_of(log: str) -> Statistics:
    """The statistics at the end of a log."""
    processed = re.search(
        r"processed (\d+) insns \(limit (\d+)\).*total_states (\d+) peak_states (\d+)", log
    )
    stack = re.search(r"^stack depth ([\d+]+)", log, re.MULTILINE)
    time = re.search(r"^verification time (\d+) usec", log, re.MULTILINE)
    numbers = [int(number) for number in processed.groups()] if processed else [0, 0, 0, 0]
    return Statistics(
        *numbers,
        stack=tuple(int(part) for part in stack[1].split("+") if part) if stack else (),
        microseconds=int(time[1]) if time else 0,
    )


def _lines(log: str) -> list[str]:
    """The lines that are not statistics."""
    noise = re.compile(r"(processed \d+ insns|verification time|stack depth|$)")
    return [line for line in log.splitlines() if not noise.match(line)]


def reason_of(log: str) -> str:
    """The verifier's own words on why it refused, which are its last ones."""
    for line in reversed(_lines(log)):
        if not re.match(r"\s*(\d+: |;|from \d+ to|R\d+[=_w(]|mark_precise|func#|Func#)", line):
            return line.strip()
    return ""


def tail_of(log: str, count: int) -> list[str]:
    """The last lines of a log, without the statistics."""
    return _lines(log)[-count:]


def source_lines(log: str, c_text: str) -> list[int]:
    """The lines of the C on the way to the end of a log, the last one first.

    The log follows the program; where it goes back to a branch (`from 12 to 40:`), the way
    in front of that branch is followed. Kernels from 6.10 on tell the line
    (`; TEXT @ FILE:LINE`, verbose_linfo of kernel/bpf/log.c); older ones its text only, which
    is enough where it is there once.
    """
    known = _lines_by_text(c_text)
    found: list[int] = []
    branch = ""
    for line in reversed(log.splitlines()):
        back = re.match(r"from (\d+) to \d+", line)
        if branch:
            branch = "" if line.startswith(branch) else branch
        elif back:
            branch = f"{back[1]}: ("
        elif line.startswith("; "):
            told = re.search(r" @ [^\s:]+:(\d+)$", line)
            number = int(told[1]) if told else known.get(line[2:].strip())
            found += [number] if number is not None else []
    return found


def _lines_by_text(c_text: str) -> dict[str, int]:
    """The lines of the C that are there once."""
    lines = [line.strip() for line in c_text.split("\n")]
    counts = Counter(lines)
    return {line: number for number, line in enumerate(lines, 1) if counts[line] == 1}
