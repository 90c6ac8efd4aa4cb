"""Tests on a kernel with the hooks; `make test-kernel` and `make test-kernel-patched` run them.

They are collected in the VM, and on the host only to compile what they declare. The tests in
`host/` look on the host at what the VM left.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent

collect_ignore_glob: list[str] = []
if "POLICYC_LANE" in os.environ:
    collect_ignore_glob = ["host/*"]
elif "POLICYC_RESULTS" in os.environ:
    collect_ignore_glob = ["test_*.py"]
else:
    collect_ignore_glob = ["*"]

_DEFAULT_MACHINE = "two-nodes"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "machine(name): the test needs this machine: two-nodes (the default) or tiers"
    )


def _machine_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("machine")
    return marker.args[0] if marker else _DEFAULT_MACHINE


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other machines, and tell the host which machines those need."""
    here = os.environ.get("POLICYC_MACHINE")
    if here is None:
        return
    elsewhere = [item for item in items if _machine_of(item) != here]
    machines = sorted({_machine_of(item) for item in elsewhere})
    Path(os.environ["POLICYC_OUTPUT"], "machines.json").write_text(json.dumps(machines), "utf-8")
    items[:] = [item for item in items if _machine_of(item) == here]
    config.hook.pytest_deselected(items=elsewhere)


def pytest_collection_finish(session: pytest.Session) -> None:
    """On the host: compile what the collected tests declared."""
    if "POLICYC_PREPARE" in os.environ:
        from tests.kernel.policies import prepare

        prepare(Path(os.environ["POLICYC_PREPARE"]))
