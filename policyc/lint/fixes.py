"""Fixes: edits of the text that leave the meaning of a policy as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from policyc.diagnostics.model import Fix
from policyc.source import Source, Span
from policyc.syntax import tree as t

__all__ = ["apply_fixes", "line_of", "remove_import", "remove_statement"]

_BLANK = re.compile(r"[ \t]*")
#: What may follow a removed piece on its line, and goes with it.
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?=\n|\Z)")


def remove_statement(span: Span) -> Fix | None:
    """The fix that takes out a statement with its semicolon; none if a comment is inside it."""
    text = span.source.text
    end = span.end if span.text.endswith(";") else text.find(";", span.end) + 1
    if end == 0 or "#" in text[span.start : end]:
        return None
    return Fix(line_of(Span(span.source, span.start, end)), "")


def remove_import(item: t.ImportItem, idle: set[int]) -> Fix | None:
    """The fix that takes out the names of an import that start at these places.

    Without any name left, the import goes too; there is no fix if a comment is inside it.
    """
    if item.names is None or idle >= {name.span.start for name in item.names}:
        return remove_statement(item.span)
    names = item.names
    whole = names[0].span.to(names[-1].span)
    kept = [name.text for name in names if name.span.start not in idle]
    return None if "#" in whole.text else Fix(whole, ", ".join(kept))


def line_of(span: Span) -> Span:
    """A piece of text with its line, if nothing but a comment stands there besides."""
    text = span.source.text
    line = text.rfind("\n", 0, span.start) + 1
    rest = _REST.match(text, span.end)
    if _BLANK.fullmatch(text, line, span.start) is None or rest is None:
        return span
    return Span(span.source, line, min(rest.end() + 1, len(text)))


def apply_fixes(source: Source, fixes: Iterable[Fix]) -> tuple[str, int]:
    """The text with every fix applied that does not overlap an earlier one, and their number."""
    pieces: list[str] = []
    done = applied = 0
    for fix in sorted(fixes, key=lambda fix: (fix.span.start, fix.span.end)):
        if fix.span.source is source and fix.span.start >= done:
            pieces += (source.text[done : fix.span.start], fix.replacement)
            done = fix.span.end
            applied += 1
    return "".join((*pieces, source.text[done:])), applied
