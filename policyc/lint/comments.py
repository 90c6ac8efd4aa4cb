"""`# lint: allow PL003 reason`: findings that the author of a policy has seen and accepts.

A comment at the end of a line is about the statement of that line, one on a line of its own
about the statement that follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.model import Diagnostic, Fix
from policyc.lint.fixes import line_of
from policyc.source import Source, Span

__all__ = ["Allowance", "allowances", "without_effect", "without_reason"]

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|(?P<comment>#[^\n]*)')
_LINT = re.compile(r"#\s*lint:")
_ALLOW = re.compile(
    r"#\s*lint:\s*allow\s+(?P<codes>[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)\s*(?P<reason>.*?)\s*$"
)


@dataclass(slots=True)
class Allowance:
    """A comment of the linter; `lines` are those of the statement that it is about."""

    span: Span
    codes: tuple[str, ...]
    reason: str
    lines: range
    used: set[str] = field(default_factory=set[str])

    def covers(self, code: str, line: int) -> bool:
        """Whether the comment is about a finding with this code on this line; it is then used."""
        if code not in self.codes or line not in self.lines:
            return False
        self.used.add(code)
        return True


def allowances(source: Source) -> list[Allowance]:
    """The comments of the linter in a text."""
    if "lint:" not in source.text:
        return []
    code, comments = _lines(source)
    statements = _Statements(code)
    found: list[Allowance] = []
    for comment in comments:
        if not _LINT.match(comment.text):
            continue
        match = _ALLOW.match(comment.text)
        codes = tuple(re.split(r"\s*,\s*", match["codes"])) if match else ()
        reason = match["reason"] if match else ""
        found.append(Allowance(comment, codes, reason, statements.at(comment.line)))
    return found


def _lines(source: Source) -> tuple[list[str], list[Span]]:
    """What is on each line besides comments (line 1 is element 1), and the comments."""
    comments = [
        Span(source, match.start(), match.end())
        for match in _TOKEN.finditer(source.text)
        if match["comment"] is not None
    ]
    code = ["", *source.text.split("\n")]
    for comment in comments:
        line = source.position(comment.start)
        code[line.line] = code[line.line][: line.column - 1]
    return [line.strip() for line in code], comments


class _Statements:
    """Which lines make a statement; worked out once, as comments can be many."""

    def __init__(self, code: list[str]) -> None:
        self.code = code
        end = len(code) - 1
        self.first = list(range(end + 1))
        for line in range(2, end + 1):
            if code[line] and code[line - 1] and not _ends(code[line - 1]):
                self.first[line] = self.first[line - 1]
        self.last = list(range(end + 1))
        self.next = list(range(end + 1))
        for line in range(end - 1, 0, -1):
            if not code[line]:
                self.next[line] = self.next[line + 1]
            if not _ends(code[line]):
                self.last[line] = self.last[line + 1]

    def at(self, line: int) -> range:
        """The lines of the statement that a comment on some line is about."""
        first = self.first[line] if self.code[line] else self.next[line]
        return range(first, self.last[max(first, line)] + 1)


def _ends(line: str) -> bool:
    return line.endswith((";", "{", "}"))


def without_effect(allowed: Sequence[Allowance], ran: set[str]) -> Iterator[Diagnostic]:
    """PL021: comments that no finding of the rules that ran needs."""
    for comment in allowed:
        if not comment.codes:
            yield Diagnostic(
                "PL021",
                "the linter does not understand this comment",
                comment.span,
                help="write `# lint: allow CODE reason`, such as `# lint: allow PL004 one heap`",
            )
            continue
        unknown = [code for code in comment.codes if code not in LINT_CODES]
        idle = [code for code in comment.codes if code in ran and code not in comment.used]
        if not unknown and not idle:
            continue
        message = (
            f"there is no lint rule {unknown[0]}"
            if unknown
            else f"this allows {' and '.join(idle)}, and nothing of that is found here"
        )
        whole = set(unknown + idle) == set(comment.codes)
        yield Diagnostic(
            "PL021",
            message,
            comment.span,
            help="remove the comment" if whole else "remove the code",
            fix=_removed(comment.span) if whole and not unknown else None,
        )


def without_reason(allowed: Sequence[Allowance]) -> Iterator[Diagnostic]:
    """PL022: comments that do not say why."""
    for comment in allowed:
        if comment.codes and not comment.reason:
            yield Diagnostic(
                "PL022",
                "this does not say why the finding is accepted",
                comment.span,
                help="say it after the code, for whoever reads the policy next",
            )


def _removed(span: Span) -> Fix:
    """The fix that takes a comment out, with its line or with the blanks in front of it."""
    whole = line_of(span)
    if whole != span:
        return Fix(whole, "")
    text = span.source.text
    start = len(text[: span.start].rstrip(" \t"))
    return Fix(Span(span.source, start, span.end), "")
