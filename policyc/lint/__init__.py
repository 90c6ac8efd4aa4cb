"""Patterns in policies that are legal and seldom what was meant.

The checker says what is wrong with a policy, the linter what experience with the kernel
says about one that is right. Each finding can be accepted by a comment with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from policyc.check.model import Read
from policyc.diagnostics.codes import LINT_CODES
from policyc.lint.files import Linted, lint_files
from policyc.lint.judgement import LintResult
from policyc.plan import nodes as n

__all__ = ["FixResult", "LintResult", "Linted", "fix_text", "lint_files", "lint_text"]


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
    """Apply the rules with these codes to a policy, or to a file of definitions.

    `profiles` are the kernel interfaces that the policy is for; without any, rules about
    interfaces speak of what all of them have in common. `name` is what diagnostics call
    the file, and where its imports start from; `read` gives the bytes of those.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    linted = lint_files([(data, name)], profiles=profiles, target=target, codes=codes, read=read)
    return linted[0].result


def fix_text(
    data: bytes,
    name: str,
    *,
    profiles: Sequence[str] = (),
    target: n.Target | None = None,
    codes: Collection[str] = LINT_CODES,
    read: Read | None = None,
) -> FixResult:
    """Apply every safe fix, and those that become possible by it, until none is left."""
    linted = lint_files(
        [(data, name)], profiles=profiles, target=target, codes=codes, read=read, fix=True
    )
    return FixResult(linted[0].data, linted[0].applied, linted[0].result)
