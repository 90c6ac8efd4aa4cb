"""Every lint rule has a page; its first policy gives the finding, and the mended one gives none."""

from __future__ import annotations

import re

import pytest

from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.render import render_full
from policyc.lint import lint_text
from policyc.lint.rules import FIXING, RULES, TEXT_RULES
from tests.language.documents import ROOT
from tests.language.markdown import Block, blocks
from tests.language.test_documents import imported

PAGES = ROOT / "docs" / "lint"
POLICIES = [
    block
    for code in LINT_CODES
    for block in blocks(PAGES / f"{code}.md", f"docs/lint/{code}.md")
    if block.language == "thp"
]


@pytest.mark.parametrize("code", LINT_CODES)
def test_rule_has_a_page_with_why_what_to_do_and_a_source(code: str):
    text = (PAGES / f"{code}.md").read_text("utf-8")
    assert text.startswith(f"# {code}: {LINT_CODES[code].title}\n")
    assert "\nSource: " in text
    assert ("--fix" in text) == (code in FIXING), "a page says what its fix changes"


@pytest.mark.parametrize("code", LINT_CODES)
def test_page_has_a_policy_with_the_finding_and_one_without(code: str):
    expected = [block.expected for block in POLICIES if block.document.endswith(f"{code}.md")]
    assert expected == [{code}, set()]


@pytest.mark.parametrize("block", POLICIES, ids=lambda block: block.id)
def test_policy_of_a_page(block: Block):
    result = lint_text(block.text, block.id, profiles=block.values("profile"), read=imported)
    found = {finding.code for finding in result.findings}
    assert found == block.expected, render_full(result.findings, color=False)


def test_every_page_and_every_rule_has_a_code():
    assert {path.stem for path in PAGES.glob("PL*.md")} == set(LINT_CODES)
    assert {rule.code for rule in (*RULES, *TEXT_RULES)} | {"PL021", "PL022"} == set(LINT_CODES)


def test_index_names_every_page_with_its_title():
    rows = re.findall(
        r"^\| \[(PL\d{3})\]\((PL\d{3})\.md\) \| (\w+) \| (yes)? *\| (.*) \|$",
        (PAGES / "index.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert rows == [
        (code, code, info.severity.value, "yes" if code in FIXING else "", info.title)
        for code, info in LINT_CODES.items()
    ]


def test_links_of_pages_lead_somewhere():
    for page in PAGES.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (PAGES / link).is_file(), (page.name, link)
