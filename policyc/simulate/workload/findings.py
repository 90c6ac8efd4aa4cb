"""What there is to say about the file of a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policyc.simulate.workload.positions import Path, line_of, spelled

__all__ = ["Finding", "Findings", "WorkloadError"]

#: More would not be read.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake, or (`warning`) something that is hardly meant.

    `path` is the place in the document, such as `processes[2].vmas[0].size`, empty for all of
    it; `line` counts from 1, None where the command line is at fault or there is no document.
    """

    path: str
    line: int | None
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class WorkloadError(ValueError):
    """A workload that cannot be used; `findings` has every mistake, and the warnings."""

    def __init__(self, name: str, findings: tuple[Finding, ...]) -> None:
        errors = [finding for finding in findings if not finding.warning]
        places = [
            f"{name}:{finding.line}: {finding}" if finding.line else f"{name}: {finding}"
            for finding in errors
        ]
        super().__init__("\n".join(places))
        self.name = name
        self.findings = findings


@dataclass(slots=True)
class Findings:
    """Collects findings; `lines` are those of the document, `given` the places that the
    command line has set.
    """

    lines: Mapping[Path, int] = field(default_factory=dict[Path, int])
    given: frozenset[Path] = frozenset()
    found: list[Finding] = field(default_factory=list[Finding])
    wrong: set[Path] = field(default_factory=set[Path])

    @property
    def errors(self) -> bool:
        """Whether there is a mistake."""
        return any(not finding.warning for finding in self.found)

    def error(self, path: Path, message: str) -> None:
        """A mistake at a place."""
        self.wrong.update(path[:end] for end in range(len(path) + 1))
        self._add(path, message, warning=False)

    def warn(self, path: Path, message: str) -> None:
        """Something that is hardly meant."""
        self._add(path, message, warning=True)

    def sound(self, path: Path) -> bool:
        """Whether nothing is wrong at a place or below it."""
        return path not in self.wrong

    def ordered(self) -> tuple[Finding, ...]:
        """All of them: what has no line first, then by line."""
        return tuple(sorted(self.found, key=lambda finding: finding.line or 0))

    def _add(self, path: Path, message: str, *, warning: bool) -> None:
        if len(self.found) >= _MOST:
            return
        if any(path[:end] in self.given for end in range(len(path) + 1)):
            message, line = f"set on the command line: {message}", None
        else:
            line = line_of(path, self.lines)
        self.found.append(Finding(spelled(path), line, message, warning))
