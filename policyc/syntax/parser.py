"""Text to tree: decoding, parsing, and syntax errors as diagnostics."""

from __future__ import annotations

from functools import cache

from policyc.diagnostics.model import Diagnostics
from policyc.source import Source, Span
from policyc.syntax.build import TreeBuilder
from policyc.syntax.driver import Driver
from policyc.syntax.tables import load_tables
from policyc.syntax.tree import PolicyFile

__all__ = ["MAX_BYTES", "decode", "parse", "parse_valid"]

#: Files above this are refused before they are parsed.
MAX_BYTES = 4 << 20


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
    before = len(diagnostics.items)
    tree = _driver().parse(source.text, TreeBuilder(source, diagnostics))
    if tree is not None:
        return tree
    del diagnostics.items[before:]  # each is found again once the syntax is right
    from policyc.syntax.recovery import report_syntax_errors

    report_syntax_errors(source, diagnostics)
    return None


def parse_valid(source: Source) -> PolicyFile | None:
    """The tree of a policy without syntax errors, None for any other; explains nothing."""
    diagnostics = Diagnostics()
    tree = _driver().parse(source.text, TreeBuilder(source, diagnostics))
    return None if diagnostics.has_errors else tree


def _has_content(source: Source) -> bool:
    return any(
        stripped and not stripped.startswith("#")
        for stripped in (line.strip() for line in source.text.splitlines())
    )


@cache
def _driver() -> Driver:
    return Driver(load_tables())
