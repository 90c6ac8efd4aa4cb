"""Policies with tests, from text."""

from __future__ import annotations

from pathlib import Path

from policyc.check import check_text
from policyc.plan import nodes as n
from policyc.testing import Report, run
from policyc.testing.runner import Options

ROOT = Path(__file__).resolve().parents[2]

#: Two rules and `otherwise`, a let with one condition, and tests that miss some of it.
SMALL = """policy small;
set java : cgroup = { "/java" };
let squeezed = psi.memory.full.avg10 > 10%;
thp {
    pressed: deny when squeezed or vma.stack;
    allow pmd when cgroup under java and vma.size >= 8M;
    otherwise deny;
}
test "large" for thp {
    given cgroup = "/java/a", vma.size = 8M;
    expect allow pmd;
}
test "the list decides" for thp {
    given cgroup = "/java/a", vma.size = 8M;
    set java = { "/other" };
    expect deny;
}
property "small areas get nothing" for thp: vma.size < 8M implies result == none;
"""


def plan_of(text: str) -> n.Plan:
    """The plan of a policy without errors."""
    result = check_text(text, "policy.thp", profiles=["testrun"])
    assert result.plan is not None, [item.message for item in result.diagnostics]
    return result.plan


def ran(text: str, **options: object) -> Report:
    """The results of a policy."""
    return run(plan_of(text), Options(**options))  # pyright: ignore[reportArgumentType]
