"""Finds every syntax error of a text with lark, statement by statement."""

from __future__ import annotations

import re
from functools import cache

from lark import Lark
from lark.exceptions import UnexpectedInput

from policyc.diagnostics.model import Diagnostics
from policyc.source import Source, Span
from policyc.syntax.errors import failure_of, report, without_statement
from policyc.syntax.tables import grammar_text

__all__ = ["report_syntax_errors"]

#: Syntax errors that one run looks for; each needs another pass over the text.
_MAX_SYNTAX_ERRORS = 20
_MAX_REPARSED_CHARACTERS = 1 << 20


def report_syntax_errors(source: Source, diagnostics: Diagnostics) -> None:
    """Report every syntax error of a text that has some.

    After an error the statement that holds it is blanked out and the rest is parsed
    again, so that one run reports the errors of all statements.
    """
    parser = _parser()
    text, parsed, reported = source.text, 0, -1
    for _ in range(_MAX_SYNTAX_ERRORS):
        parsed += len(text)
        error = _parse_once(parser, text)
        if error is None:
            break
        failure = failure_of(source, error)
        if failure.start <= reported or (reported >= 0 and failure.terminal == "$END"):
            break  # a consequence of an error that is already reported
        report(source, failure, diagnostics)
        reported = failure.start
        if parsed > _MAX_REPARSED_CHARACTERS or _in_header(source, failure.start):
            break
        text = without_statement(text, failure.start)
    if reported < 0:
        diagnostics.add("PC0102", "the text cannot be read", Span(source, 0, 0))


def _in_header(source: Source, offset: int) -> bool:
    """Whether `policy NAME;` is not complete yet, so that nothing after it can be parsed."""
    return ";" not in re.sub(r"#.*", "", source.text[:offset])


@cache
def _parser() -> Lark:
    return Lark(grammar_text(), parser="lalr", lexer="contextual")


def _parse_once(parser: Lark, text: str) -> UnexpectedInput | None:
    try:
        parser.parse(text)  # pyright: ignore[reportUnknownMemberType]
    except UnexpectedInput as error:
        return error
    return None
