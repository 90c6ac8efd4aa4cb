"""What the files of the kernel say about processes and the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from policyc.plan.nodes import ConstValue
from tests.records.processes import Vma

__all__ = ["averages_of", "count_of_list", "status_of", "wrong_about_area"]


def status_of(pid: int) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    text = Path(f"/proc/{pid}/status").read_text("utf-8")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def averages_of(directory: Path, prefix: str, ending: str) -> dict[str, int]:
    """The pressure averages in a directory by attribute, in hundredths of a percent.

    Empty where there are none; a kernel may lack some of the lines. Of the whole system, the
    file tells 0 for "full" of the CPU, whatever the kernel has counted (psi_show of
    kernel/sched/psi.c), so that is left out.
    """
    found: dict[str, int] = {}
    for resource in ("memory", "cpu", "io"):
        try:
            text = (directory / f"{resource}{ending}").read_text("ascii")
        except OSError:
            return {}
        for line in text.splitlines():
            share, *fields = line.split()
            if (prefix, resource, share) == ("psi", "cpu", "full"):
                continue
            for item in fields[:3]:
                window, value = item.split("=")
                found[f"{prefix}.{resource}.{share}.{window}"] = int(value.replace(".", ""))
    return found


def wrong_about_area(values: Mapping[str, ConstValue], vma: Vma) -> list[str]:
    """The attributes of an area that are not as /proc shows it."""
    expected: dict[str, object] = {
        "vma.size": vma.end - vma.start,
        "vma.advice": vma.advice,
        "vma.stack": vma.stack,
        "vma.locked": vma.locked,
        "vma.exec": vma.exec,
    }
    if vma.kind is not None:
        expected["vma.kind"] = vma.kind
    return [
        f"{name} is {values[name]} and should be {value}"
        for name, value in expected.items()
        if values[name] != value
    ]


def count_of_list(text: str) -> int:
    """How many numbers a list like "0-3,7" has."""
    ranges = re.findall(r"(\d+)(?:-(\d+))?", text)
    return sum(int(last or first) - int(first) + 1 for first, last in ranges)
