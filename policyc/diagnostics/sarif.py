"""Diagnostics as SARIF 2.1.0, which code scanning services and editors read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from policyc import __version__
from policyc.diagnostics.codes import CODES, LINT_CODES
from policyc.diagnostics.excerpt import span_positions
from policyc.diagnostics.model import Diagnostic, Fix, Label, Severity
from policyc.source import Span

__all__ = ["render_sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """One SARIF log with one run; its rules are the codes that were found."""
    codes = sorted({item.code for item in diagnostics})
    driver = {
        "name": "policyc",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, codes.index(item.code)) for item in diagnostics],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    info = CODES.get(code) or LINT_CODES[code]
    title = info.title
    return {
        "id": code,
        "shortDescription": {"text": title[:1].upper() + title[1:]},
        "defaultConfiguration": {"level": _LEVELS[info.severity]},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    text = diagnostic.message
    if diagnostic.help:
        text += f"\nhelp: {diagnostic.help}"
    location = _location(Label(diagnostic.span, diagnostic.label))
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": _plain(text)},
        "locations": [location],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, **_location(label)} for number, label in enumerate(diagnostic.related)
        ]
    if diagnostic.fix is not None:
        result["fixes"] = [_fix(diagnostic.fix, diagnostic.help)]
    return result


def _location(label: Label) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(label.span),
            "region": _region(label.span),
        }
    }
    if label.message:
        location["message"] = {"text": _plain(label.message)}
    return location


def _artifact(span: Span) -> dict[str, str]:
    """The file as a URI reference; a relative one is relative to where policyc ran."""
    path = Path(span.source.name)
    if path.is_absolute():
        return {"uri": "file://" + quote(span.source.name, errors="surrogateescape")}
    return {"uri": quote(span.source.name, errors="surrogateescape")}


def _region(span: Span) -> dict[str, int]:
    start, end = span_positions(span)
    return {
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    }


def _fix(fix: Fix, description: str) -> dict[str, Any]:
    replacement = {
        "deletedRegion": _region(fix.span),
        "insertedContent": {"text": _plain(fix.replacement)},
    }
    changes = [{"artifactLocation": _artifact(fix.span), "replacements": [replacement]}]
    text = description or f"replace with {fix.replacement}"
    return {"description": {"text": _plain(text)}, "artifactChanges": changes}


def _plain(text: str) -> str:
    """Text that every reader of JSON can decode: no lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
