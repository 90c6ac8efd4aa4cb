"""Names: where they are declared, where they are used, and what else they could be called."""

from __future__ import annotations

from policyc.check.declarations import check_name
from policyc.diagnostics.model import Diagnostics
from policyc.lsp.analysis import Analysis
from policyc.lsp.outline import Declaration, Role
from policyc.lsp.scan import Token
from policyc.source import Source, Span
from policyc.syntax.tree import Name

__all__ = ["RenameRefusedError", "definition", "references", "renamable", "rename"]


class RenameRefusedError(Exception):
    """A name cannot be changed, or not into that; the message says why."""


def definition(document: Analysis, offset: int) -> Token | None:
    """The name where the word at a place is declared."""
    declaration = _declaration(document, offset)
    return declaration.name if declaration is not None else None


def references(document: Analysis, offset: int, *, with_declaration: bool = True) -> list[Token]:
    """Every place where the word at a place stands for the same thing."""
    declaration = _declaration(document, offset)
    if declaration is None:
        return []
    if declaration.kind == "rule":
        return [declaration.name] if with_declaration else []
    name = declaration.name
    return [
        token
        for token, role in document.outline.roles
        if token.text == name.text
        and (role is Role.USE or (with_declaration and role is Role.DECLARATION))
    ]


def renamable(document: Analysis, offset: int) -> Token:
    """The word at a place if it can be renamed; RenameRefusedError says why it cannot."""
    token = document.token_at(offset)
    if token is None or _declaration(document, offset) is None:
        raise RenameRefusedError("only sets, parameters, lets and labels can be renamed")
    return token


def rename(document: Analysis, offset: int, new: str) -> list[Token]:
    """The places to write the new name at; RenameRefusedError if it is no name for this."""
    renamable(document, offset)
    declaration = _declaration(document, offset)
    assert declaration is not None
    kind = "parameter" if declaration.kind == "param" else declaration.kind
    diagnostics = Diagnostics()
    source = Source("", new)
    if not check_name(Name(new, Span(source, 0, len(new))), kind, diagnostics):
        raise RenameRefusedError(diagnostics.items[0].message)
    _refuse_if_taken(document, declaration, new)
    return references(document, offset)


def _refuse_if_taken(document: Analysis, declaration: Declaration, new: str) -> None:
    """Labels have names of their own; all else shares one table."""
    if new == declaration.name.text:
        return
    is_label = declaration.kind == "rule"
    for other in document.outline.declarations:
        if other.name.text == new and (other.kind == "rule") == is_label:
            line = document.lines.position(other.name.start).line + 1
            raise RenameRefusedError(f"`{new}` is already declared in line {line}")


def _declaration(document: Analysis, offset: int) -> Declaration | None:
    token = document.token_at(offset)
    if token is None:
        return None
    match document.role_of(token):
        case Role.LABEL:
            found = (d for d in document.outline.declarations if d.name == token)
            return next(found, None)
        case Role.DECLARATION | Role.USE:
            return document.outline.declared(token.text)
        case _:
            return None
