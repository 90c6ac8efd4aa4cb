"""Changes of documents in the terms of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lsprotocol import types

from policyc.lsp.analysis import Analysis
from policyc.lsp.names import Place

__all__ = ["renaming", "replacement", "workspace_edit"]


def workspace_edit(
    changes: Iterable[tuple[Analysis, Sequence[types.TextEdit]]], *, versioned: bool
) -> types.WorkspaceEdit:
    """The changes of some documents, each with the version that it is of if clients take it."""
    if not versioned:
        return types.WorkspaceEdit(changes={d.uri: list(edits) for d, edits in changes})
    return types.WorkspaceEdit(
        document_changes=[
            types.TextDocumentEdit(
                types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version),
                list(edits),
            )
            for document, edits in changes
        ]
    )


def renaming(places: Iterable[Place], new: str) -> list[tuple[Analysis, list[types.TextEdit]]]:
    """The changes that write a name at some places."""
    changes: dict[str, tuple[Analysis, list[types.TextEdit]]] = {}
    for document, start, end in sorted(set(places), key=lambda p: (p.document.uri, p.start)):
        _, edits = changes.setdefault(document.uri, (document, []))
        edits.append(types.TextEdit(document.lines.range(start, end), new))
    return list(changes.values())


def replacement(document: Analysis, text: str) -> types.TextEdit:
    """The change that makes a document another text, without its beginning and end that stay."""
    old = document.text
    shorter = min(len(old), len(text))
    start = next((i for i in range(shorter) if old[i] != text[i]), shorter)
    most = shorter - start
    end = next((i for i in range(most) if old[-1 - i] != text[-1 - i]), most)
    place = document.lines.range(start, len(old) - end)
    return types.TextEdit(place, text[start : len(text) - end])
