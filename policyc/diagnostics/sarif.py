"""Diagnostics as SARIF 2.1.0, which code scanning services and editors read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from policyc import __version__
from policyc.diagnostics.codes import CODES, LINT_CODES
from policyc.diagnostics.excerpt import span_positions
from policyc.diagnostics.fingerprints import line_fingerprints
from policyc.diagnostics.model import Diagnostic, Fix, Label, Severity
from policyc.resources import resource_path
from policyc.source import Position, Source, Span

__all__ = ["render_sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}

#: What relative names of files start from, by the name that code scanning knows.
_ROOT = "%SRCROOT%"

_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)[^)]*\)")
_OPTIONS = re.compile(r"^```thp .*$", re.MULTILINE)

_Fingerprints = Mapping[Source, Mapping[int, str]]


def render_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """One SARIF log with one run; its rules are the codes that were found."""
    codes = sorted({item.code for item in diagnostics})
    driver = {
        "name": "policyc",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    marks = _fingerprints(diagnostics)
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "originalUriBaseIds": {
            _ROOT: {"description": {"text": "The directory in which policyc ran."}}
        },
        "columnKind": "utf16CodeUnits",
        "results": [_result(item, codes.index(item.code), marks) for item in diagnostics],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    info = CODES.get(code) or LINT_CODES[code]
    title = f"{info.title[:1].upper()}{info.title[1:]}."
    page = _page(code)
    return {
        "id": code,
        "shortDescription": {"text": title},
        "fullDescription": {"text": _first_paragraph(page)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _LEVELS[info.severity]},
        "properties": {"tags": ["lint" if code in LINT_CODES else "check"]},
    }


def _page(code: str) -> str:
    """The page of a code, without links to other pages and what is for tests of the page."""
    kind = "lint" if code in LINT_CODES else "errors"
    text = (resource_path(f"docs/{kind}") / f"{code}.md").read_text("utf-8")
    return _OPTIONS.sub("```thp", _LINK.sub(r"\1", text))


def _first_paragraph(page: str) -> str:
    """The text below the title, on one line."""
    paragraphs = page.split("\n\n")
    return " ".join(paragraphs[1].split()).replace("`", "")


def _fingerprints(diagnostics: Sequence[Diagnostic]) -> _Fingerprints:
    """The marks of the lines on which something was found."""
    lines: dict[Source, set[int]] = {}
    for item in diagnostics:
        start, _ = span_positions(item.span)
        lines.setdefault(item.span.source, set()).add(start.line)
    return {source: line_fingerprints(source.text, found) for source, found in lines.items()}


def _result(diagnostic: Diagnostic, rule: int, marks: _Fingerprints) -> dict[str, Any]:
    text = diagnostic.message
    if diagnostic.help:
        text += f"\nhelp: {diagnostic.help}"
    span = diagnostic.span
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": _plain(text)},
        "locations": [_location(Label(span, diagnostic.label))],
    }
    mark = marks[span.source].get(span_positions(span)[0].line)
    if mark is not None:
        result["partialFingerprints"] = {"primaryLocationLineHash": mark}
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
    """The file: relative to where policyc ran if it is below that, else where it is."""
    path = os.path.abspath(span.source.name)  # noqa: PTH100 - links are left as they are
    here = Path.cwd()
    if Path(path).is_relative_to(here):
        name = os.path.relpath(path, here)
        return {"uri": quote(name, errors="surrogateescape"), "uriBaseId": _ROOT}
    return {"uri": "file://" + quote(path, errors="surrogateescape")}


def _region(span: Span) -> dict[str, int]:
    start, end = span_positions(span)
    return {
        "startLine": start.line,
        "startColumn": _column(span.source, start),
        "endLine": end.line,
        "endColumn": _column(span.source, end),
    }


def _column(source: Source, place: Position) -> int:
    """The column in UTF-16 code units, of which some characters are two."""
    before = source.line_text(place.line)[: place.column - 1]
    return place.column + sum(character > "\uffff" for character in before)


def _fix(fix: Fix, description: str) -> dict[str, Any]:
    replacement: dict[str, Any] = {"deletedRegion": _region(fix.span)}
    if fix.replacement:
        replacement["insertedContent"] = {"text": _plain(fix.replacement)}
    changes = [{"artifactLocation": _artifact(fix.span), "replacements": [replacement]}]
    text = description or f"replace with {fix.replacement}"
    return {"description": {"text": _plain(text)}, "artifactChanges": changes}


def _plain(text: str) -> str:
    """Text that every reader of JSON can decode: no lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
