"""What the tests in a VM reported."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counts", "counts_of"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests passed, failed (errors included) and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def good(self) -> bool:
        """Whether something passed and nothing failed."""
        return self.failed == 0 and self.passed > 0

    def plus(self, other: Counts) -> Counts:
        """The sum."""
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def counts_of(report: Path) -> Counts:
    """The counts of a JUnit report; nothing if there is none."""
    if not report.exists():
        return Counts()
    tests = failed = skipped = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return Counts(tests - failed - skipped, failed, skipped)
