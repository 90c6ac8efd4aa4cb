"""Pages that repeat a table say what the table says, and no page links to what is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from policyc.diagnostics.codes import CODES
from policyc.hooks.loader import attributes, host_rows, profile_names
from tests.language.documents import ROOT
from tools.make_reference import DOCS, pages

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

LINKING = sorted([*DOCS.glob("errors/*.md"), *pages()])


def _anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = _HEADING.findall(path.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_page_is_up_to_date(path: Path):
    assert path.is_file(), "run tools/make_reference.py"
    assert path.read_text("utf-8") == pages()[path], "run tools/make_reference.py"


def test_check_says_that_pages_are_up_to_date():
    command = [sys.executable, str(ROOT / "tools" / "make_reference.py"), "--check"]
    result = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert result.returncode == 0


def test_every_setting_is_on_the_page_as_a_policy_writes_it():
    text = (DOCS / "reference" / "host.md").read_text("utf-8")
    for name in host_rows():
        assert f"| `{name.replace('[]', '[SIZE]')}` |" in text


def test_every_attribute_is_on_the_page_once():
    text = (DOCS / "reference" / "attributes.md").read_text("utf-8")
    patterns = re.findall(r"^\| `([a-z0-9_.{},]+)` \| [a-z[]", text, re.MULTILINE)
    names = [name for pattern in patterns for name in _spellings(pattern)]
    assert sorted(names) == sorted(attributes())


def _spellings(pattern: str) -> list[str]:
    group = re.search(r"\{([^}]*)\}", pattern)
    if group is None:
        return [pattern]
    heads = [pattern[: group.start()] + choice for choice in group[1].split(",")]
    return [name for head in heads for name in _spellings(head + pattern[group.end() :])]


def test_every_profile_has_a_section():
    assert set(profile_names()) <= _anchors(DOCS / "reference" / "profiles.md")


def test_index_links_every_code():
    text = (DOCS / "errors" / "index.md").read_text("utf-8")
    assert sorted(re.findall(r"\]\((PC\d{4})\.md\)", text)) == sorted(CODES)


@pytest.mark.parametrize("path", LINKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    for link in _LINK.findall(path.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_file(), link
        assert not anchor or anchor in _anchors(target), link
