"""Patterns in policies that are legal and seldom what was meant.

The checker says what is wrong with a policy, the linter what experience with the kernel
says about one that is right. Each finding can be accepted by a comment with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from policyc.check import CheckResult, check_text
from policyc.check.model import Read
from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.model import Diagnostic, Diagnostics, Severity
from policyc.lint.comments import allowances, without_effect, without_reason
from policyc.lint.fixes import apply_fixes
from policyc.lint.model import Subject
from policyc.lint.rules import BY_PROFILE, RULES
from policyc.plan import nodes as n
from policyc.source import Source
from policyc.syntax.parser import parse
from policyc.syntax.tree import PolicyFile

__all__ = ["FixResult", "LintResult", "fix_text", "lint_checked", "lint_text"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class LintResult:
    """What was found; the errors of the checker if there are any (`checked` is False then).

    `allowed` are the findings that comments of the policy accept.
    """

    findings: tuple[Diagnostic, ...]
    checked: bool
    allowed: tuple[Diagnostic, ...] = ()
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class FixResult:
    """A text with every safe fix applied, how many there were, and what is left to say."""

    data: bytes
    applied: int
    left: LintResult


def lint_text(
    text: str | bytes,
    name: str,
    *,
    profiles: Sequence[str] = (),
    target: n.Target | None = None,
    codes: Collection[str] = LINT_CODES,
    read: Read | None = None,
) -> LintResult:
    """Apply the rules with these codes to a policy.

    `profiles` are the kernel interfaces that the policy is for; without any, rules about
    interfaces speak of what all of them have in common. `name` is what diagnostics call
    the file. `read` gives the bytes of an imported file; without it they come from the disk.
    """
    result = check_text(text, name, profiles=["testrun"], target=target, read=read, library=True)
    return lint_checked(result, profiles=profiles, codes=codes)


def lint_checked(
    result: CheckResult,
    file: PolicyFile | None = None,
    *,
    profiles: Sequence[str] = (),
    codes: Collection[str] = LINT_CODES,
) -> LintResult:
    """Apply the rules to a policy that has been checked.

    `file` is the tree of the same source, if it is at hand.
    """
    if result.is_library:
        return LintResult((), checked=True)  # definitions are judged where they are used
    if result.plan is None:
        errors = tuple(d for d in result.diagnostics if d.severity is Severity.ERROR)
        return LintResult(errors, checked=False)
    source = result.blocks[0].item.span.source
    file = file or parse(source, Diagnostics())
    assert file is not None
    subject = Subject(source, file, result.plan, result.blocks, result.diagnostics, profiles)
    return _apply_rules(subject, set(codes))


def _apply_rules(subject: Subject, codes: set[str]) -> LintResult:
    found = Diagnostics()
    for rule in RULES:
        if rule.code in codes:
            for item in rule.find(subject):
                found.add(
                    rule.code,
                    item.message,
                    item.span,
                    item.label,
                    related=item.related,
                    help=item.help,
                    fix=item.fix,
                )
    comments = allowances(subject.source)
    covered = [(item, [c.covers(item) for c in comments]) for item in found.items]
    left = Diagnostics([item for item, by in covered if not any(by)])
    if "PL021" in codes:
        ran = codes - (BY_PROFILE if not subject.named else frozenset[str]())
        left.items += without_effect(comments, ran - {"PL021", "PL022"})
    if "PL022" in codes:
        left.items += without_reason(comments)
    allowed = Diagnostics([item for item, by in covered if any(by)])
    return LintResult(left.sorted(), True, allowed.sorted(), subject.source)


def fix_text(
    data: bytes,
    name: str,
    *,
    profiles: Sequence[str] = (),
    target: n.Target | None = None,
    codes: Collection[str] = LINT_CODES,
    read: Read | None = None,
) -> FixResult:
    """Apply every safe fix, and those that become possible by it, until none is left.

    The result checks whenever the text did; should a fix ever break that, it is left out
    with all of its round.
    """

    def lint(data: bytes) -> LintResult:
        return lint_text(data, name, profiles=profiles, target=target, codes=codes, read=read)

    applied, result = 0, lint(data)
    while result.source is not None:
        fixes = [item.fix for item in result.findings if item.fix is not None]
        if not fixes:
            break
        text, number = apply_fixes(result.source, fixes)
        fixed = (_BOM if data.startswith(_BOM) else b"") + text.encode("utf-8", "surrogatepass")
        next_result = lint(fixed)
        if not next_result.checked or len(fixed) >= len(data):
            break
        applied += number
        data, result = fixed, next_result
    return FixResult(data, applied, result)
