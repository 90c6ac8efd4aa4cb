"""What the tests in a VM reported."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counts", "counts_of"]

#: How much of the message of a failure is told again at the end.
_WORDS = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests passed, failed (errors included) and were skipped.

    `reasons` has a line for each failure: what failed, and the first words of why.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether something passed and nothing failed."""
        return self.failed == 0 and self.passed > 0

    def plus(self, other: Counts) -> Counts:
        """The sum."""
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.reasons + other.reasons,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def counts_of(report: Path) -> Counts:
    """The counts of a JUnit report; nothing if there is none."""
    if not report.exists():
        return Counts()
    tests = failed = skipped = 0
    root = ET.parse(report).getroot()
    for suite in root.iter("testsuite"):
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return Counts(tests - failed - skipped, failed, skipped, tuple(_reasons(root)))


def _reasons(root: ET.Element) -> Iterator[str]:
    for case in root.iter("testcase"):
        for found in (*case.iter("failure"), *case.iter("error")):
            message = " ".join(found.get("message", "").split())
            yield f"{case.get('classname')}::{case.get('name')}: {message[:_WORDS]}"
