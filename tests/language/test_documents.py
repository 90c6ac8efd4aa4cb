"""The documents are tests: their policies are checked and their commands are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.diagnostics.codes import CODES
from policyc.diagnostics.model import Severity
from policyc.diagnostics.render import render_full
from tests.language.console import Reader
from tests.language.documents import ROOT, document_blocks, policy_blocks, worked_documents
from tests.language.markdown import Block, policy_text

#: A fragment declares what the reader is told about and has no room to use it.
UNUSED = {"PC0210", "PC0211", "PC0212"}


def _is_let_go(code: str, block: Block) -> bool:
    """Whether a fragment may give a diagnostic that it does not expect.

    What a profile loses is told in notes; they matter where the document names a profile.
    """
    if CODES[code].severity is Severity.NOTE:
        return not block.values("profile")
    return code in UNUSED


def imported(path: str) -> bytes:
    """What documents import is in a directory of the examples."""
    return (ROOT / "examples" / Path(path).parent.name / Path(path).name).read_bytes()


@pytest.mark.parametrize("block", policy_blocks(), ids=lambda block: block.id)
def test_policy(block: Block):
    text = policy_text(block)
    profiles = block.values("profile") or None
    result = check_text(text, block.id, profiles=profiles, read=imported, library=True)
    diagnostics = result.diagnostics
    found = {diagnostic.code for diagnostic in diagnostics}
    if block.values("fragment"):
        found -= {code for code in found if _is_let_go(code, block)} - block.expected
    assert found == block.expected, f"\n{text}\n{render_full(diagnostics, color=False)}"


@pytest.mark.slow
@pytest.mark.parametrize("path", worked_documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_programs(path: Path, tmp_path: Path):
    reader = Reader(tmp_path)
    complaints = [complaint for block in document_blocks(path) for complaint in reader.read(block)]
    assert not complaints, "\n\n".join(complaints)
