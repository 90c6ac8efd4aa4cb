"""The one diagnostic model that every stage reports with and every renderer reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from policyc.source import Span

__all__ = ["Diagnostic", "Diagnostics", "Fix", "Label", "PolicyError", "Severity"]


class Severity(StrEnum):
    """How bad it is: an error stops compilation, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A span with what there is to say about it."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A replacement of a span's text that is sure to be right."""

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: its code, where it is, what was found, what to do about it.

    `label` is printed under the primary span, `related` are further spans (the other
    side of a conflict, an earlier declaration), `help` says what to do.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    related: tuple[Label, ...] = ()
    help: str = ""
    fix: Fix | None = None

    @property
    def severity(self) -> Severity:
        """The severity, which belongs to the code."""
        from policyc.diagnostics.codes import CODES, LINT_CODES

        return (CODES.get(self.code) or LINT_CODES[self.code]).severity


class PolicyError(Exception):
    """A policy that cannot be used; carries every diagnostic that was found."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.diagnostics = diagnostics
        super().__init__(diagnostics)

    def __str__(self) -> str:
        from policyc.diagnostics.render import render_concise

        return render_concise(self.diagnostics)


@dataclass(slots=True)
class Diagnostics:
    """A collector: stages add to it and go on, so that one run reports everything."""

    items: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        related: tuple[Label, ...] = (),
        help: str = "",
        fix: Fix | None = None,
    ) -> None:
        """Report one finding."""
        self.items.append(Diagnostic(code, message, span, label, related, help, fix))

    @property
    def has_errors(self) -> bool:
        """Whether any of the findings is an error."""
        return any(item.severity is Severity.ERROR for item in self.items)

    def sorted(self, first: str = "") -> tuple[Diagnostic, ...]:
        """The findings file by file in the order of the text, without repetitions.

        `first` is the name of the file to begin with; the others follow by name.
        """
        unique = dict.fromkeys(self.items)
        return tuple(
            sorted(
                unique,
                key=lambda d: (
                    d.span.source.name != first,
                    d.span.source.name,
                    d.span.start,
                    d.span.end,
                    d.code,
                ),
            )
        )
