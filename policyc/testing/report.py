"""What became of the tests and properties of a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policyc.plan import nodes as n

if TYPE_CHECKING:
    from policyc.testing.coverage import Coverage

__all__ = ["Failure", "Kind", "Report", "Result", "Verdict"]


class Kind(StrEnum):
    """What has a name and is run."""

    TEST = "test"
    PROPERTY = "property"


class Verdict(StrEnum):
    """How it ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that is not met, or a property that does not hold for a request.

    `given` and `state` are lines such as `vma.size = 8M`; `state` has what is not as the
    policy says. `command` is the `policyc decide` that explains the answer.
    """

    line: int
    text: str
    given: tuple[str, ...]
    state: tuple[str, ...]
    expected: str
    got: str
    rule: n.Rule | None
    decided_by: str
    command: str


@dataclass(frozen=True, slots=True)
class Result:
    """One test or property. `checked` is how many expectations or examples it was."""

    kind: Kind
    name: str
    hook: n.HookName
    line: int
    verdict: Verdict
    checked: int
    seconds: float
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a policy.

    `coverage` is what its tests reach, `everything` what they reach together with the examples
    of properties; both only where that was asked for.
    """

    plan: n.Plan
    results: tuple[Result, ...]
    coverage: Coverage | None = None
    everything: Coverage | None = None

    def count(self, verdict: Verdict) -> int:
        """How many ended so."""
        return sum(result.verdict is verdict for result in self.results)
