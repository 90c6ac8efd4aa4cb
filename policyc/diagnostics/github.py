"""Diagnostics as workflow commands, which GitHub shows beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from policyc.diagnostics.excerpt import span_positions
from policyc.diagnostics.model import Diagnostic, Severity
from policyc.diagnostics.visible import visible

__all__ = ["render_github"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """One line per diagnostic: `::error file=F,line=L,col=C,...,title=CODE::MESSAGE`."""
    return "\n".join(map(_command, diagnostics))


def _command(diagnostic: Diagnostic) -> str:
    start, end = span_positions(diagnostic.span)
    properties = {
        "file": visible(diagnostic.span.source.name),
        "line": str(start.line),
        "endLine": str(end.line),
        "col": str(start.column),
        "endColumn": str(end.column),
        "title": diagnostic.code,
    }
    if start.line != end.line:
        del properties["col"], properties["endColumn"]  # GitHub takes columns of one line only
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    lines = [diagnostic.message]
    if diagnostic.help:
        lines += f"help: {diagnostic.help}".split("\n")
    text = "\n".join(map(visible, lines))
    return f"::{_COMMANDS[diagnostic.severity]} {written}::{_data(text)}"


def _data(text: str) -> str:
    """A message as the runner reads it: one line, with the escapes that it undoes."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property, where commas and colons have a meaning too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
