"""The language server: which question of the protocol goes to which module."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from policyc.lsp.analysis import Analysis
from policyc.lsp.completion import complete
from policyc.lsp.documents import PolicyServer
from policyc.lsp.edits import renaming, replacement, workspace_edit
from policyc.lsp.files import Importers
from policyc.lsp.findings import quick_fixes
from policyc.lsp.hover import declaration_text, hover
from policyc.lsp.imports import imported, imported_names
from policyc.lsp.layout import LayoutRefusedError, laid_out
from policyc.lsp.linting import acceptances, everything
from policyc.lsp.names import (
    Declared,
    Meaning,
    Namespace,
    Place,
    RenameRefusedError,
    declared_at,
    definition,
    meaning,
    place_of,
    refuse_name,
    renamable,
    uses,
)
from policyc.lsp.outline import Role
from policyc.lsp.symbols import TOKEN_TYPES, code_lenses, document_symbols, semantic_tokens
from policyc.plan.nodes import Target

__all__ = ["PolicyServer", "make_server"]

#: The code action that applies every safe fix of the linter.
_FIX_ALL = f"{types.CodeActionKind.SourceFixAll.value}.policyc"


def _imported_hover(server: PolicyServer, document: Analysis, offset: int) -> types.Hover | None:
    token = document.token_at(offset)
    if token is None or document.role_of(token) is not Role.USE:
        return None
    found = imported(document, token.text, server.files.document)
    if found is None:
        return None
    other, declaration = found
    text = f"{declaration_text(other, declaration)}\n\n{other.path}"
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text))


def _location(place: Place) -> types.Location:
    document = place.document
    return types.Location(document.uri, document.lines.range(place.start, place.end))


def _importers(server: PolicyServer, what: Meaning) -> Importers:
    """The documents that may use a name which another declares."""
    match what:
        case Declared(document) if not what.is_label:
            return server.files.importers(document, server.roots)
        case Declared() | Namespace():
            return Importers([], all_known=True)


def make_server(profiles: Sequence[str] = (), target: Target | None = None) -> PolicyServer:
    """A server that checks for some profiles (default: as `policyc check` does)."""
    server = PolicyServer(profiles, target or Target())
    _add_documents(server)
    _add_reading(server)
    _add_names(server)
    _add_renaming(server)
    _add_changes(server)
    _add_watching(server)
    return server


def _add_documents(server: PolicyServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def _opened(params: types.DidOpenTextDocumentParams) -> None:
        server.open(params.text_document)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def _changed(params: types.DidChangeTextDocumentParams) -> None:
        server.change(params)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def _saved(params: types.DidSaveTextDocumentParams) -> None:
        if params.text_document.uri in server.documents:
            server.check_soon(params.text_document.uri, 0)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def _closed(params: types.DidCloseTextDocumentParams) -> None:
        server.close(params.text_document.uri)

    _ = _opened, _changed, _saved, _closed


def _add_reading(server: PolicyServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def _hover(params: types.HoverParams) -> types.Hover | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        offset = document.lines.offset(params.position)
        return hover(document, offset) or _imported_hover(server, document, offset)

    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", " "])
    )
    def _complete(params: types.CompletionParams) -> list[types.CompletionItem]:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return []
        names = imported_names(document, server.files.document)
        more = {name: declaration for name, _, declaration in names}
        return complete(document, document.lines.offset(params.position), more)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def _symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        document = server.documents.get(params.text_document.uri)
        return document_symbols(document) if document else []

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    def _lenses(params: types.CodeLensParams) -> list[types.CodeLens]:
        document = server.documents.get(params.text_document.uri)
        return code_lenses(document) if document else []

    @server.feature(
        types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL,
        types.SemanticTokensLegend(list(TOKEN_TYPES), []),
    )
    def _colours(params: types.SemanticTokensParams) -> types.SemanticTokens:
        document = server.documents.get(params.text_document.uri)
        return types.SemanticTokens(semantic_tokens(document) if document else [])

    _ = _hover, _complete, _symbols, _lenses, _colours


def _add_names(server: PolicyServer) -> None:
    open_file = server.files.document

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def _definition(params: types.DefinitionParams) -> types.Location | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        place = definition(document, document.lines.offset(params.position), open_file)
        return _location(place) if place is not None else None

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def _references(params: types.ReferenceParams) -> list[types.Location]:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return []
        offset = document.lines.offset(params.position)
        what = meaning(document, offset, open_file)
        if what is None:
            return []
        places = uses(what, _importers(server, what).documents)
        if not params.context.include_declaration:
            places.remove(declared_at(what))
        return [_location(place) for place in places]

    _ = _definition, _references


def _add_renaming(server: PolicyServer) -> None:
    open_file = server.files.document

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def _prepare(params: types.PrepareRenameParams) -> types.Range | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        offset = document.lines.offset(params.position)
        try:
            place = place_of(document, offset, renamable(meaning(document, offset, open_file)))
        except RenameRefusedError as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        return document.lines.range(place.start, place.end)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def _rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        offset, new = document.lines.offset(params.position), params.new_name
        try:
            what = renamable(meaning(document, offset, open_file))
            importers = _importers(server, what)
            refuse_name(what, new, importers, open_file)
        except RenameRefusedError as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        changes = renaming(uses(what, importers.documents), new)
        return workspace_edit(changes, versioned=server.versioned)

    _ = _prepare, _rename


def _add_changes(server: PolicyServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def _format(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        document = server.documents.get(params.text_document.uri)
        try:
            return laid_out(document) if document else []
        except LayoutRefusedError as refused:
            server.complain(str(refused))
            return []

    kinds = [types.CodeActionKind.QuickFix, _FIX_ALL]

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=kinds)
    )
    async def _actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return []
        only = params.context.only
        actions: list[types.CodeAction] = []
        if document.fresh and _is_wanted(types.CodeActionKind.QuickFix, only):
            where, versioned = params.range, server.versioned
            actions += quick_fixes(everything(document), document, where, versioned=versioned)
            actions += acceptances(document, where, versioned=versioned)
        if _is_wanted(_FIX_ALL, only):
            fixed = document.fixed
            if only and fixed is None:  # somebody saves, say, and waits for it
                fixed = await asyncio.to_thread(server.fix_all, document)
            if fixed is not None and server.documents.get(document.uri) is document:
                changes = [(document, [replacement(document, fixed)])]
                edit = workspace_edit(changes, versioned=server.versioned)
                title = "apply every safe fix of the linter"
                actions.append(types.CodeAction(title, kind=_FIX_ALL, edit=edit))
        return actions

    _ = _format, _actions


def _is_wanted(kind: str, only: Sequence[str] | None) -> bool:
    """Whether a client asks for actions of a kind: by its name, or by that of a wider kind."""
    return not only or any(kind == wide or kind.startswith(f"{wide}.") for wide in only)


def _add_watching(server: PolicyServer) -> None:
    @server.feature(types.INITIALIZED)
    def _initialized(_: types.InitializedParams) -> None:
        workspace = server.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace else None
        if watching and watching.dynamic_registration:
            watchers = [types.FileSystemWatcher("**/*.thp")]
            options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
            method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
            registration = types.Registration("policyc-files", method, options)
            server.client_register_capability(types.RegistrationParams([registration]))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def _changed(params: types.DidChangeWatchedFilesParams) -> None:
        for change in params.changes:
            server.check_importers(change.uri, 0)

    _ = _initialized, _changed
