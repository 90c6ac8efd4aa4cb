"""Policies by their paths: as they are in the editor, else as they are on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from policyc.check.imports import read_file
from policyc.lsp.analysis import Analysis
from policyc.lsp.imports import imports_of
from policyc.lsp.places import uri_of
from policyc.syntax.parser import MAX_BYTES

__all__ = ["Files", "Importers"]

#: Directories in which nobody looks for policies.
_IGNORED = frozenset({".git", ".hg", ".venv", "node_modules"})

_MOST_FILES = 2_000
_MOST_ENTRIES = 100_000


class Importers(NamedTuple):
    """The documents that import one; `all_known` says that no folder was too large to look."""

    documents: list[Analysis]
    all_known: bool


class Files:
    """The open documents, and whatever else is read; `make` makes a document of a text."""

    def __init__(
        self, documents: Mapping[str, Analysis], make: Callable[[str, str], Analysis]
    ) -> None:
        self._documents = documents
        self._make = make
        self._read: dict[str, tuple[tuple[int, int], Analysis]] = {}

    def opened(self, path: str) -> Analysis | None:
        """A document that is open."""
        key = os.path.realpath(path)
        documents = list(self._documents.values())  # while others open and close
        return next((document for document in documents if document.key == key), None)

    def document(self, path: str) -> Analysis | None:
        """A document, open or not; None if it cannot be read."""
        return self.opened(path) or self._on_disk(path)

    def read(self, path: str) -> bytes:
        """The bytes of a file as it is in the editor, else as it is on the disk."""
        document = self.opened(path)
        if document is not None:
            return document.text.encode("utf-8", "surrogatepass")
        return read_file(path)

    def importers(self, document: Analysis, roots: Iterable[str]) -> Importers:
        """The documents that import one: of those that are open and those below the roots."""
        found = {
            other.key: other
            for other in self._documents.values()
            if _imports(other, document) and other.key != document.key
        }
        paths, all_known = _policies(roots)
        for path in paths:
            other = self.document(path)
            if other is not None and other.key != document.key and _imports(other, document):
                found.setdefault(other.key, other)
        return Importers([found[key] for key in sorted(found)], all_known)

    def _on_disk(self, path: str) -> Analysis | None:
        """A file, read again only if it has changed."""
        uri = uri_of(path)
        try:
            status = os.stat(path)  # noqa: PTH116 - one call of many
            stamp = status.st_mtime_ns, status.st_size
            known = self._read.get(uri)
            if known is not None and known[0] == stamp:
                return known[1]
            data = read_file(path)
        except (OSError, ValueError):
            return None
        if len(data) > MAX_BYTES:
            return None
        document = self._make(uri, data.decode("utf-8-sig", "replace"))
        if len(self._read) > _MOST_FILES:
            self._read.clear()
        self._read[uri] = stamp, document
        return document


def _imports(document: Analysis, other: Analysis) -> bool:
    if "import" not in document.text:
        return False
    return any(item.key == other.key for item in imports_of(document))


def _policies(roots: Iterable[str]) -> tuple[list[str], bool]:
    """The policies below some directories, and whether these are all."""
    found: dict[str, str] = {}
    seen = 0
    for directory, entries in _directories(roots):
        seen += entries
        policies = (name for name in sorted(directory[1]) if name.endswith(".thp"))
        for name in policies:
            path = os.path.join(directory[0], name)  # noqa: PTH118 - many of them
            found.setdefault(os.path.realpath(path), path)
        if seen > _MOST_ENTRIES or len(found) > _MOST_FILES:
            return list(found.values())[:_MOST_FILES], False
    return list(found.values()), True


def _directories(roots: Iterable[str]) -> Iterator[tuple[tuple[str, list[str]], int]]:
    for root in roots:
        for directory, below, names in os.walk(root):
            entries = len(below) + len(names)
            below[:] = sorted(name for name in below if name not in _IGNORED)
            yield (directory, names), entries
