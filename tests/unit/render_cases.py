"""Sources and spans for the tests of the renderers."""

from __future__ import annotations

from policyc.source import Source, Span

#: Codes of each severity; what they stand for does not matter here.
ERROR, WARNING, NOTE = "PC0301", "PC0502", "PC0603"


def span_of(source: Source, text: str) -> Span:
    """The first place where a text occurs."""
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def rows(*lines: str) -> str:
    """The expected output, one argument per line."""
    return "\n".join(lines)
