"""Every code has a page, every page has a code, and each code can be made to appear."""

from __future__ import annotations

import re

import pytest

from policyc.diagnostics.codes import CODES
from tests.language.documents import ROOT, document_blocks
from tests.language.special_cases import SPECIAL_CASES

PAGES = ROOT / "docs" / "errors"


@pytest.mark.parametrize("code", CODES)
def test_code_has_a_page_that_names_it(code: str):
    page = PAGES / f"{code}.md"
    assert page.is_file(), f"{code} ({CODES[code].title}) has no page"
    heading = page.read_text("utf-8").split("\n", 1)[0]
    assert re.match(rf"# {code}\b.*{re.escape(CODES[code].title)}", heading), heading


@pytest.mark.parametrize("code", CODES)
def test_code_is_produced(code: str):
    if code in SPECIAL_CASES:
        assert code in {diagnostic.code for diagnostic in SPECIAL_CASES[code]()}
        return
    page = PAGES / f"{code}.md"
    blocks = document_blocks(page) if page.is_file() else ()
    # That a block does produce what it expects is for test_documents.py.
    assert any(code in block.expected for block in blocks if block.language == "thp"), (
        f"no policy of {page.name} expects {code}, and special_cases.py has none either"
    )


def test_page_has_a_code():
    pages = {page.stem for page in PAGES.glob("PC*.md")}
    assert pages - set(CODES) == set()


def test_special_case_has_a_code():
    assert set(SPECIAL_CASES) - set(CODES) == set()
