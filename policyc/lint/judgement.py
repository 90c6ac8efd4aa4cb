"""What the rules say about one file, and which of it comments accept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from policyc.check.model import CheckResult
from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.model import Diagnostic, Diagnostics, Severity
from policyc.lint.comments import Allowance, allowances, without_effect, without_reason
from policyc.lint.model import Finding, Outside, Subject, Text
from policyc.lint.rules import BY_PROFILE, RULES, SELF_CONTAINED, TEXT_RULES
from policyc.plan import nodes as n
from policyc.source import Source
from policyc.syntax import tree as t
from policyc.syntax.parser import parse

__all__ = ["LintResult", "judge"]


@dataclass(frozen=True, slots=True)
class LintResult:
    """What was found; the errors of the checker if there are any (`checked` is False then).

    `allowed` are the findings that comments accept, `by` the comments of other files that
    were needed for it, with the code.
    """

    findings: tuple[Diagnostic, ...]
    checked: bool
    allowed: tuple[Diagnostic, ...] = ()
    source: Source | None = None
    by: tuple[tuple[Source, int, str], ...] = ()


def judge(
    checked: CheckResult,
    *,
    profiles: Sequence[str] = (),
    target: n.Target | None = None,
    codes: Collection[str] = LINT_CODES,
    outside: Outside | None = None,
    only_text: bool = False,
    file: t.PolicyFile | None = None,
) -> LintResult:
    """Apply the rules with these codes to a file that has been checked.

    With `only_text`, a policy is judged by what can be said of files of definitions too.
    `file` is the tree of the same source, if it is at hand.
    """
    linked = checked.file
    if linked is None:
        errors = tuple(d for d in checked.diagnostics if d.severity is Severity.ERROR)
        return LintResult(errors, checked=False)
    source = linked.source
    file = file or parse(source, Diagnostics())
    assert file is not None
    outside = outside or Outside()
    target = target or n.Target()
    text = Text(source, file, linked, checked.used, target, checked.diagnostics, outside)
    found = [(r.code, item) for r in TEXT_RULES if r.code in codes for item in r.find(text)]
    if checked.plan is None or only_text:
        return _result(text, found, set(codes) & SELF_CONTAINED, codes)
    subject = Subject(
        source,
        file,
        linked,
        checked.used,
        target,
        checked.diagnostics,
        outside,
        checked.plan,
        checked.blocks,
        profiles,
    )
    found += [(r.code, item) for r in RULES if r.code in codes for item in r.find(subject)]
    ran = set(codes) - (BY_PROFILE if not profiles else frozenset[str]())
    return _result(text, found, ran - {"PL021", "PL022"}, codes)


def _result(
    text: Text, found: Iterable[tuple[str, Finding]], ran: set[str], codes: Collection[str]
) -> LintResult:
    """The findings, without those that comments accept, and what is to say about comments."""
    comments = allowances(text.source)
    elsewhere: dict[Source, list[Allowance]] = {}
    left, allowed = Diagnostics(), Diagnostics()
    by: dict[tuple[Source, int, str], None] = {}
    for code, item in found:
        span, more = item.span, item.related
        finding = Diagnostic(code, item.message, span, item.label, more, item.help, item.fix)
        accepted = [comment for comment in comments if comment.covers(code, span.line)]
        for label in more:
            other = label.span.source
            if other is text.source:
                continue
            if other not in elsewhere:
                elsewhere[other] = allowances(other)
            foreign = [c for c in elsewhere[other] if c.covers(code, label.span.line)]
            by |= {(other, comment.span.start, code): None for comment in foreign}
            accepted += foreign
        (allowed if accepted else left).items.append(finding)
    for comment in comments:
        comment.used |= {c for start, c in text.outside.comments if start == comment.span.start}
    if "PL021" in codes:
        left.items += without_effect(comments, ran)
    if "PL022" in codes:
        left.items += without_reason(comments)
    return LintResult(left.sorted(), True, allowed.sorted(), text.source, tuple(by))
