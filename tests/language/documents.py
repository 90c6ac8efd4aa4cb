"""Which documents are tested, and their blocks."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.language.markdown import Block, blocks

ROOT = Path(__file__).resolve().parents[2]

_PATTERNS = (
    "README.md",
    "docs/*.md",
    "docs/errors/*.md",
    "docs/explanation/*.md",
    "docs/how-to/*.md",
    "docs/reference/*.md",
    "docs/tutorial/*.md",
    "examples/*.md",
)


@cache
def documents() -> tuple[Path, ...]:
    """The documents, in order of their names."""
    return tuple(path for pattern in _PATTERNS for path in sorted(ROOT.glob(pattern)))


@cache
def document_blocks(path: Path) -> tuple[Block, ...]:
    """The blocks of a document."""
    return tuple(blocks(path, str(path.relative_to(ROOT))))


def policy_blocks() -> list[Block]:
    """Every policy in every document."""
    return [
        block for path in documents() for block in document_blocks(path) if block.language == "thp"
    ]


def worked_documents() -> list[Path]:
    """The documents with commands or programs to run."""
    return [
        path
        for path in documents()
        if any(block.language in ("console", "python") for block in document_blocks(path))
    ]
