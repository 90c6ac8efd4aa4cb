"""Finds every syntax error of a text with lark, statement by statement."""

from __future__ import annotations

import re
from typing import Any, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from policyc.diagnostics.model import Diagnostics
from policyc.source import Source
from policyc.syntax.build import TreeBuilder
from policyc.syntax.errors import failure_of, report, without_statement
from policyc.syntax.tables import grammar_text
from policyc.syntax.tree import PolicyFile

__all__ = ["report_syntax_errors"]

#: Syntax errors that one run looks for; each needs another pass over the text.
_MAX_SYNTAX_ERRORS = 20
_MAX_REPARSED_CHARACTERS = 1 << 20


def report_syntax_errors(source: Source, diagnostics: Diagnostics) -> PolicyFile | None:
    """Report every syntax error; the tree if lark finds none.

    After an error the statement that holds it is blanked out and the rest is parsed
    again, so that one run reports the errors of all statements.
    """
    parser = _parser(source, diagnostics)
    text, parsed, reported, tree = source.text, 0, -1, None
    for _ in range(_MAX_SYNTAX_ERRORS):
        parsed += len(text)
        before = len(diagnostics.items)
        error, tree = _parse_once(parser, text)
        if error is None:
            break
        del diagnostics.items[before:]
        tree, failure = None, failure_of(source, error)
        if failure.start <= reported or (reported >= 0 and failure.terminal == "$END"):
            break  # a consequence of an error that is already reported
        report(source, failure, diagnostics)
        reported = failure.start
        if parsed > _MAX_REPARSED_CHARACTERS or _in_header(source, failure.start):
            break
        text = without_statement(text, failure.start)
    return tree if reported < 0 else None


def _in_header(source: Source, offset: int) -> bool:
    """Whether `policy NAME;` is not complete yet, so that nothing after it can be parsed."""
    return ";" not in re.sub(r"#.*", "", source.text[:offset])


def _parser(source: Source, diagnostics: Diagnostics) -> Lark:
    builder = TreeBuilder(source, diagnostics)
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        transformer=cast("Transformer[Token, Any]", builder),
    )


def _parse_once(parser: Lark, text: str) -> tuple[UnexpectedInput | None, PolicyFile | None]:
    try:
        return None, cast(PolicyFile, parser.parse(text))  # pyright: ignore[reportUnknownMemberType]
    except UnexpectedInput as error:
        return error, None
