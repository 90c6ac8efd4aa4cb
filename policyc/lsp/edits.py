"""Changes of documents in the terms of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

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
    """The change that makes a document another text.

    It leaves the lines alone that are the same before and after what changes, so that the
    cursor and the folds of an editor stay where they are.
    """
    old, new = document.text.splitlines(keepends=True), text.splitlines(keepends=True)
    before = _same(zip(old, new, strict=False))
    rest = reversed(old[before:]), reversed(new[before:])
    after = _same(zip(*rest, strict=False))
    start = sum(map(len, old[:before]))
    end = len(document.text) - sum(map(len, old[len(old) - after :]))
    changed = "".join(new[before : len(new) - after])
    return types.TextEdit(document.lines.range(start, end), changed)


def _same(pairs: Iterable[tuple[str, str]]) -> int:
    """How many pairs at the beginning are of equal lines."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
