"""The server: the open documents, and a check on its way for each that has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from policyc import __version__
from policyc.check import CheckResult, check_text
from policyc.diagnostics.model import Diagnostic
from policyc.lsp.analysis import Analysis
from policyc.lsp.files import Files
from policyc.lsp.findings import protocol_diagnostic
from policyc.lsp.imports import imports_of
from policyc.lsp.lines import Lines
from policyc.lsp.linting import all_fixed, everything, lint
from policyc.lsp.places import path_of, uri_of
from policyc.lsp.promises import outcomes
from policyc.lsp.protocol import Protocol
from policyc.plan.nodes import Target
from policyc.source import Source

__all__ = ["PolicyServer"]

#: How long nothing must have been typed before the text is checked, in seconds.
_QUIET = 0.15

#: How long nothing must have happened before all safe fixes are worked out together.
_IDLE = 0.5

#: An import cannot be read; the file may come into being.
_UNREADABLE = "PC0213"


class _Found(NamedTuple):
    """What is known of a version of a document once it has been checked."""

    result: CheckResult
    outcomes: dict[int, str]
    linted: tuple[Diagnostic, ...]


class PolicyServer(LanguageServer):
    """The open documents, and a check on its way for each that has changed."""

    def __init__(self, profiles: Sequence[str], target: Target) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            "policyc",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            protocol_cls=Protocol,
        )
        self.profiles = profiles
        self.target = target
        self.documents: dict[str, Analysis] = {}
        self.files = Files(self.documents, self._unopened)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: dict[str, None] = {}
        self._worker: asyncio.Task[None] | None = None
        self._fixing: asyncio.Task[None] | None = None
        #: What is said of each file, by the document whose check has found it.
        self._said: dict[str, dict[str, list[types.Diagnostic]]] = {}

    def open(self, item: types.TextDocumentItem) -> None:
        """Take in a document."""
        self.documents[item.uri] = Analysis(
            item.uri,
            item.text,
            item.version,
            encoding=self.encoding,
            target=self.target,
        )
        self.check_soon(item.uri, 0)
        self.check_importers(item.uri, 0)

    def change(self, params: types.DidChangeTextDocumentParams) -> None:
        """Take in what was typed."""
        uri = params.text_document.uri
        document = self.documents.get(uri)
        if document is not None:
            changed = document.changed(list(params.content_changes), params.text_document.version)
            self.documents[uri] = changed
            self.check_soon(uri, _QUIET)
            self.check_importers(uri, _QUIET)

    def close(self, uri: str) -> None:
        """Forget a document and what was said of it."""
        self.documents.pop(uri, None)
        timer = self._timers.pop(uri, None)
        if timer is not None:
            timer.cancel()
        self._said.setdefault(uri, {})
        self._replace(uri, {}, None)
        self.check_importers(uri, _QUIET)

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
                found = await asyncio.to_thread(self._found, document)
                # One that was closed and opened again may have the version that it had.
                if self.documents.get(uri) is document:
                    self._take(document, found)
        finally:
            self._worker = None

    def _take(self, document: Analysis, found: _Found) -> None:
        document.checked, document.outcomes, document.linted = found
        document.fresh, document.fixed = True, None
        self._say(document)
        if any(item.fix is not None for item in found.linted):
            asyncio.get_running_loop().call_later(_IDLE, self._start_fixing, document)

    def _start_fixing(self, document: Analysis) -> None:
        """Work out every safe fix, if nobody has typed since."""
        if self.documents.get(document.uri) is document and self._worker is None:
            self._fixing = asyncio.get_running_loop().create_task(self._fix(document))

    async def _fix(self, document: Analysis) -> None:
        fixed = await asyncio.to_thread(self.fix_all, document)
        if document.fresh:
            document.fixed = fixed

    def _found(self, document: Analysis) -> _Found:
        """What the checker says, what became of tests and properties, and what the linter says."""
        result = check_text(
            document.plain,
            document.path,
            profiles=self.profiles or None,
            target=self.target,
            read=self.files.read,
            library=True,
        )
        is_current = self.documents.get(document.uri) is document
        linted = lint(document, result, self.profiles) if is_current else ()
        _ = document.layout  # so that formatting need not parse what is there now
        return _Found(result, outcomes(result.plan) if result.plan is not None else {}, linted)

    def fix_all(self, document: Analysis) -> str | None:
        """A document with every safe fix of the linter; None if there is nothing to fix."""
        return all_fixed(document, self.profiles, self.files.read)

    def _unopened(self, uri: str, text: str) -> Analysis:
        return Analysis(uri, text, None, encoding=self.encoding, target=self.target)

    @property
    def encoding(self) -> types.PositionEncodingKind | str:
        """How the client counts characters."""
        return self.workspace.position_encoding or types.PositionEncodingKind.Utf16

    @property
    def roots(self) -> list[str]:
        """The directories that the editor works in."""
        folders = [path_of(folder.uri) for folder in self.workspace.folders.values()]
        return [path for path in folders or [self.workspace.root_path] if path]

    @property
    def versioned(self) -> bool:
        """Whether the client takes changes of documents with their versions."""
        workspace = self.client_capabilities.workspace
        edit = workspace.workspace_edit if workspace else None
        return bool(edit and edit.document_changes)

    def check_importers(self, uri: str, delay: float) -> None:
        """Check the open documents that a file is, or could be, part of."""
        path = path_of(uri)
        if path is None:
            return
        key = os.path.realpath(path)
        for other in self.documents.values():
            if other.uri != uri and _may_import(other, key):
                self.check_soon(other.uri, delay)

    def _say(self, document: Analysis) -> None:
        """Publish what was found, in each file that it is in."""
        found: dict[str, list[Diagnostic]] = {document.uri: []}
        for item in everything(document):
            found.setdefault(self._uri_of(item.span.source, document), []).append(item)
        said: dict[str, list[types.Diagnostic]] = {}
        for uri, items in found.items():
            sources = dict.fromkeys(item.span.source for item in items)
            lines = {source: Lines(source.text, document.encoding) for source in sources}
            said[uri] = [protocol_diagnostic(d, lines[d.span.source], uri) for d in items]
        self._replace(document.uri, said, document.version)
        self._refresh_lenses()

    def _replace(
        self, uri: str, said: dict[str, list[types.Diagnostic]], version: int | None
    ) -> None:
        """Publish what a check has found in place of what it found before, file by file.

        What the checks of other documents found in the same files stays.
        """
        places = [place for place, by in self._said.items() if uri in by or place == uri]
        for place in dict.fromkeys([*said, *places]):
            by = self._said.setdefault(place, {})
            by.pop(uri, None)
            if place in said:
                by[uri] = said[place]
            if not by:
                del self._said[place]
            union: dict[tuple[object, ...], types.Diagnostic] = {}
            for item in (item for items in by.values() for item in items):
                start = item.range.start
                union.setdefault((item.code, item.message, start.line, start.character), item)
            params = types.PublishDiagnosticsParams(
                place, list(union.values()), version if place == uri else None
            )
            self.text_document_publish_diagnostics(params)

    def _uri_of(self, source: Source, document: Analysis) -> str:
        if source.name == document.path:
            return document.uri
        opened = self.files.opened(source.name)
        return opened.uri if opened else uri_of(source.name)

    def _refresh_lenses(self) -> None:
        """Have the client ask for lenses again, which show what became of tests."""
        workspace = self.client_capabilities.workspace
        if workspace and workspace.code_lens and workspace.code_lens.refresh_support:
            self.workspace_code_lens_refresh(None)

    def complain(self, message: str) -> None:
        """Tell the person at the editor why something was not done."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))


def _may_import(document: Analysis, key: str) -> bool:
    """Whether a file, by its key, was read for a document, or would be."""
    if "import" not in document.text:
        return False
    if any(item.key == key for item in imports_of(document)):
        return True
    if document.checked is None:
        return False
    files = {*document.checked.imports}
    for item in document.checked.diagnostics:
        if item.code == _UNREADABLE:
            return True
        files.add(item.span.source.name)
    return key in map(os.path.realpath, files)
