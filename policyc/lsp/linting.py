"""The linter in the editor: what it says beside the checker, and how its findings are settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lsprotocol import types

from policyc.check import CheckResult
from policyc.check.model import Read
from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.model import Diagnostic, Diagnostics, Severity
from policyc.lint import fix_text
from policyc.lint.judgement import judge
from policyc.lsp.analysis import Analysis
from policyc.lsp.edits import workspace_edit
from policyc.lsp.findings import protocol_diagnostic, touches
from policyc.syntax.parser import parse

__all__ = ["acceptances", "all_fixed", "everything", "lint"]

#: What is said of comments of the linter, which no comment can accept.
_OF_COMMENTS = frozenset({"PL021", "PL022"})


def lint(
    document: Analysis, result: CheckResult, profiles: Sequence[str]
) -> tuple[Diagnostic, ...]:
    """What the linter says of a document that the checker has no error in."""
    if result.file is None or any(d.severity is Severity.ERROR for d in result.diagnostics):
        return ()
    # With imports, the tree of the checker has what they bring, and other names for it.
    tree = result.file if not result.imports else parse(result.file.source, Diagnostics())
    return judge(result, profiles=profiles, target=document.target, file=tree).findings


def everything(document: Analysis) -> tuple[Diagnostic, ...]:
    """What the checker and the linter say; what both say once, with the fix of the linter."""
    checked = document.checked.diagnostics if document.checked is not None else ()
    places = {item.span: place for place, item in enumerate(checked)}
    merged, more = list(checked), list[Diagnostic]()
    for item in document.linted:
        place = places.get(item.span) if item.code == "PL011" else None
        if place is None:
            more.append(item)
        elif merged[place].fix is None:
            merged[place] = replace(merged[place], fix=item.fix)
    return (*merged, *more)


def all_fixed(document: Analysis, profiles: Sequence[str], read: Read) -> str | None:
    """The text of a document with every safe fix; None if there is nothing to fix."""
    data = document.text.encode("utf-8", "surrogatepass")
    fixed = fix_text(data, document.path, profiles=profiles, target=document.target, read=read)
    return fixed.data.decode("utf-8", "surrogatepass") if fixed.applied else None


def acceptances(
    document: Analysis, place: types.Range, *, versioned: bool
) -> Iterator[types.CodeAction]:
    """Comments that accept the findings of the linter which touch a range.

    They come without a reason; the linter asks for it until somebody writes one.
    """
    end = "\r\n" if "\r\n" in document.text else "\n"
    for item in everything(document):
        if item.code not in LINT_CODES or item.code in _OF_COMMENTS:
            continue
        if not touches(item, document, place):
            continue
        start = document.text.rfind("\n", 0, item.span.start) + 1
        line = document.text[start : item.span.start]
        blank = line[: len(line) - len(line.lstrip(" \t"))]
        comment = f"{blank}# lint: allow {item.code}{end}"
        edit = types.TextEdit(document.lines.range(start, start), comment)
        yield types.CodeAction(
            f"accept {item.code} with a comment",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[protocol_diagnostic(item, document.lines, document.uri)],
            edit=workspace_edit([(document, [edit])], versioned=versioned),
        )
