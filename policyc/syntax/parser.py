"""Text to tree: decoding, parsing, and syntax errors as diagnostics."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from policyc.diagnostics.model import Diagnostics, Fix
from policyc.resources import resource_path
from policyc.source import Source, Span
from policyc.syntax.build import TreeBuilder
from policyc.syntax.tree import PolicyFile

__all__ = ["MAX_BYTES", "decode", "parse"]

#: Files above this are refused before they are parsed.
MAX_BYTES = 4 << 20

#: Syntax errors that one run looks for; each needs another pass over the text.
_MAX_SYNTAX_ERRORS = 20
_MAX_REPARSED_CHARACTERS = 1 << 20

_LATER = {"import", "test", "property"}
_LOOK_ALIKES = {
    "\u037e": ";",
    "\uff1b": ";",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2018": '"',
    "\u2019": '"',
    "'": '"',
    "\u2026": "..",
    "\u2013": "-",
    "\u2014": "-",
    "\u2212": "-",
    "\u00d7": "*",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u2223": "|",
    "\uff5c": "|",
    "\uff1a": ":",
    "\uff1d": "=",
    "\u00a0": " ",
    "&": "and",
    "!": "not",
}
_SIGNS = {
    "CLOSE": "`}`",
    "CLOSE_PARENTHESIS": "`)`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "DOTS": "`..`",
    "END": "`;`",
    "EQUAL": "`=`",
    "FACTOR": "`*`",
    "LBRACE": "`{`",
    "LPAR": "`(`",
    "LSQB": "`[`",
    "OPEN": "`(`",
    "PLUS": "`+`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "SIGN": "`+`",
    "VBAR": "`|`",
    "NAME": "a name",
    "STRING": "a string",
    "INTEGER": "a number",
    "SIZE": "a size",
    "DURATION": "a duration",
    "PERCENT": "a percent",
    "COMPARE": "a comparison",
    "HOOK": "`thp` or `numa`",
    "$END": "the end of the file",
}


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
        tree, failure = None, _failure(source, error)
        if failure.start <= reported or (reported >= 0 and failure.terminal == "$END"):
            break  # a consequence of an error that is already reported
        _report(source, failure, diagnostics)
        reported = failure.start
        if parsed > _MAX_REPARSED_CHARACTERS or set(failure.accepted) == {"POLICY"}:
            break
        text = _without_statement(text, failure.start)
    return tree if reported < 0 else None


@dataclass(frozen=True, slots=True)
class _Failure:
    """Where the parser could not go on: at a token, a character, or the end of the file.

    `terminal` is empty for a character that starts no token. `accepted` are the names of
    the terminals that could have stood there.
    """

    start: int
    end: int
    terminal: str
    text: str
    accepted: frozenset[str]


def _failure(source: Source, error: UnexpectedInput) -> _Failure:
    length = len(source.text)
    if isinstance(error, UnexpectedCharacters):
        start = min(cast(int, error.pos_in_stream), length)  # pyright: ignore[reportUnknownMemberType]
        return _Failure(start, start + 1, "", source.text[start : start + 1], frozenset())
    assert isinstance(error, UnexpectedToken)
    token = cast(Token, error.token)  # pyright: ignore[reportUnknownMemberType]
    accepted = frozenset(error.accepts or error.expected)
    if token.type == "$END":
        return _Failure(length, length, "$END", "", accepted)
    start = token.start_pos or 0
    return _Failure(start, token.end_pos or start, token.type, str(token), accepted)


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
    key = hashlib.sha256(f"{version('lark')}\0{grammar}".encode()).hexdigest()[:16]
    return str(directory / f"grammar-{key}.tables")


def _without_statement(text: str, offset: int) -> str:
    """The text with the statement around an offset blanked out, every position kept.

    A statement ends with `;` or with the `}` of its block.
    """
    start = max(text.rfind(sign, 0, offset) for sign in ";{}") + 1
    ends = [end for end in (text.find(sign, offset) for sign in ";{}") if end != -1]
    end = min(ends, default=len(text))
    if text[end : end + 1] == "{":
        end = _closing_brace(text, end)
    elif text[end : end + 1] == ";" or end == offset:
        end = min(end + 1, len(text))
    blank = "".join(character if character == "\n" else " " for character in text[start:end])
    return text[:start] + blank + text[end:]


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


def _report(source: Source, failure: _Failure, diagnostics: Diagnostics) -> None:
    span = Span(source, failure.start, failure.end)
    if not failure.terminal:
        _report_character(source, failure.start, diagnostics)
        return
    if failure.text in _LATER:
        diagnostics.add(
            "PC0109",
            f"`{failure.text}` is not in this version of the language",
            span,
            help="leave it out; docs/explanation/limits.md lists what is still to come",
        )
        return
    found = f"`{failure.text}`" if failure.text else "the end of the file"
    expected = _expected(failure.accepted)
    diagnostics.add(
        "PC0102",
        f"found {found} where {expected} should be",
        span,
        f"expected {expected}",
        help=_advice(source, failure),
    )


def _expected(accepted: frozenset[str]) -> str:
    """What could have stood there, in words."""
    if {"HAS", "HIGHEST"} <= accepted:
        return "an expression"
    if {"SIGN", "FACTOR"} <= accepted:
        ends = sorted(_sign(name) for name in accepted & {"END", "CLOSE_PARENTHESIS", "_WHEN"})
        return " or ".join(["an operator", *ends])
    if {"ALLOW", "DENY", "OTHERWISE"} <= accepted:
        return "a rule or `}`"
    if {"SET", "LET"} <= accepted:
        return "a declaration or a block"
    names = sorted({_sign(name) for name in accepted})
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sign(terminal: str) -> str:
    return _SIGNS.get(terminal, f"`{terminal.lower().lstrip('_')}`")


def _advice(source: Source, failure: _Failure) -> str:
    accepted = failure.accepted
    before = source.text[: failure.start].rstrip()
    if failure.terminal == "$END" and "CLOSE" in accepted:
        return "a `}` is missing"
    if failure.text == "=" and "COMPARE" in accepted:
        return "comparisons are written `==` or `is`"
    if failure.text == "not" and "COMPARE" in accepted:
        return "write `not (a in b)`: `not` stands in front of the whole comparison"
    if re.search(r"\b(is|==)\s*not\Z", before):
        return "write `!=`"
    if failure.text == "|" and before.endswith("|"):
        return "write `or` between conditions, and one `|` between order sets"
    if failure.text == "if" and "_WHEN" in accepted:
        return "conditions start with `when`"
    if "COMMA" not in accepted and failure.terminal == "COMMA":
        return "order sets are joined with `|`, conditions with `and`"
    new_line = source.position(len(before)).line < source.position(failure.start).line
    if "END" in accepted and (new_line or failure.text in ("}", "otherwise")):
        return "each statement ends with `;`"
    if {"SET", "LET"} <= accepted:
        return "a policy has set, param, let, combine, host, thp and numa"
    if {"ALLOW", "DENY"} <= accepted:
        return "rules are `allow ORDERS when CONDITION;`, `deny when ...;`, `otherwise ...;`"
    return "docs/language.md has the grammar"


def _report_character(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    character = source.text[offset : offset + 1]
    span = Span(source, offset, offset + 1)
    if character == '"':
        line = source.line_text(source.position(offset).line)
        end = offset + len(line) - source.position(offset).column + 1
        diagnostics.add(
            "PC0103",
            "this string is not closed on its line",
            Span(source, offset, max(end, offset + 1)),
            help='close it with `"`; a quote inside a string is written `\\"`',
        )
        return
    name = unicodedata.name(character, "") if character else ""
    described = f"U+{ord(character):04X}" + (f" {name}" if name else "") if character else ""
    meant = _LOOK_ALIKES.get(character)
    fix = Fix(span, meant) if meant else None
    if character.isdigit():
        word = source.text[offset : offset + 40].split()[0]
        diagnostics.add(
            "PC0101",
            f"`{word.rstrip(';')}` is not a number with a unit",
            span,
            help="sizes end in B, K, M, G, T or P, durations in ns, us, ms, s, min or h, "
            "percents in %",
        )
        return
    diagnostics.add(
        "PC0101",
        f"the character {described} is not part of the language",
        span,
        help=f"write `{meant}`" if meant else "names are ASCII letters, digits and `_`",
        fix=fix,
    )
