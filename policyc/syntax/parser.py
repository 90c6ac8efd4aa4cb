"""Text to tree: decoding, parsing, and syntax errors as diagnostics."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, cast

from lark import Lark, Token, Transformer
from lark import __version__ as lark_version
from lark.exceptions import UnexpectedInput

from policyc.diagnostics.model import Diagnostics
from policyc.resources import resource_path
from policyc.source import Source, Span
from policyc.syntax.build import TreeBuilder
from policyc.syntax.errors import failure_of, report, without_statement
from policyc.syntax.tree import PolicyFile

__all__ = ["MAX_BYTES", "decode", "parse"]

#: Files above this are refused before they are parsed.
MAX_BYTES = 4 << 20

#: Syntax errors that one run looks for; each needs another pass over the text.
_MAX_SYNTAX_ERRORS = 20
_MAX_REPARSED_CHARACTERS = 1 << 20


def decode(data: bytes, name: str, diagnostics: Diagnostics) -> Source | None:
    """The text of a file, or None with the reason reported. A leading BOM is dropped."""
    if len(data) > MAX_BYTES:
        empty = Source(name, "")
        diagnostics.add(
            "PC0107",
            f"file has {len(data)} bytes; policies of more than {MAX_BYTES} are not read",
            Span(empty, 0, 0),
            help="large tables belong in sets, which are filled while the policy runs",
        )
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        readable = Source(name, data.decode("utf-8", "replace"))
        start = len(data[: error.start].decode("utf-8-sig", "replace"))
        diagnostics.add(
            "PC0105",
            f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8",
            Span(readable, start, start + 1),
            help="save the file as UTF-8",
        )
        return None
    return Source(name, text)


def parse(source: Source, diagnostics: Diagnostics) -> PolicyFile | None:
    """The tree of a policy, or None with every syntax error reported.

    After an error the statement that holds it is blanked out and the rest is parsed
    again, so that one run reports the errors of all statements.
    """
    if not _has_content(source):
        diagnostics.add(
            "PC0110",
            "the file holds no policy",
            Span(source, 0, 0),
            help="a policy starts with `policy NAME;`",
        )
        return None
    text, parsed, reported, tree = source.text, 0, -1, None
    for _ in range(_MAX_SYNTAX_ERRORS):
        parsed += len(text)
        before = len(diagnostics.items)
        error, tree = _parse_once(source, text, diagnostics)
        if error is None:
            break
        del diagnostics.items[before:]
        tree, failure = None, failure_of(source, error)
        if failure.start <= reported or (reported >= 0 and failure.terminal == "$END"):
            break  # a consequence of an error that is already reported
        report(source, failure, diagnostics)
        reported = failure.start
        if parsed > _MAX_REPARSED_CHARACTERS or _in_header(source, failure.start):
            break
        text = without_statement(text, failure.start)
    return tree if reported < 0 else None


def _in_header(source: Source, offset: int) -> bool:
    """Whether `policy NAME;` is not complete yet, so that nothing after it can be parsed."""
    return ";" not in re.sub(r"#.*", "", source.text[:offset])


def _has_content(source: Source) -> bool:
    return any(
        stripped and not stripped.startswith("#")
        for stripped in (line.strip() for line in source.text.splitlines())
    )


def _parse_once(
    source: Source, text: str, diagnostics: Diagnostics
) -> tuple[UnexpectedInput | None, PolicyFile | None]:
    try:
        return None, _lark().parse(text, source, diagnostics)
    except UnexpectedInput as error:
        return error, None


class _Parser:
    """The LALR tables, loaded once, and the builder that lark calls while it parses.

    Lark binds the callbacks when it is built, so one builder serves all texts in turn.
    """

    def __init__(self) -> None:
        grammar = resource_path("grammar") / "policy.lark"
        text = grammar.read_text("utf-8")
        self._lock = Lock()
        self._builder = TreeBuilder(Source("", ""), Diagnostics())
        self._lark = Lark(
            text,
            parser="lalr",
            lexer="contextual",
            transformer=cast("Transformer[Token, Any]", self._builder),
            cache=_cache_file(text) or False,
        )

    def parse(self, text: str, source: Source, diagnostics: Diagnostics) -> PolicyFile:
        """The tree of the text; raises lark's UnexpectedInput."""
        with self._lock:
            self._builder.source = source
            self._builder.diagnostics = diagnostics
            return cast(PolicyFile, self._lark.parse(text))  # pyright: ignore[reportUnknownMemberType]


@cache
def _lark() -> _Parser:
    return _Parser()


def _cache_file(grammar: str) -> str | None:
    """Where the tables of this grammar are kept, None where nothing can be kept.

    The file is in a directory of the user's own, because lark loads it with pickle.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    directory = Path(base) / "policyc"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError:
        return None
    if status.st_uid != os.getuid() or status.st_mode & 0o022 or not os.access(directory, os.W_OK):
        return None
    key = hashlib.sha256(f"{lark_version}\0{grammar}".encode()).hexdigest()[:16]
    return str(directory / f"grammar-{key}.tables")
