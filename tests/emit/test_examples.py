"""The shipped examples: checked, compiled for every interface that can, run by every executor."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from policyc.check import check_text
from policyc.diagnostics.model import Severity
from policyc.emit.bpf import emit_bpf_many
from policyc.emit.clang import ToolMissing, compile_object, find_clang
from policyc.hooks.loader import profile_names, profiles
from policyc.plan import nodes as n
from tests.differential.compare import (
    LaneFactory,
    host_lane,
    kernel_lane,
    mismatches,
    module_lane,
    reference_lane,
)
from tests.differential.lanes import host, kernel
from tests.strategies.requests import World

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*.thp"))
REQUESTS = 2_000


def no_clang() -> str:
    try:
        find_clang()
    except ToolMissing as missing:
        return str(missing)
    return ""


def plan_of(path: Path, profile: str | None = None) -> n.Plan | None:
    names = None if profile is None else [profile]
    return check_text(path.read_bytes(), path.name, profiles=names).plan


def test_there_are_at_least_twelve() -> None:
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_has_no_error_and_no_warning(path: Path) -> None:
    result = check_text(path.read_bytes(), path.name)
    assert result.plan is not None
    assert [d for d in result.diagnostics if d.severity is not Severity.NOTE] == []
    assert "# Who wants it:" in path.read_text("utf-8")


@pytest.mark.skipif(bool(no_clang()), reason=no_clang() or "-")
@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_compiles_for_every_profile_that_can_supply_it(path: Path, profile: str) -> None:
    plan = plan_of(path, profile)
    if plan is None:  # another hook, or an attribute that the interface lacks
        codes = {d.code for d in check_text(path.read_bytes(), "", profiles=[profile]).diagnostics}
        assert codes & {"PC0601", "PC0602"}
        return
    for counters in (True, False):
        text = emit_bpf_many(plan, [profiles()[profile]], counters=counters)
        assert ("rule_counters" in text) == counters
        assert compile_object(text).startswith(b"\x7fELF")


LANES = [
    pytest.param(module_lane, id="python"),
    pytest.param(
        host_lane,
        id="host",
        marks=pytest.mark.skipif(bool(host.available()), reason=host.available() or "-"),
    ),
    pytest.param(
        kernel_lane,
        id="kernel",
        marks=[
            pytest.mark.kernel,
            pytest.mark.skipif(
                bool(no_clang() or kernel.available()),
                reason=no_clang() or kernel.available() or "-",
            ),
        ],
    ),
]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_means_the_same_everywhere(path: Path, lane: LaneFactory) -> None:
    """In the kernel lane this also shows that the verifier takes it."""
    plan = plan_of(path)
    assert plan is not None
    world = World(plan, Random(path.stem))
    with ExitStack() as stack:
        lanes = [factory(plan, world, stack) for factory in (reference_lane, lane)]
        found = list(mismatches(plan, world, lanes, 1, REQUESTS))
    assert found == []


def test_output_does_not_depend_on_the_seed_of_hashes(tmp_path: Path) -> None:
    outputs: list[dict[str, bytes]] = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        code = (
            "import sys; from policyc.cli.main import main; "
            f"sys.argv = ['policyc', 'compile', 'examples/fleet.thp', '-o', {str(folder)!r}, "
            "'--emit', 'c,python,manifest,host', '--profile', 'thp-v9,numab-rfc1']; main()"
        )
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        outputs.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert sorted(outputs[0]) == ["fleet.bpf.c", "fleet.host.sh", "fleet.json", "fleet.py"]
    assert outputs[0] == outputs[1]
