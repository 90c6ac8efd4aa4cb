"""The protocol of pygls, without the copy that it keeps of each text.

The server has its own documents. A second one costs the time to make it anew at each key, and
it counts lines in another way than editors do: a line separator of Unicode in a comment, and
changes of the lines below would fail before the server sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, cast

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol, lsp_method

__all__ = ["Protocol"]

_Handling = Generator[Any, Any, None]


class Protocol(LanguageServerProtocol):
    """What is said of documents goes to the server as it comes."""

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> _Handling:
        """A document is there."""
        yield self._handler(types.TEXT_DOCUMENT_DID_OPEN), (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> _Handling:
        """Somebody types."""
        yield self._handler(types.TEXT_DOCUMENT_DID_CHANGE), (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> _Handling:
        """A document is gone."""
        yield self._handler(types.TEXT_DOCUMENT_DID_CLOSE), (params,), None

    def _handler(self, method: str) -> Callable[[Any], None]:
        features = cast("dict[str, Callable[[Any], None]]", self.fm.features)  # pyright: ignore[reportUnknownMemberType]
        return features[method]
