"""The layout of a whole document."""

from __future__ import annotations

from lsprotocol import types

from policyc.lsp.analysis import Analysis
from policyc.lsp.edits import replacement

__all__ = ["LayoutRefusedError", "laid_out"]


class LayoutRefusedError(Exception):
    """A text that cannot be laid out; the message says why."""


def laid_out(document: Analysis) -> list[types.TextEdit]:
    """The edit that gives a document its canonical form; none if it has it."""
    text = document.layout
    if text is None:
        raise LayoutRefusedError("a policy with syntax errors is not laid out")
    return [] if text == document.text else [replacement(document, text)]
