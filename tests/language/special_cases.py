"""Diagnostics that no policy written in a document can produce, and what produces them."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import policyc.check
from policyc.check import check_text
from policyc.diagnostics.model import Diagnostic
from policyc.syntax.parser import MAX_BYTES


def _check(text: str | bytes) -> tuple[Diagnostic, ...]:
    return tuple(check_text(text, "case.thp").diagnostics)


def _too_many_rules() -> tuple[Diagnostic, ...]:
    # As many as are too many take seconds to check, so there are too many a little earlier.
    rules = "deny when task.uid == 0; deny when task.uid == 1;"
    with mock.patch.object(policyc.check, "_MAX_RULES", 2):
        return _check(f"policy example; thp {{ {rules} otherwise pass; }}")


SPECIAL_CASES: dict[str, Callable[[], tuple[Diagnostic, ...]]] = {
    "PC0105": lambda: _check(b"policy \xff;"),
    "PC0106": lambda: _check(
        f"policy example; thp {{ deny when {'not ' * 101}vma.stack; otherwise pass; }}"
    ),
    "PC0107": lambda: _check(b" " * (MAX_BYTES + 1)),
    "PC0512": _too_many_rules,
}
