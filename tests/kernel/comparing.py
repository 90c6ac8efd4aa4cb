"""A case of `modelled.py` that ran on a kernel, beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policyc.simulate.workload.runner.comparison import Row, compare, table
from tests.kernel.modelled import CASES, EXACT, Case

__all__ = ["Compared", "compared", "listing"]


#: What the kernel counts for the machine as a whole has the other processes in it: those that
#: run the tests fault, and where kernel.numa_balancing is 1 they are balanced too.
_NOISE = (("numa_", 64), ("thp_", 2), ("anon_fault_", 4))


@dataclass(frozen=True, slots=True)
class Compared:
    """The figures of one case, and whether the model's OOM killer came."""

    case: Case
    profile: str
    rows: tuple[Row, ...]
    model_killed: bool

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The figures that differ by more than they may; none of a process that is killed."""
        if self.case.killed:
            return ()
        return tuple(row for row in self.rows if not self._is_right(row))

    def _is_right(self, row: Row) -> bool:
        if row.name in self.case.apart or row.within(self.allowed(row.name)):
            return True
        # Others can only add to what is counted for the machine as a whole.
        noise = next((most for name, most in _NOISE if row.name.startswith(name)), 0)
        return 0 <= row.kernel - row.model <= noise

    def allowed(self, name: str) -> float:
        """By how much a figure may differ."""
        spread = self.case.spreads.get(name)
        return spread.share if spread else EXACT


def compared(about: dict[str, Any]) -> Compared:
    """Run the model as the kernel ran, by what the VM left of a case."""
    from policyc import loads
    from policyc.simulate.engine import simulate
    from policyc.simulate.workload.reader import read_workload
    from policyc.simulate.workload.runner.outcome import run_document

    case = next(case for case in CASES if case.name == about["case"])
    workload = read_workload(case.file, case.overrides)
    policy = loads(case.policy, f"{case.name}.thp") if case.policy else None
    run = simulate(workload, name="model", policy=policy, profile=about["profile"] or None)
    kernel, model = about["outcome"]["runs"][0], run_document(run, workload.seed)
    killed = any(seconds < 0 for seconds in run.process_seconds.values())
    return Compared(case, about["profile"], tuple(compare(kernel, model)), killed)


def listing(found: Sequence[Compared]) -> str:
    """A table for people: every figure that is not 0, and how far the model is off."""
    lines: list[str] = []
    for each in found:
        lines.append(f"{each.case.name} {each.profile}".rstrip())
        if each.case.killed:
            lines.append(f"    killed in both: {'yes' if each.model_killed else 'NO'}")
            continue
        for row, cells in zip(each.rows, table(each.rows), strict=True):
            where, name, kernel, model, error = cells
            spread = each.case.spreads.get(row.name)
            why = "  !" if row in each.wrong else ""
            if error and row.name in each.case.apart:
                why = f"  not compared: {each.case.apart[row.name]}"
            elif error and spread:
                why += f"  up to {spread.share:.0%}: {spread.why}"
            lines.append(f"    {where:10} {name:28} {kernel:>14} {model:>14} {error:>9}{why}")
    return "\n".join(lines)
