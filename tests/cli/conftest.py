"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import POLICY


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy without mistakes."""
    path = tmp_path / "fleet.thp"
    path.write_text(POLICY, "utf-8")
    return path
