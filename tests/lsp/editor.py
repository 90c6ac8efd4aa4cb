"""An editor with one document in front: a client of pytest-lsp, and a real server process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import ClientServerConfig, LanguageClient
from pytest_lsp.client import register_lsp_features

ROOT = Path(__file__).parents[2]
URI = "file:///policies/p.thp"

#: An answer that takes longer than this is none.
PATIENCE = 30.0

_T = TypeVar("_T")


async def soon(answer: Awaitable[_T]) -> _T:
    """What the server answers, if it does."""
    return await asyncio.wait_for(answer, PATIENCE)


class Editor(LanguageClient):
    """`text` is that of the document that was opened last; `|` marks a place in a piece of it."""

    def __init__(self) -> None:
        super().__init__(converter_factory=default_converter)
        self.text = ""
        self.uri = URI
        self.version = 0
        self.published: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.registered: list[types.Registration] = []
        self.refreshed = 0

    def end(self) -> None:
        """End the server if it runs, as it does after a test that fails."""
        if self._server is not None and self._server.returncode is None:
            self._server.kill()

    # -- documents

    def open(self, text: str, uri: str = URI) -> None:
        self.text, self.uri = text, uri
        self.version += 1
        item = types.TextDocumentItem(uri, "policyc", self.version, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def edit(self, start: int, end: int, text: str) -> None:
        """Replace a range of the document, as typing does."""
        self.version += 1
        change = types.TextDocumentContentChangePartial(self.range(start, end), text)
        self.text = self.text[:start] + text + self.text[end:]
        document = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def close(self, uri: str = URI) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.text_document_did_close(types.DidCloseTextDocumentParams(document))

    async def hear(self, uri: str | None = None) -> types.PublishDiagnosticsParams:
        """What is published next, of one file or of any."""
        while True:
            said = await soon(self.published.get())
            if uri in (None, said.uri):
                return said

    async def findings(self) -> Sequence[types.Diagnostic]:
        """What is published of the version that was sent last."""
        while True:
            said = await self.hear(self.uri)
            if said.version == self.version:
                return said.diagnostics

    async def message(self) -> str:
        """What the person at the editor is told last."""
        async with asyncio.timeout(PATIENCE):
            while not self.messages:
                await asyncio.sleep(0.01)
        return self.messages.pop().message

    # -- places

    def position(self, offset: int) -> types.Position:
        """A position in UTF-16, worked out on its own."""
        before = self.text[:offset].split("\n")
        return types.Position(len(before) - 1, len(before[-1].encode("utf-16-le")) // 2)

    def offset(self, position: types.Position) -> int:
        lines = self.text.split("\n")
        start = sum(len(line) + 1 for line in lines[: position.line])
        data = lines[position.line].encode("utf-16-le")[: position.character * 2]
        return start + len(data.decode("utf-16-le"))

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))

    def under(self, place: types.Range) -> str:
        """The text of a range."""
        return self.text[self.offset(place.start) : self.offset(place.end)]

    def changed(self, edits: Sequence[types.TextEdit]) -> str:
        """The text after some changes that do not touch each other."""
        text = self.text
        for edit in sorted(edits, key=lambda edit: self.offset(edit.range.start), reverse=True):
            start, end = self.offset(edit.range.start), self.offset(edit.range.end)
            text = text[:start] + edit.new_text + text[end:]
        return text

    def where(self, needle: str) -> tuple[types.TextDocumentIdentifier, types.Position]:
        """The place of `|` in a piece of the text (`when vma|.size`)."""
        offset = self.text.index(needle.replace("|", "")) + needle.index("|")
        return self.here(offset)

    def here(self, offset: int) -> tuple[types.TextDocumentIdentifier, types.Position]:
        return types.TextDocumentIdentifier(self.uri), self.position(offset)

    # -- questions

    async def hover(self, needle: str) -> str:
        found = await soon(self.text_document_hover_async(types.HoverParams(*self.where(needle))))
        assert found is not None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    async def labels(self, needle: str) -> set[str]:
        """The words that are offered at a place."""
        params = types.CompletionParams(*self.where(needle))
        items = await soon(self.text_document_completion_async(params))
        assert isinstance(items, list)
        return {item.label for item in items}

    async def definition(self, needle: str) -> types.Location | None:
        params = types.DefinitionParams(*self.where(needle))
        found = await soon(self.text_document_definition_async(params))
        assert found is None or isinstance(found, types.Location)
        return found

    async def references(self, needle: str, *, declaration: bool) -> list[types.Location]:
        document, position = self.where(needle)
        context = types.ReferenceContext(declaration)
        params = types.ReferenceParams(context, document, position)
        return list(await soon(self.text_document_references_async(params)) or [])

    async def rename(self, needle: str, new: str) -> types.WorkspaceEdit:
        document, position = self.where(needle)
        params = types.RenameParams(document, position, new)
        edit = await soon(self.text_document_rename_async(params))
        assert edit is not None
        return edit

    async def prepare_rename(self, needle: str) -> types.Range:
        params = types.PrepareRenameParams(*self.where(needle))
        place = await soon(self.text_document_prepare_rename_async(params))
        assert isinstance(place, types.Range)
        return place

    async def symbols(self) -> list[types.DocumentSymbol]:
        params = types.DocumentSymbolParams(types.TextDocumentIdentifier(self.uri))
        found = await soon(self.text_document_document_symbol_async(params)) or []
        return [symbol for symbol in found if isinstance(symbol, types.DocumentSymbol)]

    async def lenses(self) -> list[str]:
        params = types.CodeLensParams(types.TextDocumentIdentifier(self.uri))
        found = await soon(self.text_document_code_lens_async(params)) or []
        return [lens.command.title for lens in found if lens.command is not None]

    async def colours(self) -> Sequence[int]:
        params = types.SemanticTokensParams(types.TextDocumentIdentifier(self.uri))
        found = await soon(self.text_document_semantic_tokens_full_async(params))
        assert found is not None
        return found.data

    async def formatting(self) -> list[types.TextEdit]:
        document = types.TextDocumentIdentifier(self.uri)
        options = types.FormattingOptions(8, False)
        params = types.DocumentFormattingParams(document, options)
        return list(await soon(self.text_document_formatting_async(params)) or [])

    async def actions(
        self, place: types.Range | None = None, *, only: Sequence[str] | None = None
    ) -> list[types.CodeAction]:
        """The code actions for a range, by default for everything."""
        whole = self.range(0, len(self.text))
        context = types.CodeActionContext([], only)
        document = types.TextDocumentIdentifier(self.uri)
        params = types.CodeActionParams(document, place or whole, context)
        found = await soon(self.text_document_code_action_async(params)) or []
        return [action for action in found if isinstance(action, types.CodeAction)]


def make_editor() -> Editor:
    """An editor that takes note of what the server tells it."""
    editor = Editor()
    register_lsp_features(editor)
    published = types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS
    del editor.protocol.fm.features[published]

    @editor.feature(published)
    def _published(params: types.PublishDiagnosticsParams) -> None:
        editor.published.put_nowait(params)

    @editor.feature(types.CLIENT_REGISTER_CAPABILITY)
    def _registered(params: types.RegistrationParams) -> None:
        editor.registered += params.registrations

    @editor.feature(types.WORKSPACE_CODE_LENS_REFRESH)
    def _refreshed(_params: Any) -> None:
        editor.refreshed += 1

    _ = _published, _registered, _refreshed
    return editor


def command(*arguments: str) -> ClientServerConfig:
    """How to start a server."""
    return ClientServerConfig(
        server_command=[sys.executable, "-m", "policyc", "lsp", *arguments],
        client_factory=make_editor,
        server_env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def begin(
    editor: Editor, folder: Path | None = None, capabilities: types.ClientCapabilities | None = None
) -> None:
    """Initialise the server, as an editor with a folder open or with none."""
    folders = [types.WorkspaceFolder(folder.as_uri(), folder.name)] if folder is not None else None
    params = types.InitializeParams(
        capabilities=capabilities or types.ClientCapabilities(), workspace_folders=folders
    )
    await soon(editor.initialize_session(params))


@asynccontextmanager
async def serving(
    *arguments: str,
    folder: Path | None = None,
    capabilities: types.ClientCapabilities | None = None,
) -> AsyncGenerator[Editor]:
    """A server of its own for one test."""
    editor = await command(*arguments).start()
    assert isinstance(editor, Editor)
    try:
        await begin(editor, folder, capabilities)
        yield editor
        await soon(editor.shutdown_session())
    finally:
        editor.end()
        await editor.stop()
