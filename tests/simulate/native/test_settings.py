"""The settings of a workload's machine beside those of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyc.simulate.workload.runner import settings
from policyc.simulate.workload.runner.settings import Applied, differences, wanted
from policyc.simulate.workload.specification import (
    GIB,
    MILLISECOND,
    Khugepaged,
    Machine,
    Node,
    NumaBalancing,
    Thp,
)

ONE = (Node(memory=GIB, cpus=1),)


def values(machine: Machine) -> dict[str, str]:
    return {f"{path.parent.name}/{path.name}": value for path, value in wanted(machine)}


def test_sizes_that_are_not_named_are_never_and_the_pmd_size_inherits() -> None:
    found = values(Machine(nodes=ONE, thp=Thp(enabled="always", sizes={4: "madvise"})))
    assert found["transparent_hugepage/enabled"] == "always"
    assert found["hugepages-64kB/enabled"] == "madvise"
    assert found["hugepages-128kB/enabled"] == "never"
    assert found["hugepages-2048kB/enabled"] == "inherit"
    assert "hugepages-8kB/enabled" not in found


def test_units_are_those_of_the_kernel() -> None:
    machine = Machine(
        nodes=ONE * 2,
        khugepaged=Khugepaged(scan_sleep=250 * MILLISECOND, max_ptes_none=64),
        numa=NumaBalancing(balancing=2, scan_size=64 << 20, hot_threshold=500 * MILLISECOND),
    )
    found = values(machine)
    assert found["khugepaged/scan_sleep_millisecs"] == "250"
    assert found["khugepaged/max_ptes_none"] == "64"
    assert found["kernel/numa_balancing"] == "2"
    assert found["numa_balancing/scan_size_mb"] == "64"
    assert found["numa_balancing/hot_threshold_ms"] == "500"
    assert found["kernel/numa_balancing_promote_rate_limit_MBps"] == "65536"


def test_a_khugepaged_that_is_stopped_sleeps() -> None:
    found = values(Machine(nodes=ONE, khugepaged=Khugepaged(pages_to_scan=0)))
    assert "khugepaged/pages_to_scan" not in found  # sysfs refuses 0
    assert int(found["khugepaged/scan_sleep_millisecs"]) > 10**9


def test_one_node_has_no_settings_of_numa() -> None:
    assert not any("numa" in name for name in values(Machine(nodes=ONE)))


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files in the place of those of THP, all as `Machine(nodes=ONE)` wants them."""
    monkeypatch.setattr(settings, "_THP", tmp_path)
    monkeypatch.setattr(settings, "_KHUGEPAGED", tmp_path / "khugepaged")
    for path, value in wanted(Machine(nodes=ONE)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"other [{value}] never\n" if path.name == "enabled" else f"{value}\n")
    return tmp_path


def test_what_is_as_wanted_is_no_difference(sysfs: Path) -> None:
    assert differences(Machine(nodes=ONE)) == []


def test_a_difference_says_what_is_there_and_what_is_wanted(sysfs: Path) -> None:
    (found,) = differences(Machine(nodes=ONE, thp=Thp(enabled="always")))
    assert str(found) == f"{sysfs}/enabled is 'madvise'; the workload has 'always'"


def test_a_setting_that_the_kernel_lacks_matters_unless_it_is_off(sysfs: Path) -> None:
    (sysfs / "shrink_underused").unlink()
    (sysfs / "hugepages-64kB/enabled").unlink()
    (found,) = differences(Machine(nodes=ONE))
    assert "shrink_underused is not on this kernel" in str(found)


def test_settings_are_set_and_put_back_even_after_an_error(sysfs: Path) -> None:
    machine = Machine(nodes=ONE, thp=Thp(enabled="always"), khugepaged=Khugepaged(max_ptes_none=7))
    seen: list[str] = []

    def fail() -> None:
        with Applied(machine) as applied:
            assert applied.left == []
            seen.append((sysfs / "enabled").read_text())
            seen.append((sysfs / "khugepaged/max_ptes_none").read_text())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert seen == ["always\n", "7\n"]
    assert (sysfs / "enabled").read_text() == "madvise\n"
    assert (sysfs / "khugepaged/max_ptes_none").read_text() == "511\n"
