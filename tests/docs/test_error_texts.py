"""The pages of diagnostics that no written policy gives show what the compiler prints."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest

import policyc.check
from policyc.check import CheckResult, check_text
from policyc.diagnostics.render import render_full
from policyc.syntax.parser import MAX_BYTES
from tests.language.special_cases import (
    KERNEL_POLICIES,
    SPECIAL_CASES,
    circular,
    on_kernel,
    refused,
)
from tools.make_reference import DOCS


def _nested() -> CheckResult:
    text = f"task.uid{' + 1' * 105} > 1000"
    return check_text(
        f"policy generated;\n\nthp {{\n    deny when {text};\n    otherwise pass;\n}}\n",
        "generated.thp",
    )


def _many_rules() -> CheckResult:
    rules = "    deny when task.uid == 0;\n    deny when task.uid == 1;\n    otherwise pass;\n"
    with mock.patch.object(policyc.check, "_MAX_RULES", 2):
        return check_text(f"policy tenants;\n\nthp {{\n{rules}}}\n", "tenants.thp")


SHOWN: dict[str, Callable[[], CheckResult]] = {
    "PC0105": lambda: check_text(b"policy cafe;\n\n# du caf\xe9 noir\n", "cafe.thp"),
    "PC0106": _nested,
    "PC0107": lambda: check_text(b" " * (MAX_BYTES + (1 << 20)), "tenants.thp"),
    "PC0214": circular,
    "PC0512": _many_rules,
    "PC0705": refused,
    **{code: lambda code=code: on_kernel(code) for code in KERNEL_POLICIES},
}


@pytest.mark.parametrize("code", SHOWN)
def test_page_shows_what_is_printed(code: str):
    printed = render_full(SHOWN[code]().diagnostics, color=False, width=70)
    # The limit is another one in the test, which would take seconds with the real one.
    printed = printed.replace("more than 2 rules", "more than 65000 rules")
    assert f"```text\n{printed}\n```" in (DOCS / "errors" / f"{code}.md").read_text("utf-8")


def test_all_pages_without_a_policy_are_shown():
    assert set(SHOWN) == set(SPECIAL_CASES)
