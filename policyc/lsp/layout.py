"""The layout of a whole document."""

from __future__ import annotations

from lsprotocol import types

from policyc.lsp.analysis import Analysis
from policyc.syntax.formatter import format_source

__all__ = ["LayoutRefusedError", "laid_out"]


class LayoutRefusedError(Exception):
    """A text that cannot be laid out; the message says why."""


def laid_out(document: Analysis) -> list[types.TextEdit]:
    """The edits that give a document its canonical form; none if it has it."""
    source, tree = document.tree
    if tree is None:
        raise LayoutRefusedError("a policy with syntax errors is not laid out")
    text = format_source(source, tree)
    if text == document.text:
        return []
    return [types.TextEdit(document.lines.range(0, len(document.text)), text)]
