"""Names: where they are declared and used, over all files, and what else they could be called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from policyc.check.declarations import check_name
from policyc.diagnostics.model import Diagnostics
from policyc.hooks.loader import attributes
from policyc.lsp.analysis import Analysis
from policyc.lsp.files import Importers
from policyc.lsp.imports import Import, OpenFile, imported, imports_of
from policyc.lsp.outline import Declaration, Role
from policyc.lsp.scan import Token, TokenKind
from policyc.source import Source, Span
from policyc.syntax.tree import Name

__all__ = [
    "Declared",
    "Meaning",
    "Namespace",
    "Place",
    "RenameRefusedError",
    "declared_at",
    "definition",
    "meaning",
    "place_of",
    "refuse_name",
    "renamable",
    "uses",
]


class RenameRefusedError(Exception):
    """A name cannot be changed, or not into that; the message says why."""


class Place(NamedTuple):
    """A piece of the text of a document."""

    document: Analysis
    start: int
    end: int


class Declared(NamedTuple):
    """A set, parameter, let or label, in the document that declares it."""

    document: Analysis
    declaration: Declaration

    @property
    def is_label(self) -> bool:
        """Labels have names of their own, and no uses."""
        return self.declaration.kind == "rule"


class Namespace(NamedTuple):
    """The name that a document has for all of a file that it imports."""

    document: Analysis
    item: Import
    name: Token


#: What a word stands for.
Meaning: TypeAlias = Declared | Namespace


def meaning(document: Analysis, offset: int, open_file: OpenFile) -> Meaning | None:
    """What the word at a place stands for; None if it is not a name of the policy's own."""
    token = document.token_at(offset)
    role = document.role_of(token) if token is not None else Role.OTHER
    if token is None or role not in (Role.LABEL, Role.DECLARATION, Role.USE):
        return None
    if role is Role.LABEL:
        labels = (d for d in document.outline.declarations if d.name == token)
        return next((Declared(document, label) for label in labels), None)
    for item in imports_of(document):
        if item.alias is None:
            continue
        in_front = offset < token.start + len(item.prefix)
        if item.alias == token or (in_front and item.name_of(token.text) is not None):
            return Namespace(document, item, item.alias)
    own = document.outline.declared(token.text)
    if own is not None:
        return Declared(document, own)
    found = imported(document, token.text, open_file)
    return Declared(*found) if found is not None else None


def definition(document: Analysis, offset: int, open_file: OpenFile) -> Place | None:
    """Where the word at a place is declared; of the file in an import, its beginning."""
    token = document.token_at(offset)
    if token is not None and token.kind is TokenKind.STRING:
        named = (item for item in imports_of(document) if item.file == token)
        other = next((open_file(item.path) for item in named), None)
        return Place(other, 0, 0) if other is not None else None
    what = meaning(document, offset, open_file)
    return declared_at(what) if what is not None else None


def declared_at(what: Meaning) -> Place:
    """Where a name is declared."""
    match what:
        case Declared(document, declaration):
            name = declaration.name
        case Namespace(document, _, name):
            pass
    return Place(document, name.start, name.end)


def place_of(document: Analysis, offset: int, what: Meaning) -> Place:
    """The piece of the text at a place that says the name."""
    said = uses(what, [document])
    here = (p for p in said if p.document is document and p.start <= offset <= p.end)
    found = next(here, None)
    if found is None:
        raise RenameRefusedError("this is not where a name is declared or used")
    return found


def uses(what: Meaning, importers: Sequence[Analysis]) -> list[Place]:
    """Every place that says a name, that of its declaration first, file by file."""
    match what:
        case Namespace(document, item, name):
            places = [Place(document, name.start, name.end)]
            length = len(name.text)
            for token in _used_words(document):
                if item.name_of(token.text) is not None:
                    places.append(Place(document, token.start, token.start + length))
            return places
        case Declared(document, declaration) if what.is_label:
            return [Place(document, declaration.name.start, declaration.name.end)]
        case Declared(document, declaration):
            places = list(_own_places(document, declaration.name.text))
            for other in importers:
                places += _imported_places(other, what)
            return places


