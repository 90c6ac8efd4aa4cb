"""Tests on a kernel with the hooks; `make test-kernel` and `make test-kernel-patched` run them.

They are collected in the VM, and on the host only to compile what they declare. The tests in
`host/` look on the host at what the VM left.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.kernel.guest import cgroups as guest_cgroups
from tests.kernel.guest import modules, swap
from tests.kernel.guest.cgroups import Cgroups
from tests.kernel.guest.kernel_log import KernelLog, complaints
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.settings import Settings
from tests.kernel.guest.thp import PMD_ORDER, Thp

collect_ignore_glob: list[str] = []
if "POLICYC_LANE" in os.environ:
    collect_ignore_glob = ["host/*"]
elif "POLICYC_RESULTS" in os.environ:
    collect_ignore_glob = ["test_*.py"]
else:
    collect_ignore_glob = ["*"]

_DEFAULT_MACHINE = "two-nodes"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The VM has no pytest-asyncio, which pyproject.toml says something to."""
    if not pluginmanager.hasplugin("asyncio"):
        parser.addini("asyncio_default_fixture_loop_scope", "of the plugin that is not there")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "machine(name): the test needs this machine: two-nodes (the default) or tiers"
    )


def _machine_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("machine")
    return marker.args[0] if marker else _DEFAULT_MACHINE


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other machines, and tell the host which machines those need.

    Last, so that nothing is booted for tests that the command line left out.
    """
    here = os.environ.get("POLICYC_MACHINE")
    if here is None:
        return
    elsewhere = [item for item in items if _machine_of(item) != here]
    machines = sorted({_machine_of(item) for item in elsewhere})
    Path(os.environ["POLICYC_OUTPUT"], "machines.json").write_text(json.dumps(machines), "utf-8")
    mine = _shared([item for item in items if _machine_of(item) == here])
    chosen = set(mine)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = mine


def _shared(items: list[pytest.Item]) -> list[pytest.Item]:
    """The share of the tests that is for this VM, by files and signatures ("1/3")."""
    number, _, shares = os.environ.get("POLICYC_SHARE", "").partition("/")
    if not shares:
        return items
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        groups.setdefault((_signature_of(item), item.path.name), []).append(item)
    return [
        item
        for place, group in enumerate(groups.values(), 1)
        if place % int(shares) == int(number) % int(shares)
        for item in group
    ]


def _signature_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("signature", "")) if callspec else ""


def pytest_collection_finish(session: pytest.Session) -> None:
    """On the host: compile what the collected tests declared."""
    if "POLICYC_PREPARE" in os.environ:
        from policyc.diagnostics.model import PolicyError
        from policyc.emit.clang import ClangFailed, ToolMissing
        from policyc.emit.limits import PolicyTooLarge
        from tests.kernel.policies import prepare

        try:
            prepare(Path(os.environ["POLICYC_PREPARE"]))
        except (PolicyError, PolicyTooLarge, ClangFailed, ToolMissing) as error:
            pytest.exit(f"a declared program cannot be compiled: {error}", returncode=3)


# ---- the machine ----

_PR_SET_THP_DISABLE = 41
_SWAP_SIZE = 128 << 20


@pytest.fixture(scope="session")
def lane() -> str:
    """stock or patched."""
    return os.environ["POLICYC_LANE"]


@pytest.fixture(scope="session", autouse=True)
def _baseline() -> None:
    """What every test can count on: THP always, the PMD size only, khugepaged asleep, no NUMA."""
    # The test runner's own faults would be counted with those of the workloads.
    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    settings = Settings()
    thp, numa = Thp(settings), Numa(settings)
    thp.mode("always")
    thp.shmem("never")
    for order in thp.orders():
        thp.size(order, "inherit" if order == PMD_ORDER else "never")
    thp.khugepaged(scan_sleep_millisecs=3_600_000)
    numa.switch(0)
    (guest_cgroups.ROOT / "cgroup.subtree_control").write_text("+memory\n", "ascii")


@pytest.fixture(scope="session", params=modules.offered_signatures())
def signature(request: pytest.FixtureRequest) -> str:
    """The signature of thp_get_order that the kernel offers, or its module: v7, v9 or v12."""
    return request.param


@pytest.fixture(autouse=True)
def _hooks(request: pytest.FixtureRequest, lane: str) -> None:
    """In the stock lane: the module of the test's signature, or any."""
    if lane == "stock":
        wanted = modules.hooks_loaded() or "v12"
        if "signature" in request.fixturenames:
            wanted = request.getfixturevalue("signature")
        modules.use_signature(wanted)


@pytest.fixture(autouse=True)
def _kernel_log() -> Generator[None]:
    """A test fails when the kernel complains meanwhile."""
    log = KernelLog()
    yield
    found = complaints(log.read())
    log.close()
    assert not found, "the kernel complained:\n" + "\n".join(found)


@pytest.fixture
def settings() -> Generator[Settings]:
    """Writes settings, which get their values back."""
    found = Settings()
    yield found
    found.restore()


@pytest.fixture
def thp(settings: Settings) -> Thp:
    """Transparent huge pages."""
    return Thp(settings)


@pytest.fixture
def numa(settings: Settings) -> Numa:
    """NUMA balancing."""
    return Numa(settings)


@pytest.fixture
def cgroups() -> Generator[Cgroups]:
    """Makes cgroups, which are removed with what runs in them."""
    found = Cgroups()
    yield found
    found.remove()


@pytest.fixture
def swapping() -> Generator[None]:
    """128 MiB of swap in compressed memory."""
    swap.swap_on(_SWAP_SIZE)
    yield
    swap.swap_off()
