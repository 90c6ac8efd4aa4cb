"""What the model says of the workloads that a kernel ran in the VM."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.comparing import compared, listing
from tests.kernel.modelled import CASES, EXACT

RESULTS = Path(os.environ["POLICYC_RESULTS"])
FILES = sorted(RESULTS.glob("*/files/model/*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_model_says_what_the_kernel_did(file: Path) -> None:
    found = compared(json.loads(file.read_text("utf-8")))
    if found.case.killed:
        assert found.model_killed
        return
    assert not found.model_killed
    assert not found.wrong, "\n" + listing([replace(found, rows=found.wrong)])


def test_the_table_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed for people; and all cases have run if all tests have."""
    if not FILES:
        pytest.skip("no workload of the model ran in the VM")
    found = [compared(json.loads(file.read_text("utf-8"))) for file in FILES]
    with capsys.disabled():
        sys.stdout.write(f"\nmodel beside kernel, {EXACT:.0%} where nothing is said\n")
        sys.stdout.write(listing(found) + "\n")
    if os.environ.get("POLICYC_COMPLETE"):
        assert {each.case.name for each in found} == {case.name for case in CASES}
