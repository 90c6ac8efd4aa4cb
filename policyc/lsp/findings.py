"""What the checker says, in the terms of the protocol, and what can be done about it."""

from __future__ import annotations

import re

from lsprotocol import types

from policyc.diagnostics.model import Diagnostic, Severity
from policyc.lsp.lines import Lines
from policyc.source import Span

__all__ = ["protocol_diagnostic", "quick_fixes"]

_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.NOTE: types.DiagnosticSeverity.Information,
}

#: What editors may show faded: names that nothing uses, and rules that nothing reaches.
_UNNECESSARY = frozenset({"PC0210", "PC0211", "PC0212", "PC0502"})

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
        source="policyc",
        related_information=related or None,
        tags=[types.DiagnosticTag.Unnecessary] if diagnostic.code in _UNNECESSARY else None,
    )


def quick_fixes(
    diagnostics: tuple[Diagnostic, ...], name: str, lines: Lines, uri: str, place: types.Range
) -> list[types.CodeAction]:
    """The changes that answer the findings in the file `name` which touch a range of it."""
    start, end = lines.offset(place.start), lines.offset(place.end)
    actions: list[types.CodeAction] = []
    for item in diagnostics:
        if item.span.source.name != name or item.span.end < start or item.span.start > end:
            continue
        change = _change(item)
        if change is None:
            continue
        span, text, sure = change
        edit = types.TextEdit(_range(span, lines), text)
        actions.append(
            types.CodeAction(
                _title(span, text),
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[protocol_diagnostic(item, lines, uri)],
                edit=types.WorkspaceEdit(changes={uri: [edit]}),
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
