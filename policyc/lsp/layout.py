"""The layout of a whole document."""

from __future__ import annotations

from lsprotocol import types

from policyc.diagnostics.model import Diagnostics
from policyc.lsp.analysis import Analysis
from policyc.lsp.scan import TokenKind
from policyc.source import Source
from policyc.syntax.parser import parse
from policyc.syntax.printer import format_policy

__all__ = ["LayoutRefusedError", "laid_out"]


class LayoutRefusedError(Exception):
    """A text that cannot be laid out without harm; the message says why."""


def laid_out(document: Analysis) -> list[types.TextEdit]:
    """The edits that give a document its canonical form; none if it has it."""
    if any(token.kind is TokenKind.COMMENT for token in document.tokens):
        raise LayoutRefusedError("a policy with comments is not laid out, as they would be lost")
    tree = parse(Source("", document.text), Diagnostics())
    if tree is None:
        raise LayoutRefusedError("a policy with syntax errors is not laid out")
    text = format_policy(tree)
    if text == document.text:
        return []
    return [types.TextEdit(document.lines.range(0, len(document.text)), text)]
