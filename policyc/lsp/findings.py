"""What the checker says, in the terms of the protocol, and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lsprotocol import types

from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.model import Diagnostic, Severity
from policyc.lsp.analysis import Analysis
from policyc.lsp.edits import workspace_edit
from policyc.lsp.lines import Lines
from policyc.source import Span

__all__ = ["protocol_diagnostic", "quick_fixes", "touches"]

_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.NOTE: types.DiagnosticSeverity.Information,
}

#: What editors may show faded: what nothing uses or reaches, and what could as well be left out.
_UNNECESSARY = frozenset({"PC0210", "PC0211", "PC0212", "PC0502", "PL011", "PL019", "PL021"})

_MEANT = re.compile(r"did you mean `([^`\[\]]+)`\?")


def protocol_diagnostic(diagnostic: Diagnostic, lines: Lines, uri: str) -> types.Diagnostic:
    """A finding of the document that `lines` and `uri` are of."""
    message = diagnostic.message
    if diagnostic.help:
        message += f"\nhelp: {diagnostic.help}"
    source = diagnostic.span.source
    related = [
        types.DiagnosticRelatedInformation(
            types.Location(uri, _range(label.span, lines)), label.message or "here"
        )
        for label in diagnostic.related
        if label.span.source.name == source.name
    ]
    return types.Diagnostic(
        _range(diagnostic.span, lines),
        message,
        severity=_SEVERITIES[diagnostic.severity],
        code=diagnostic.code,
        source="policyc lint" if diagnostic.code in LINT_CODES else "policyc",
        related_information=related or None,
        tags=[types.DiagnosticTag.Unnecessary] if diagnostic.code in _UNNECESSARY else None,
    )


def touches(item: Diagnostic, document: Analysis, place: types.Range) -> bool:
    """Whether a finding is in a range of a document."""
    if item.span.source.name != document.path:
        return False
    start, end = document.lines.offset(place.start), document.lines.offset(place.end)
    return item.span.end >= start and item.span.start <= end


def quick_fixes(
    diagnostics: Iterable[Diagnostic], document: Analysis, place: types.Range, *, versioned: bool
) -> list[types.CodeAction]:
    """The changes that answer the findings in a document which touch a range of it."""
    actions: list[types.CodeAction] = []
    for item in diagnostics:
        change = _change(item) if touches(item, document, place) else None
        if change is None:
            continue
        span, text, sure = change
        edit = types.TextEdit(_range(span, document.lines), text)
        actions.append(
            types.CodeAction(
                _title(span, text),
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[protocol_diagnostic(item, document.lines, document.uri)],
                edit=workspace_edit([(document, [edit])], versioned=versioned),
                is_preferred=sure,
            )
        )
    return actions


def _change(item: Diagnostic) -> tuple[Span, str, bool] | None:
    """What to replace by what, and whether that is sure to be right."""
    if item.fix is not None:
        here = item.fix.span.source.name == item.span.source.name
        return (item.fix.span, item.fix.replacement, True) if here else None
    meant = _MEANT.search(item.help)
    return (item.span, meant[1], False) if meant else None


def _title(span: Span, text: str) -> str:
    old, new = " ".join(span.text.split()), " ".join(text.split())
    if not old:
        return f"insert `{new}`"
    return f"replace `{old}` with `{new}`" if new else f"remove `{old}`"


def _range(span: Span, lines: Lines) -> types.Range:
    return lines.range(span.start, max(span.start, span.end))
