"""`--set KEY=VALUE`: where it goes, and what it says about keys that are not there."""

from __future__ import annotations

from typing import Any

import pytest

from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.reader import examine_workload, parse_workload

TEXT = """
[values]
size = "8G"

[machine]
[[machine.nodes]]
memory = "64G"
cpus = 8

[cgroups."/system.slice/docker.service"]
memory_max = "4G"

[[processes]]
name = "java"
cgroup = "/kubepods/java"
[[processes.vmas]]
name = "heap"
size = "$size"
[[processes.vmas]]
name = "meta"
size = "64M"
[[processes.phases]]
pattern = "uniform"
vma = "heap"
touches = 10
[[processes.phases]]
pattern = "uniform"
vma = "meta"
touches = 10

[[processes]]
name = "0"
"""


def changed(*overrides: str) -> spec.Workload:
    return parse_workload(TEXT.encode(), "example.toml", overrides)


def cgroup(found: spec.Workload, path: str) -> spec.Cgroup:
    return next(each for each in found.cgroups if each.path == path)


@pytest.mark.parametrize(
    ("override", "value", "read"),
    [
        ("seed=5", 5, lambda w: w.seed),
        ("name=other", "other", lambda w: w.name),
        ("description=a = b", "a = b", lambda w: w.description),
        ("duration=2min", 120 * 10**9, lambda w: w.duration),
        ("machine.khugepaged.max_ptes_none=470", 470, lambda w: w.machine.khugepaged.max_ptes_none),
        ("machine.swap=4G", 4 << 30, lambda w: w.machine.swap),
        ("machine.swap=4096", 4096, lambda w: w.machine.swap),
        ("machine.fragmentation=0.25", 0.25, lambda w: w.machine.fragmentation),
        ("machine.fragmentation=25%", 0.25, lambda w: w.machine.fragmentation),
        ("machine.thp.use_zero_page=off", False, lambda w: w.machine.thp.use_zero_page),
        ("machine.thp.enabled=always", "always", lambda w: w.machine.thp.enabled),
        ("machine.thp.sizes.64K=inherit", {4: "inherit"}, lambda w: w.machine.thp.sizes),
        ("machine.nodes.0.memory=32G", 32 << 30, lambda w: w.machine.nodes[0].memory),
        ("values.size=16G", 16 << 30, lambda w: w.processes[0].vmas[0].size),
        ("size=16G", 16 << 30, lambda w: w.processes[0].vmas[0].size),
        ("processes.java.vmas.meta.size=1M", 1 << 20, lambda w: w.processes[0].vmas[1].size),
        ("processes.java.vmas.1.size=1M", 1 << 20, lambda w: w.processes[0].vmas[1].size),
        ("processes.java.phases.1.rate=1M/s", 1e6, lambda w: w.processes[0].phases[1].rate),
        ("processes.java.threads=4", 4, lambda w: w.processes[0].phases[1].threads),
        # A name that is a number is found by name; a number that is no name by place.
        ("processes.0.count=7", 7, lambda w: w.processes[1].count),
        ("processes.1.count=7", 7, lambda w: w.processes[1].count),
        # Texts stay texts, whatever they look like.
        ("processes.java.comm=123", "123", lambda w: w.processes[0].comm),
        (
            "cgroups./system.slice/docker.service.memory_max=1G",
            1 << 30,
            lambda w: cgroup(w, "/system.slice/docker.service").memory_max,
        ),
        (
            "cgroups./system.slice/docker.service.memory_max=max",
            None,
            lambda w: cgroup(w, "/system.slice/docker.service").memory_max,
        ),
        # Not declared, but that of a process, and above that of a process.
        (
            "cgroups./kubepods/java.memory_max=4G",
            4 << 30,
            lambda w: cgroup(w, "/kubepods/java").memory_max,
        ),
        ("cgroups./kubepods.memory_high=4G", 4 << 30, lambda w: cgroup(w, "/kubepods").memory_high),
        ("at=5s attach; 9s detach", [5, 9], lambda w: [a.at // 10**9 for a in w.actions]),
    ],
)
def test_where_a_value_goes(override: str, value: object, read: Any) -> None:
    assert read(changed(override)) == value
    # ... and nowhere else: the rest is as it was.
    assert read(changed()) != value or override.startswith(("processes.0", "cgroups"))


def test_the_last_one_counts() -> None:
    assert changed("seed=5", "seed=6").seed == 6


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("machine.khugepagd.max_ptes_none=1", "there is no 'khugepagd' in machine; did you mean"),
        ("machine.khugepaged.max_pte_none=1", "did you mean 'max_ptes_none'?"),
        ("sed=5", "there is no 'sed'; did you mean 'seed'?"),
        ("siez=5", "there is no 'siez'; did you mean 'size'?"),
        ("values.siez=5", "there is no 'siez' in values; did you mean 'size'?"),
        ("processes.jva.count=5", "there is no 'jva' in processes; did you mean 'java'?"),
        ("processes.9.count=5", "there is no '9' in processes"),
        ("processes.²=5", "there is no '²' in processes"),
        ("cgroups./kubepod.memory_max=1G", "did you mean '/kubepods'?"),
        ("cgroups./kubepods.memory=1G", "there is no 'memory' in cgroups./kubepods"),
        ("machine=5", "this is a table; set a key of it"),
        ("processes=5", "this is tables; set a key of it"),
        ("processes.java=5", "this is a table; set a key of it"),
        ("machine.swap.size=5", "machine.swap has no keys"),
        ("machine.swap", "expected KEY=VALUE"),
        ("=5", "expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("machine.swap=5Q", "machine.swap: set on the command line: found '5Q', expected a size"),
        ("seed=five", "seed: set on the command line: found 'five', expected a whole number"),
        ("machine.khugepaged.max_ptes_none=512", "set on the command line: found 512"),
        ("machine.thp.sizes.48K=always", "expected a power of two"),
        ("at=soon", "set on the command line: an action begins with its time"),
    ],
)
def test_what_cannot_be_set(override: str, message: str) -> None:
    examined = examine_workload(TEXT.encode(), "example.toml", [override])
    assert examined.workload is None
    errors = [finding for finding in examined.findings if not finding.warning]
    assert len(errors) == 1
    assert message in str(errors[0])
    assert errors[0].line is None


def test_a_file_that_has_something_else_in_the_way() -> None:
    text = "machine = 3\nprocesses = 4\nvalues = 5\ncgroups = 6\n"
    for override in (
        "machine.swap=1G",
        "processes.0.count=1",
        "values.x=1",
        "cgroups./a.swap_max=0",
    ):
        examined = examine_workload(text.encode(), "example.toml", [override])
        messages = " ".join(map(str, examined.findings))
        assert "machine: found 3, expected a table" in messages
        assert "processes: found 4, expected tables" in messages