def _own_places(document: Analysis, name: str) -> Iterator[Place]:
    inside = _import_places(document)
    for token, role in document.outline.roles:
        if token.text != name or role not in (Role.DECLARATION, Role.USE):
            continue
        if role is Role.DECLARATION or not _is_in(token, inside):
            yield Place(document, token.start, token.end)


def _imported_places(document: Analysis, what: Declared) -> Iterator[Place]:
    """Where a document says a name that it has from another."""
    name = what.declaration.name.text
    items = [item for item in imports_of(document) if item.key == what.document.key]
    for item in items:
        for token in item.listed or ():
            if token.text == name:
                yield Place(document, token.start, token.end)
    hidden = document.outline.declared(name) is not None
    for token in _used_words(document):
        for item in items:
            if item.name_of(token.text) == name and (item.alias is not None or not hidden):
                yield Place(document, token.start + len(item.prefix), token.end)
                break


def _used_words(document: Analysis) -> Iterator[Token]:
    """The words that stand for something, without those of imports."""
    inside = _import_places(document)
    for token, role in document.outline.roles:
        if role is Role.USE and not _is_in(token, inside):
            yield token


def _import_places(document: Analysis) -> list[tuple[int, int]]:
    return [(item.start, item.end) for item in imports_of(document)]


def _is_in(token: Token, places: Sequence[tuple[int, int]]) -> bool:
    return any(start <= token.start < end for start, end in places)


# -- renaming


def renamable(what: Meaning | None) -> Meaning:
    """What can be renamed; RenameRefusedError says why it cannot."""
    if what is None:
        raise RenameRefusedError(
            "only sets, parameters, lets and labels can be renamed, and the names of imports"
        )
    return what


def refuse_name(what: Meaning, new: str, importers: Importers, open_file: OpenFile) -> None:
    """RenameRefusedError if something cannot be called that."""
    match what:
        case Namespace(document, _, name):
            kind, old, affected = "import", name.text, [document]
            below = any(attribute.startswith(f"{new}.") for attribute in attributes())
            if below:
                raise RenameRefusedError(
                    f"an import cannot be called `{new}`: there are attributes below that"
                )
        case Declared(document, declaration):
            kind, old = declaration.kind, declaration.name.text
            affected = [document, *(d for d in importers.documents if _sees_bare(d, what))]
            if not what.is_label and not importers.all_known:
                raise RenameRefusedError(
                    "the workspace folders hold too many files to look which of them import this"
                )
    diagnostics = Diagnostics()
    source = Source("", new)
    word = "parameter" if kind == "param" else kind
    if not check_name(Name(new, Span(source, 0, len(new))), word, diagnostics):
        raise RenameRefusedError(diagnostics.items[0].message)
    if new == old:
        return
    if isinstance(what, Declared) and what.is_label:
        _refuse_second(document, "rule", new, document)
        return
    for each in affected:
        _refuse_second(each, "", new, document)
        _refuse_imported(each, new, open_file, document)


def _sees_bare(document: Analysis, what: Declared) -> bool:
    """Whether a document has a name from another as it is there, with nothing in front."""
    name = what.declaration.name.text
    items = (item for item in imports_of(document) if item.key == what.document.key)
    return any(item.alias is None and item.name_of(name) is not None for item in items)


def _refuse_second(document: Analysis, kind: str, new: str, home: Analysis) -> None:
    """Labels have names of their own; all else shares one table."""
    for other in document.outline.declarations:
        if other.name.text == new and (other.kind == "rule") == (kind == "rule"):
            _refuse(document, new, "declared", other.name, home)


def _refuse_imported(document: Analysis, new: str, open_file: OpenFile, home: Analysis) -> None:
    for item in imports_of(document):
        if item.alias is not None:
            if item.alias.text == new:
                _refuse(document, new, "the name of an import", item.alias, home)
            continue
        listed = next((token for token in item.listed or () if token.text == new), None)
        other = open_file(item.path) if item.listed is None else None
        if listed is not None:
            _refuse(document, new, "imported", listed, home)
        if other is not None and other.outline.declared(new) is not None:
            _refuse(document, new, "imported", item.file, home)


def _refuse(document: Analysis, new: str, what: str, token: Token, home: Analysis) -> None:
    line = document.lines.position(token.start).line + 1
    where = f" of {document.path}" if document is not home else ""
    raise RenameRefusedError(f"`{new}` is already {what} in line {line}{where}")
