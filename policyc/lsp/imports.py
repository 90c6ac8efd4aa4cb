"""The imports of a document, and the names that it has by them from other files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policyc.hooks.loader import attributes
from policyc.lsp.analysis import Analysis
from policyc.lsp.outline import Declaration, Statement
from policyc.lsp.scan import Token, TokenKind
from policyc.syntax.build import ESCAPE, escaped

__all__ = ["Import", "OpenFile", "imported", "imported_names", "imports_of"]

#: Gives another document by the path of its file, None if it cannot be read.
OpenFile = Callable[[str], Analysis | None]

_BYTE = re.compile(ESCAPE.pattern.encode(), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Import:
    """An import as it is written: the file, and the listed names or the name for all."""

    path: str
    file: Token
    listed: tuple[Token, ...] | None
    alias: Token | None
    start: int
    end: int

    @property
    def key(self) -> str:
        """What is the same for all names of the file."""
        return os.path.realpath(self.path)

    @property
    def prefix(self) -> str:
        """What stands in front of the names of the file where they are used."""
        return f"{self.alias.text}." if self.alias is not None else ""

    def name_of(self, word: str) -> str | None:
        """What the file would call a word of the importing one; None if it is not from there."""
        if self.alias is not None:
            is_from_there = word.startswith(self.prefix) and word not in attributes()
            return word.removeprefix(self.prefix) if is_from_there else None
        if self.listed is None:
            return word
        return word if any(token.text == word for token in self.listed) else None


def imports_of(document: Analysis) -> list[Import]:
    """The imports of a document, in the order of the text."""
    return [
        _import(document, statement)
        for statement in document.outline.statements
        if statement.head == "import"
        and len(statement.tokens) > 1
        and statement.tokens[1].kind is TokenKind.STRING
    ]


def _import(document: Analysis, statement: Statement) -> Import:
    file, *rest = statement.tokens[1:]
    names = tuple(token for token in rest if token.kind is TokenKind.NAME)
    words = [token.text for token in rest[:1]]
    directory = os.path.dirname(document.path)  # noqa: PTH120 - a name as given
    return Import(
        os.path.normpath(os.path.join(directory, _written(file.text))),  # noqa: PTH118
        file,
        names if words == ["("] else None,
        next(iter(names[1:]), None) if words == ["as"] else None,
        statement.tokens[0].start,
        statement.tokens[-1].end,
    )


def _written(string: str) -> str:
    """The name of the file that a string says; what can name no file is left out."""
    data = string.strip('"').encode()
    if b"\\" in data:
        data = _BYTE.sub(lambda match: escaped(match[1].decode("latin-1")) or b"", data)
    return data.replace(b"\0", b"").decode("utf-8", "surrogateescape")


def imported(
    document: Analysis, name: str, open_file: OpenFile
) -> tuple[Analysis, Declaration] | None:
    """Where a name is declared that a document imports."""
    for item in imports_of(document):
        there = item.name_of(name)
        other = open_file(item.path) if there is not None else None
        declaration = other.outline.declared(there) if other is not None and there else None
        if other is not None and declaration is not None:
            return other, declaration
    return None


def imported_names(
    document: Analysis, open_file: OpenFile
) -> Iterator[tuple[str, Analysis, Declaration]]:
    """Every imported name as the document writes it, and what declares it."""
    for item in imports_of(document):
        other = open_file(item.path)
        for declaration in other.outline.declarations if other is not None else ():
            name = item.prefix + declaration.name.text
            if other is not None and declaration.kind != "rule" and item.name_of(name) is not None:
                yield name, other, declaration
