"""The page about recording shows what the verbs print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from policyc.cli.application import policyc
from tests.simulate.recordings import sample

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "record-a-workload.md"


def test_the_page_shows_what_is_printed() -> None:
    shown = re.findall(r"```text\n\$ zcat (\S+) \| policyc (.*)\n((?:.*\n)*?)```", PAGE.read_text())
    assert len(shown) == 2
    for name, command, expected in shown:
        done = CliRunner().invoke(
            policyc,
            shlex.split(command),
            input=sample(Path(name).name).getvalue(),
            standalone_mode=False,
        )
        rest = done.stdout
        for piece in expected.split("...\n"):
            assert piece in rest, piece
            rest = rest[rest.index(piece) + len(piece) :]
