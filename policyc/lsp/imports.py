"""Names that a document has from other files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from policyc.lsp.analysis import Analysis
from policyc.lsp.outline import Declaration, Statement

__all__ = ["OpenFile", "imported", "imported_names"]

#: Gives another document by the path of its file, None if it cannot be read.
OpenFile = Callable[[str], Analysis | None]


def imported(
    document: Analysis, path: str, name: str, open_file: OpenFile
) -> tuple[Analysis, Declaration] | None:
    """Where a name is declared that the document at `path` imports."""
    found = (item for item in imported_names(document, path, open_file) if item[0] == name)
    _, other, declaration = next(found, ("", None, None))
    return (other, declaration) if other is not None and declaration is not None else None


def imported_names(
    document: Analysis, path: str, open_file: OpenFile
) -> Iterator[tuple[str, Analysis, Declaration]]:
    """Every imported name as the document writes it, and what declares it."""
    for statement in document.outline.statements:
        if statement.head != "import" or len(statement.tokens) < 2:
            continue
        file = statement.tokens[1].text.strip('"')
        other = open_file(os.path.join(os.path.dirname(path), file))  # noqa: PTH118, PTH120
        if other is not None:
            yield from _names(statement, other)


def _names(statement: Statement, other: Analysis) -> Iterator[tuple[str, Analysis, Declaration]]:
    words = [token.text for token in statement.tokens[2:]]
    listed = set(words) if "(" in words else None
    prefix = f"{words[1]}." if words[:1] == ["as"] and len(words) > 1 else ""
    for declaration in other.outline.declarations:
        name = declaration.name.text
        if declaration.kind != "rule" and (listed is None or name in listed):
            yield prefix + name, other, declaration
