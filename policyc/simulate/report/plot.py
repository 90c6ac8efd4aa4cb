"""Memory against speed as a plot of characters."""

from __future__ import annotations

import string
from collections.abc import Sequence

from policyc.simulate.figures import FIGURES
from policyc.simulate.report.columns import Report
from policyc.simulate.report.grid import Place
from policyc.simulate.spelling import spell

__all__ = ["marks", "plot"]

_HEIGHT, _WIDEST = 12, 64

#: What stands where several runs fall on one place.
_SEVERAL = "*"


def marks(count: int) -> list[str]:
    """The letters of so many runs; from the 53rd on all have the same."""
    letters = string.ascii_lowercase + string.ascii_uppercase
    return [letters[index] if index < len(letters) else "#" for index in range(count)]


def plot(report: Report, place: Place) -> list[str]:
    """Speed upwards, memory to the right, a letter for each run; nothing if all are alike."""
    speed = report.speed()
    memory = FIGURES["memory_mean_bytes"]
    xs = [column.mean(memory.read) for column in report.columns]
    ys = [column.mean(speed.read) for column in report.columns]
    if len(set(xs)) < 2 and len(set(ys)) < 2:
        return []
    labels = [spell(value, speed.unit) for value in (max(ys), min(ys))]
    left = max(map(len, labels))
    width = max(20, min(_WIDEST, place.width - left - 3))
    cells = [[" "] * width for _ in range(_HEIGHT)]
    for mark, x, y in zip(marks(len(xs)), xs, ys, strict=True):
        row, column = _HEIGHT - 1 - _at(y, ys, _HEIGHT), _at(x, xs, width)
        cells[row][column] = mark if cells[row][column] == " " else _SEVERAL
    lines = [f"speed, {speed.meaning}"]
    for number, row in enumerate(cells):
        label = labels[0] if number == 0 else labels[1] if number == _HEIGHT - 1 else ""
        lines.append(f"{label.rjust(left)} |{''.join(row)}".rstrip())
    ends = [spell(value, memory.unit) for value in (min(xs), max(xs))]
    lines.append(f"{' ' * left} +{'-' * width}")
    lines.append(f"{' ' * left}  {ends[0]}{ends[1].rjust(width - len(ends[0]))}")
    lines.append(f"{' ' * left}  {'memory, average'.center(width)}".rstrip())
    return lines


def _at(value: float, values: Sequence[float], room: int) -> int:
    low, high = min(values), max(values)
    return round((value - low) / (high - low) * (room - 1)) if high > low else 0
