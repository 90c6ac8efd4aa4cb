"""Diagnostics as text: for people in full, one per line for tools, and as JSON.

Nothing that comes from a policy or a file name reaches the terminal raw; JSON is ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from policyc.diagnostics.excerpt import Annotation, LineCache, Page, Paint, lay_out, span_positions
from policyc.diagnostics.model import Diagnostic, Fix, Severity
from policyc.diagnostics.visible import shorten, visible
from policyc.source import Source, Span

__all__ = ["render_concise", "render_full", "render_json", "summary"]

#: The width to fit excerpts in when the caller does not know a terminal's.
DEFAULT_WIDTH = 120

#: An excerpt narrower than this would say nothing.
_LEAST_EXCERPT = 20

_LONGEST_MESSAGE = 2000
_LONGEST_QUOTE = 60

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_STYLES = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "note": "\x1b[1;32m",
    "message": _BOLD,
    "gutter": "\x1b[1;34m",
    "secondary": "\x1b[1;34m",
}


def render_full(diagnostics: Sequence[Diagnostic], *, color: bool, width: int | None = None) -> str:
    """Each diagnostic with the lines it is about, the places marked, and what to do."""
    lines = LineCache()
    width = DEFAULT_WIDTH if width is None else width
    return "\n\n".join(_full(item, lines, color, width) for item in diagnostics)


def render_concise(diagnostics: Sequence[Diagnostic]) -> str:
    """One line per diagnostic: `file:line:column: severity[code] message (help)`."""
    return "\n".join(map(_concise, diagnostics))


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """One JSON document with every diagnostic and the numbers of errors and warnings.

    Lines and columns count from 1, offsets from 0; columns and offsets are in characters.
    """
    document = {
        "diagnostics": [_json_diagnostic(item) for item in diagnostics],
        "errors": _count(diagnostics, Severity.ERROR),
        "warnings": _count(diagnostics, Severity.WARNING),
    }
    return json.dumps(document, indent=2)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """How many of each there are: `2 errors, 1 warning`; `no problems` if none."""
    counts = ((severity, _count(diagnostics, severity)) for severity in Severity)
    parts = [
        f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts if count
    ]
    return ", ".join(parts) or "no problems"


def _count(diagnostics: Sequence[Diagnostic], severity: Severity) -> int:
    return sum(item.severity is severity for item in diagnostics)


def _message(text: str) -> str:
    return visible(shorten(text, _LONGEST_MESSAGE))


def _place(span: Span) -> str:
    start, _ = span_positions(span)
    return f"{visible(span.source.name)}:{start.line}:{start.column}"


def _concise(diagnostic: Diagnostic) -> str:
    head = f"{_place(diagnostic.span)}: {diagnostic.severity}[{diagnostic.code}]"
    text = f"{head} {_message(diagnostic.message)}"
    if diagnostic.help:
        text += f" ({_message(' '.join(diagnostic.help.split()))})"
    return text


def _plain(_role: str, text: str) -> str:
    return text


def _painter(color: bool, severity: Severity) -> Paint:
    if not color:
        return _plain

    def paint(role: str, text: str) -> str:
        style = _STYLES[severity if role == "primary" else role]
        return f"{style}{text}{_RESET}"

    return paint


def _full(diagnostic: Diagnostic, lines: LineCache, color: bool, width: int) -> str:
    severity = diagnostic.severity
    paint = _painter(color, severity)
    annotations = [Annotation(diagnostic.span, diagnostic.label, primary=True)]
    annotations += [
        Annotation(item.span, item.message, primary=False) for item in diagnostic.related
    ]
    gutter = max(len(str(span_positions(item.span)[1].line)) for item in annotations)
    head = paint("primary", f"{severity}[{diagnostic.code}]")
    rows = [head + paint("message", f": {_message(diagnostic.message)}")]
    page = Page(lines, gutter, max(width - gutter - 3, _LEAST_EXCERPT), paint)
    left_over: list[Annotation] = []
    for number, (source, group) in enumerate(_by_source(annotations).items()):
        arrow = ":::" if number else "-->"
        rows.append(f"{' ' * gutter}{paint('gutter', arrow)} {_place(group[0].span)}")
        if not source.text and not any(item.message for item in group):
            continue  # it is about the file, and there is nothing to show of it
        excerpt = lay_out(source, group, page)
        rows += excerpt.rows
        left_over += excerpt.left_over
    notes = [("note", f"{_place(item.span)}: {item.message}") for item in left_over]
    if diagnostic.help:
        notes.append(("help", diagnostic.help))
    if diagnostic.fix is not None:
        notes.append(("fix", _describe_fix(diagnostic.fix, diagnostic.span)))
    if notes:
        rows.append(paint("gutter", " " * (gutter + 1) + "|"))
    for title, text in notes:
        rows += _note(title, text, gutter, paint)
    return "\n".join(rows)


def _by_source(annotations: Sequence[Annotation]) -> dict[Source, list[Annotation]]:
    """The annotations of each source, that of the primary span first."""
    groups: dict[Source, list[Annotation]] = {}
    for annotation in annotations:
        groups.setdefault(annotation.span.source, []).append(annotation)
    return groups


def _note(title: str, text: str, gutter: int, paint: Paint) -> list[str]:
    """A line of advice; the further lines of a text of several are indented under it."""
    first, *more = shorten(text, _LONGEST_MESSAGE).split("\n")
    indent = " " * (gutter + 1)
    head = f"{indent}{paint('gutter', '=')} {paint('message', f'{title}:')}"
    continuation = f"{indent}{' ' * (len(title) + 4)}"
    return [f"{head} {visible(first)}", *(f"{continuation}{visible(line)}" for line in more)]


def _describe_fix(fix: Fix, primary: Span) -> str:
    old = _quote(fix.span.text)
    new = _quote(fix.replacement)
    if not fix.span.text:
        text = f"insert {new}"
    elif not fix.replacement:
        text = f"remove {old}"
    else:
        text = f"replace {old} with {new}"
    elsewhere = fix.span.source is not primary.source or fix.span.line != primary.line
    return f"{text} at {_place(fix.span)}" if elsewhere else text


def _quote(text: str) -> str:
    return f"`{visible(shorten(text, _LONGEST_QUOTE))}`"


def _json_range(span: Span) -> dict[str, Any]:
    start, end = span_positions(span)
    return {
        "file": span.source.name,
        "start": {"line": start.line, "column": start.column, "offset": span.start},
        "end": {"line": end.line, "column": end.column, "offset": span.end},
    }


def _json_diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    fix = diagnostic.fix
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_json_range(diagnostic.span),
        "label": diagnostic.label,
        "related": [
            {**_json_range(item.span), "message": item.message} for item in diagnostic.related
        ],
        "help": diagnostic.help,
        "fix": {**_json_range(fix.span), "replacement": fix.replacement} if fix else None,
    }
