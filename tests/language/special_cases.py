"""Diagnostics that no policy written in a document can produce, and what produces them."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import policyc.check
from policyc.check import CheckResult, check_text
from policyc.check.kernels import check_kernels
from policyc.diagnostics.model import Diagnostic
from policyc.hooks.btf.match import match
from policyc.hooks.btf.reader import read_btf
from policyc.hooks.loader import profiles
from policyc.kernel.verify import Attempt, Refused, diagnostic_of
from policyc.syntax.parser import MAX_BYTES
from tests.language.documents import ROOT


def _check(text: str | bytes) -> tuple[Diagnostic, ...]:
    return tuple(check_text(text, "case.thp").diagnostics)


def _too_many_rules() -> tuple[Diagnostic, ...]:
    # As many as are too many take seconds to check, so there are too many a little earlier.
    rules = "deny when task.uid == 0; deny when task.uid == 1;"
    with mock.patch.object(policyc.check, "_MAX_RULES", 2):
        return _check(f"policy example; thp {{ {rules} otherwise pass; }}")


KERNEL_POLICIES = {
    "PC0701": ("stock-6.12", "numa {\n    otherwise balance;\n}"),
    "PC0702": ("moved", "thp {\n    deny when mm.rss < 8M;\n    otherwise pass;\n}"),
    "PC0703": (
        "no-psi",
        "thp {\n    deny when psi.memory.full.avg10 > 5%;\n    otherwise pass;\n}",
    ),
    "PC0704": (
        "no-swap-event",
        "thp {\n    deny when event is swap_pagefault;\n    otherwise pass;\n}",
    ),
}


def circular() -> CheckResult:
    """What is said of two files that import each other."""
    text = 'policy fleet;\n\nimport "shared.thp";\n\nthp {\n    otherwise pass;\n}\n'
    shared = b'import "fleet.thp";\n\nlet large = vma.size >= 1G;\n'
    return check_text(text, "fleet.thp", read=lambda _: shared)


def on_kernel(code: str) -> CheckResult:
    """What is said of a policy on one of the kernels of tests/fixtures/btf."""
    shape, block = KERNEL_POLICIES[code]
    kernel = match(read_btf(ROOT / "tests" / "fixtures" / "btf" / "shapes" / f"{shape}.btf"))
    result = check_text(f"policy example;\n\n{block}\n", "example.thp", profiles=["testrun"])
    _, diagnostics = check_kernels(result, {f"{shape}.btf": kernel})
    return CheckResult(result.plan, diagnostics)


def refused() -> CheckResult:
    """What is said of a policy whose program the verifier refuses at its first rule."""
    text = "policy example;\n\nthp {\n    deny when mm.rss < 8M;\n    otherwise pass;\n}\n"
    result = check_text(text, "example.thp", profiles=["thp-v12"])
    assert result.plan is not None
    profile = profiles()["thp-v12"]
    attempt = Attempt(result.plan.hooks[0], profile, profile, "")
    reason = "BPF program is too large. Processed 1000001 insn"
    found = Refused(attempt, "thp_get_order", reason, 4, 300, "")
    return CheckResult(result.plan, (diagnostic_of(result, found),))


SPECIAL_CASES: dict[str, Callable[[], tuple[Diagnostic, ...]]] = {
    "PC0105": lambda: _check(b"policy \xff;"),
    "PC0106": lambda: _check(
        f"policy example; thp {{ deny when {'not ' * 101}vma.stack; otherwise pass; }}"
    ),
    "PC0107": lambda: _check(b" " * (MAX_BYTES + 1)),
    "PC0214": lambda: circular().diagnostics,
    "PC0512": _too_many_rules,
    "PC0705": lambda: refused().diagnostics,
    **{code: lambda code=code: on_kernel(code).diagnostics for code in KERNEL_POLICIES},
}
