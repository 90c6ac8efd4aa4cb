"""One open document: its text, what is known of it, and what the checker last said."""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property

from lsprotocol import types

from policyc.check import CheckResult
from policyc.diagnostics.model import Diagnostic
from policyc.lsp.lines import Lines
from policyc.lsp.outline import Outline, Role, outline
from policyc.lsp.places import path_of
from policyc.lsp.scan import Token, TokenKind, scan
from policyc.plan.nodes import Target
from policyc.source import Source
from policyc.syntax.layouter import Layouter

__all__ = ["Analysis"]

_HALF = re.compile("[\ud800-\udfff]")


class Analysis:
    """A version of a document. Whatever is asked of it is worked out once.

    A file that is not open has no version.
    """

    def __init__(
        self,
        uri: str,
        text: str,
        version: int | None,
        *,
        encoding: types.PositionEncodingKind | str = types.PositionEncodingKind.Utf16,
        target: Target | None = None,
        checked: CheckResult | None = None,
        known: Sequence[Token] = (),
        layouter: Layouter | None = None,
    ) -> None:
        self.uri = uri
        # Half a surrogate pair is no character; in all encodings its replacement is as long.
        self.text = text if text.isascii() else _HALF.sub("\ufffd", text)
        self.version = version
        self.encoding = encoding
        self.target = target or Target()
        #: Tokens of lines at the beginning that are as they were in the last version.
        self._known = known
        #: What it knows of the last version's statements serves this one.
        self._layouter = layouter or Layouter()
        #: What the checker said of the last version that it has seen, this one or an older.
        self.checked = checked
        #: Whether that is this version, whose places in the text are those of the findings.
        self.fresh = False
        #: What became of each test and property, by the line it begins on.
        self.outcomes: dict[int, str] = {}
        #: What the linter said, if the text is fresh.
        self.linted: tuple[Diagnostic, ...] = ()
        #: The text with every safe fix, if there are any and they have been worked out.
        self.fixed: str | None = None

    @cached_property
    def path(self) -> str:
        """What the checker calls the document."""
        return path_of(self.uri) or self.uri

    @cached_property
    def plain(self) -> str:
        """The text with a space for the byte order mark, so that all places are where they are."""
        return f" {self.text[1:]}" if self.text.startswith("\ufeff") else self.text

    @cached_property
    def key(self) -> str:
        """What is the same for all names of one file."""
        return os.path.realpath(self.path)

    @cached_property
    def lines(self) -> Lines:
        """Offsets and positions."""
        return Lines(self.text, self.encoding)

    @cached_property
    def tokens(self) -> list[Token]:
        """Every token, comments included."""
        start = self.text.rfind("\n", 0, self._known[-1].end) + 1 if self._known else 0
        kept = bisect_left([token.start for token in self._known], start)
        return [*self._known[:kept], *scan(self.plain, start)]

    @cached_property
    def layout(self) -> str | None:
        """The text in its canonical form; None if it has syntax errors."""
        return self._layouter.format(Source("", self.plain))

    @cached_property
    def outline(self) -> Outline:
        """What each word is for."""
        return outline(self.tokens)

    @cached_property
    def _starts(self) -> list[int]:
        return [token.start for token in self.tokens]

    @cached_property
    def _roles(self) -> dict[int, Role]:
        return {token.start: role for token, role in self.outline.roles}

    @cached_property
    def declared_names(self) -> frozenset[str]:
        """The sets, parameters and lets."""
        return frozenset(d.name.text for d in self.outline.declarations if d.kind != "rule")

    def index_at(self, offset: int) -> int | None:
        """The index of the token that an offset is in or right after."""
        place = bisect_right(self._starts, offset) - 1
        if place < 0:
            return None
        token = self.tokens[place]
        if token.start == offset and place and token.kind not in (TokenKind.NAME, TokenKind.NUMBER):
            before = self.tokens[place - 1]
            if before.end == offset:
                return place - 1
        return place if offset <= token.end else None

    def tokens_before(self, offset: int) -> list[Token]:
        """The tokens that begin before a place, from that of its declaration or block on."""
        last = bisect_left(self._starts, offset)
        blocks = bisect_left(self._heads, offset)
        first = bisect_left(self._starts, self._heads[blocks - 1]) if blocks else 0
        return self.tokens[first:last]

    @cached_property
    def _heads(self) -> list[int]:
        """Where the declarations and blocks of the policy begin."""
        heads = [block.header[0].start for block in self.outline.blocks if block.header]
        heads += [statement.tokens[0].start for statement in self.outline.statements]
        return sorted(heads)

    def token_at(self, offset: int) -> Token | None:
        """The token that an offset is in or right after."""
        place = self.index_at(offset)
        return None if place is None else self.tokens[place]

    def role_of(self, token: Token) -> Role:
        """What a token is for."""
        return self._roles.get(token.start, Role.OTHER)

    def changed(
        self, changes: list[types.TextDocumentContentChangeEvent], version: int
    ) -> Analysis:
        """The document after some changes, each made to the outcome of the one before."""
        text, same = self.text, len(self.text)
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                lines = self.lines if text is self.text else Lines(text, self.encoding)
                start = lines.offset(change.range.start)
                end = max(start, lines.offset(change.range.end))
                text, same = text[:start] + change.text + text[end:], min(same, start)
            else:
                text, same = change.text, 0
        return Analysis(
            self.uri,
            text,
            version,
            encoding=self.encoding,
            target=self.target,
            checked=self.checked,
            known=self._tokens_until(text.rfind("\n", 0, same) + 1),
            layouter=self._layouter,
        )

    def _tokens_until(self, offset: int) -> list[Token]:
        """The tokens before a place, as far as they have been read."""
        if "tokens" not in self.__dict__:
            return []
        return self.tokens[: bisect_left(self._starts, offset)]
