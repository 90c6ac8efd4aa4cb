"""What the verifier says: its statistics, and where a program was refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Statistics", "last_source_line", "reason_of", "statistics_of", "tail_of"]


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


def last_source_line(log: str) -> int | None:
    """The line of the C file that the verifier looked at last, None if it does not tell.

    Kernels from 6.10 on write `; TEXT @ FILE:LINE` (print_bpf_insn's line info in
    verbose_linfo of kernel/bpf/log.c); older ones the text only.
    """
    found = re.findall(r"^; .* @ [^\s:]+:(\d+)$", log, re.MULTILINE)
    return int(found[-1]) if found else None
