"""The language server: which question of the protocol goes to which module."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from policyc import __version__
from policyc.check import CheckResult, check_text
from policyc.check.imports import read_file
from policyc.diagnostics.model import Diagnostic
from policyc.lsp.analysis import Analysis
from policyc.lsp.completion import complete
from policyc.lsp.findings import protocol_diagnostic, quick_fixes
from policyc.lsp.hover import declaration_text, hover
from policyc.lsp.imports import imported, imported_names
from policyc.lsp.layout import LayoutRefusedError, laid_out
from policyc.lsp.lines import Lines
from policyc.lsp.names import RenameRefusedError, definition, references, renamable, rename
from policyc.lsp.outline import Declaration, Role
from policyc.lsp.symbols import TOKEN_TYPES, code_lenses, document_symbols, semantic_tokens
from policyc.plan.nodes import Target
from policyc.plan.promises import run_case
from policyc.source import Source

__all__ = ["PolicyServer", "make_server"]

#: How long nothing must have been typed before the text is checked, in seconds.
_QUIET = 0.15


class PolicyServer(LanguageServer):
    """The open documents, and a check on its way for each that has changed."""

    def __init__(self, profiles: Sequence[str], target: Target) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            "policyc",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
        )
        self.profiles = profiles
        self.target = target
        self.documents: dict[str, Analysis] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: dict[str, None] = {}
        self._worker: asyncio.Task[None] | None = None
        self._published: dict[str, set[str]] = {}

    def open(self, item: types.TextDocumentItem) -> None:
        """Take in a document."""
        self.documents[item.uri] = Analysis(
            item.uri,
            item.text,
            item.version,
            encoding=self.encoding,
            target=self.target,
        )
        for each in (item.uri, *self.importers(item.uri)):
            self.check_soon(each, 0)

    def change(self, params: types.DidChangeTextDocumentParams) -> None:
        """Take in what was typed."""
        uri = params.text_document.uri
        document = self.documents.get(uri)
        if document is not None:
            changed = document.changed(list(params.content_changes), params.text_document.version)
            self.documents[uri] = changed
            for each in (uri, *self.importers(uri)):
                self.check_soon(each, _QUIET)

    def close(self, uri: str) -> None:
        """Forget a document and what was said of it."""
        self.documents.pop(uri, None)
        timer = self._timers.pop(uri, None)
        if timer is not None:
            timer.cancel()
        for place in self._published.pop(uri, {uri}):
            self._publish(place, None, [])

    def check_soon(self, uri: str, delay: float) -> None:
        """Check a document after a while, unless it changes again before."""
        timer = self._timers.pop(uri, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[uri] = loop.call_later(delay, self._start_check, uri)

    def _start_check(self, uri: str) -> None:
        """Check now, or once the check that is under way has ended."""
        self._timers.pop(uri, None)
        self._waiting[uri] = None
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Check what waits, one document at a time: the processor answers questions too."""
        try:
            while self._waiting:
                uri = next(iter(self._waiting))
                del self._waiting[uri]
                document = self.documents.get(uri)
                if document is None:
                    continue
                result, tests = await asyncio.to_thread(self._result, document)
                current = self.documents.get(uri)
                if current is not None and current.version == document.version:
                    current.checked, current.fresh, current.tests = result, True, tests
                    self._say(current, result)
        finally:
            self._worker = None

    def _result(self, document: Analysis) -> tuple[CheckResult, dict[int, tuple[int, int]]]:
        """What the checker says, and what became of each test."""
        result = check_text(
            document.text,
            file_name(document.uri),
            profiles=self.profiles or None,
            target=self.target,
            read=self._read,
            library=True,
        )
        tests: dict[int, tuple[int, int]] = {}
        for case in result.plan.tests if result.plan is not None else ():
            met = [verdict.met for verdict in run_case(result.plan, case)] if result.plan else []
            tests[case.line] = sum(met), len(met)
        _ = document.tree  # so that formatting need not wait for it
        return result, tests

    def _read(self, path: str) -> bytes:
        """A file as it is in the editor, else as it is on the disk."""
        for uri, document in list(self.documents.items()):
            if Path(file_name(uri)) == Path(path):
                return document.text.encode("utf-8", "surrogatepass")
        return read_file(path)

    def other(self, path: str) -> Analysis | None:
        """Another file, open or not; None if it cannot be read."""
        uri = uris.from_fs_path(os.path.normpath(path))
        if uri is None or uri in self.documents:
            return self.documents.get(uri or "")
        try:
            text = read_file(path).decode("utf-8-sig", "replace")
        except (OSError, ValueError):
            return None
        return Analysis(uri, text, 0, encoding=self.encoding, target=self.target)

    @property
    def encoding(self) -> types.PositionEncodingKind | str:
        """How the client counts characters."""
        return self.workspace.position_encoding or types.PositionEncodingKind.Utf16

    def importers(self, uri: str) -> list[str]:
        """The open documents that import one."""
        path = Path(file_name(uri))
        return [
            other
            for other, document in self.documents.items()
            if document.checked is not None
            and any(Path(name) == path for name in document.checked.imports)
        ]

    def _say(self, document: Analysis, result: CheckResult) -> None:
        """Publish what was found, in each file that it is in."""
        found: dict[str, list[Diagnostic]] = {document.uri: []}
        for item in result.diagnostics:
            found.setdefault(self._uri_of(item.span.source, document), []).append(item)
        for uri in self._published.get(document.uri, set()) - set(found):
            self._publish(uri, None, [])
        self._published[document.uri] = set(found)
        self._refresh_lenses()
        for uri, items in found.items():
            version = document.version if uri == document.uri else None
            lines = {item.span.source: None for item in items}
            by_source = {s: Lines(s.text, document.encoding) for s in lines}
            said = [protocol_diagnostic(item, by_source[item.span.source], uri) for item in items]
            self._publish(uri, version, said)

    def _uri_of(self, source: Source, document: Analysis) -> str:
        if source.name == file_name(document.uri):
            return document.uri
        return uris.from_fs_path(source.name) or document.uri

    def _publish(self, uri: str, version: int | None, said: list[types.Diagnostic]) -> None:
        params = types.PublishDiagnosticsParams(uri, said, version)
        self.text_document_publish_diagnostics(params)

    def _refresh_lenses(self) -> None:
        """Have the client ask for lenses again, which show what became of tests."""
        workspace = self.client_capabilities.workspace
        if workspace and workspace.code_lens and workspace.code_lens.refresh_support:
            self.workspace_code_lens_refresh(None)

    def complain(self, message: str) -> None:
        """Tell the person at the editor why something was not done."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))


def file_name(uri: str) -> str:
    """What the checker calls a document."""
    return uris.to_fs_path(uri) or uri


def _imported(
    server: PolicyServer, document: Analysis, offset: int
) -> tuple[Analysis, Declaration] | None:
    """What declares the word at a place in another file."""
    token = document.token_at(offset)
    if token is None or document.role_of(token) is not Role.USE:
        return None
    return imported(document, file_name(document.uri), token.text, server.other)


def _definition_of(server: PolicyServer, document: Analysis, offset: int) -> types.Location | None:
    token = definition(document, offset)
    if token is None:
        found = _imported(server, document, offset)
        if found is None:
            return None
        document, token = found[0], found[1].name
    return types.Location(document.uri, document.lines.range(token.start, token.end))


def _imported_hover(server: PolicyServer, document: Analysis, offset: int) -> types.Hover | None:
    found = _imported(server, document, offset)
    if found is None:
        return None
    other, declaration = found
    text = f"{declaration_text(other, declaration)}\n\n{file_name(other.uri)}"
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text))


def make_server(profiles: Sequence[str] = (), target: Target | None = None) -> PolicyServer:
    """A server that checks for some profiles (default: as `policyc check` does)."""
    server = PolicyServer(profiles, target or Target())
    _add_documents(server)
    _add_reading(server)
    _add_names(server)
    _add_renaming(server)
    _add_changes(server)
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
        names = imported_names(document, file_name(document.uri), server.other)
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
    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def _definition(params: types.DefinitionParams) -> types.Location | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        return _definition_of(server, document, document.lines.offset(params.position))

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def _references(params: types.ReferenceParams) -> list[types.Location]:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return []
        found = references(
            document,
            document.lines.offset(params.position),
            with_declaration=params.context.include_declaration,
        )
        lines = document.lines
        return [types.Location(document.uri, lines.range(t.start, t.end)) for t in found]

    _ = _definition, _references


def _add_renaming(server: PolicyServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def _prepare(params: types.PrepareRenameParams) -> types.Range | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        try:
            token = renamable(document, document.lines.offset(params.position))
        except RenameRefusedError as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        return document.lines.range(token.start, token.end)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def _rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        importers = server.importers(document.uri)
        if importers:
            raise JsonRpcInvalidParams(f"{file_name(importers[0])} imports this file")
        try:
            found = rename(document, document.lines.offset(params.position), params.new_name)
        except RenameRefusedError as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        lines = document.lines
        edits = [types.TextEdit(lines.range(t.start, t.end), params.new_name) for t in found]
        return types.WorkspaceEdit(changes={document.uri: edits})

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

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    def _fixes(params: types.CodeActionParams) -> list[types.CodeAction]:
        document = server.documents.get(params.text_document.uri)
        if document is None or document.checked is None or not document.fresh:
            return []
        return quick_fixes(
            document.checked.diagnostics,
            file_name(document.uri),
            document.lines,
            document.uri,
            params.range,
        )

    _ = _format, _fixes
