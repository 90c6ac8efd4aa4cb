"""Workloads as TOML: what is read, and everything that can be wrong with a file."""

from __future__ import annotations

import dataclasses

import pytest

from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.reader import (
    WorkloadError,
    examine_workload,
    parse_workload,
    read_workload,
)

MACHINE = """[machine]
[[machine.nodes]]
memory = "16G"
cpus = 8
"""

SMALL = f"""{MACHINE}
[[processes]]
name = "p"
[[processes.vmas]]
name = "heap"
size = "1G"
[[processes.phases]]
pattern = "sequential"
passes = 1
"""


def parsed(text: str, *overrides: str) -> spec.Workload:
    return parse_workload(text.encode(), "dir/example.toml", overrides)


def complaints(text: str | bytes, *overrides: str) -> list[tuple[int | None, str]]:
    """Lines and texts of all findings."""
    data = text if isinstance(text, bytes) else text.encode()
    examined = examine_workload(data, "example.toml", overrides)
    return [(finding.line, str(finding)) for finding in examined.findings]


def phase(keys: str, vma: str = "") -> str:
    return f"""{MACHINE}
[[processes]]
name = "p"
[[processes.vmas]]
name = "heap"
size = "1G"
{vma}
[[processes.phases]]
{keys}
"""


# -- what is read


def test_everything_that_a_workload_can_say() -> None:
    text = """
name = "all"
description = "every key"
seed = 7
duration = "90s"
tick = "10ms"
at = ["60s param ceiling 20%", "30s set add java /kubepods/x", "30s set remove java /y",
      "0 attach", "90s detach"]

[machine]
page_size = "4K"
pmd_order = 9
swap = "4G"
fragmentation = "25%"
remote_latency = 2.5
tlb_entries = 1536
cache = "16M"

[[machine.nodes]]
memory = "64G"
cpus = 16
latency = "95ns"
bandwidth = "150G/s"

[[machine.nodes]]
memory = "256G"
tier = 1
latency = "250ns"
bandwidth = 24_000_000_000

[machine.thp]
enabled = "always"
shmem_enabled = "within_size"
defrag = "defer+madvise"
use_zero_page = false
shrink_underused = false

[machine.thp.sizes]
2M = "inherit"
64K = "madvise"
16K = "always"

[machine.thp.shmem_sizes]
8K = "within_size"

[machine.khugepaged]
pages_to_scan = 8192
scan_sleep = "1s"
alloc_sleep = "2s"
max_ptes_none = 409
max_ptes_swap = 32
max_ptes_shared = 128
mthp = true

[machine.numa]
balancing = 2
scan_delay = "2s"
scan_period_min = "500ms"
scan_period_max = "30s"
scan_size = "512M"
hot_threshold = "200ms"
promote_rate_limit = "4G"
hierarchy = "propagate"
demotion = false

[machine.kmmscand]
scan_enabled = true
scan_sleep = "32ms"
scan_period = "1s"
mms_to_scan = 100
target_node = 0
scan_size = "2G"
migrate_sleep = "10ms"
scan_delay = "3s"

[cgroups."/a/b"]
memory_max = "8G"
memory_high = "6G"
swap_max = 0

[cgroups."/c"]
memory_max = "max"

[[processes]]
name = "server"
cgroup = "/a/b/c"
comm = "srv"
uid = 1000
count = 3
node = 0
start = "5s"
repeat = 2
thp_disable = "except-advised"
scan_scale = 4
spread = true
oom_score_adj = -500

[[processes.vmas]]
name = "heap"
size = "2G"
advice = "hugepage"
misalign = "64K"
node = 1

[[processes.vmas]]
name = "shared"
size = "1G"
kind = "shmem"
advice = "nohugepage"
share = "buffers"

[[processes.phases]]
pattern = "sequential"
vma = "heap"
offset = "4K"
length = "1G"
passes = 1.5
threads = 2
rate = "1.5M/s"
delay = "1us"
work = "50ns"
write = "40%"
zero = true

[[processes.phases]]
pattern = "stride"
vma = "heap"
stride = "50K"
touches = "2M"

[[processes.phases]]
pattern = "uniform"
vma = "shared"
touches = 1_000
rate = 100

[[processes.phases]]
pattern = "zipf"
vma = "heap"
exponent = 1.2
duration = "10s"

[[processes.phases]]
pattern = "hotset"
vma = "heap"
hot_size = "5%"
hot_share = 0.8
hot_moves_every = "2s"
duration = "10s"

[[processes.phases]]
pattern = "free"
vma = "heap"
length = "1G"

[[processes.phases]]
pattern = "collapse"
vma = "heap"

[[processes.phases]]
pattern = "fork"
duration = "5s"
children = 2

[[processes.phases]]
pattern = "sleep"
duration = "500ms"

[[processes.phases]]
pattern = "exit"
"""
    second, gib, mib = 10**9, 1 << 30, 1 << 20
    kinds = spec.ActionKind
    expected = spec.Workload(
        name="all",
        description="every key",
        seed=7,
        duration=90 * second,
        tick=10_000_000,
        machine=spec.Machine(
            nodes=(
                spec.Node(memory=64 * gib, cpus=16, latency=95, bandwidth=150 * 10**9),
                spec.Node(memory=256 * gib, tier=1, latency=250, bandwidth=24 * 10**9),
            ),
            swap=4 * gib,
            fragmentation=0.25,
            remote_latency=2.5,
            tlb_entries=1536,
            cache=16 * mib,
            thp=spec.Thp(
                enabled="always",
                shmem_enabled="within_size",
                defrag="defer+madvise",
                use_zero_page=False,
                shrink_underused=False,
                sizes={2: "always", 4: "madvise", 9: "inherit"},
                shmem_sizes={1: "within_size"},
            ),
            khugepaged=spec.Khugepaged(
                pages_to_scan=8192,
                scan_sleep=second,
                alloc_sleep=2 * second,
                max_ptes_none=409,
                max_ptes_swap=32,
                max_ptes_shared=128,
                mthp=True,
            ),
            numa=spec.NumaBalancing(
                balancing=2,
                scan_delay=2 * second,
                scan_period_min=second // 2,
                scan_period_max=30 * second,
                scan_size=512 * mib,
                hot_threshold=second // 5,
                promote_rate_limit=4 * gib,
                hierarchy="propagate",
                demotion=False,
            ),
            kmmscand=spec.Kmmscand(
                scan_enabled=True,
                scan_sleep=32_000_000,
                scan_period=second,
                mms_to_scan=100,
                target_node=0,
                scan_size=2 * gib,
                migrate_sleep=10_000_000,
                scan_delay=3 * second,
            ),
        ),
        cgroups=(
            spec.Cgroup(path="/a"),
            spec.Cgroup(path="/a/b", memory_max=8 * gib, memory_high=6 * gib, swap_max=0),
            spec.Cgroup(path="/c"),
            spec.Cgroup(path="/a/b/c"),
        ),
        processes=(
            spec.Process(
                name="server",
                cgroup="/a/b/c",
                comm="srv",
                uid=1000,
                count=3,
                start=5 * second,
                repeat=2,
                thp_disable="except-advised",
                scan_scale=4,
                spread=True,
                oom_score_adj=-500,
                vmas=(
                    spec.Vma(name="heap", size=2 * gib, advice="hugepage", misalign=65536, node=1),
                    spec.Vma(
                        name="shared",
                        size=gib,
                        kind="shmem",
                        advice="nohugepage",
                        share="buffers",
                    ),
                ),
                phases=(
                    spec.Phase(
                        pattern=spec.Pattern.SEQUENTIAL,
                        vma="heap",
                        offset=4096,
                        length=gib,
                        passes=1.5,
                        threads=2,
                        rate=1.5e6,
                        delay=1000,
                        work=50,
                        write=0.4,
                        zero=True,
                    ),
                    spec.Phase(
                        pattern=spec.Pattern.STRIDE, vma="heap", stride=51200, touches=2_000_000
                    ),
                    spec.Phase(
                        pattern=spec.Pattern.UNIFORM, vma="shared", touches=1000, rate=100.0
                    ),
                    spec.Phase(
                        pattern=spec.Pattern.ZIPF, vma="heap", exponent=1.2, duration=10 * second
                    ),
                    spec.Phase(
                        pattern=spec.Pattern.HOTSET,
                        vma="heap",
                        hot_size=0.05,
                        hot_share=0.8,
                        hot_moves_every=2 * second,
                        duration=10 * second,
                    ),
                    spec.Phase(pattern=spec.Pattern.FREE, vma="heap", length=gib),
                    spec.Phase(pattern=spec.Pattern.COLLAPSE, vma="heap"),
                    spec.Phase(pattern=spec.Pattern.FORK, duration=5 * second, children=2),
                    spec.Phase(pattern=spec.Pattern.SLEEP, duration=second // 2),
                    spec.Phase(pattern=spec.Pattern.EXIT),
                ),
            ),
        ),
        actions=(
            spec.Action(at=0, kind=kinds.ATTACH),
            spec.Action(at=30 * second, kind=kinds.SET_ADD, name="java", value="/kubepods/x"),
            spec.Action(at=30 * second, kind=kinds.SET_REMOVE, name="java", value="/y"),
            spec.Action(at=60 * second, kind=kinds.PARAM, name="ceiling", value="20%"),
            spec.Action(at=90 * second, kind=kinds.DETACH),
        ),
    )
    assert parsed(text) == expected
    # Nothing may be added to the specification and forgotten here.
    for made in (
        *(expected.machine.thp, expected.machine.khugepaged, expected.machine.numa),
        *(expected.machine.kmmscand, expected.processes[0]),
    ):
        changed = {
            field.name
            for field in dataclasses.fields(made)
            if getattr(made, field.name) != field.default
        }
        assert changed >= {field.name for field in dataclasses.fields(made)} - {
            "node",
            "target_node",
        }


def test_what_is_left_out_is_the_default_of_the_specification() -> None:
    found = parsed(SMALL)
    assert found == spec.Workload(
        name="example",
        machine=spec.Machine(nodes=(spec.Node(memory=16 << 30, cpus=8),)),
        processes=(
            spec.Process(
                name="p",
                vmas=(spec.Vma(name="heap", size=1 << 30),),
                phases=(spec.Phase(pattern=spec.Pattern.SEQUENTIAL, vma="heap", passes=1.0),),
            ),
        ),
    )


@pytest.mark.parametrize(("size", "order"), [("4K", 9), ("16K", 11), ("64K", 13)])
def test_the_pmd_order_follows_from_the_page_size(size: str, order: int) -> None:
    # A table of page_size bytes has page_size / 8 entries.
    text = SMALL.replace("[machine]", f'[machine]\npage_size = "{size}"', 1)
    assert parsed(text).machine.pmd_order == order


def test_orders_are_counted_in_base_pages() -> None:
    text = SMALL + '[machine.thp.sizes]\n1M = "always"\n'
    assert parsed(text).machine.thp.sizes == {8: "always"}
    large = text.replace("[machine]", '[machine]\npage_size = "64K"', 1)
    assert parsed(large).machine.thp.sizes == {4: "always"}


@pytest.mark.parametrize(
    ("given", "bytes_"), [('"8G"', 8 << 30), ('"64KiB"', 65536), ("4096", 4096), ('"1_000"', 1000)]
)
def test_sizes(given: str, bytes_: int) -> None:
    assert parsed(SMALL.replace('"1G"', given)).processes[0].vmas[0].size == bytes_


@pytest.mark.parametrize(
    ("given", "rate"),
    [('"1M/s"', 1e6), ('"2.5K/s"', 2500.0), ("0.5", 0.5), ("20", 20.0), ('"100"', 100.0)],
)
def test_rates_are_decimal(given: str, rate: float) -> None:
    assert parsed(SMALL + f"rate = {given}\n").processes[0].phases[0].rate == rate


def test_threads_of_a_process_are_those_of_phases_that_do_not_say() -> None:
    text = SMALL.replace('name = "p"', 'name = "p"\nthreads = 8')
    text += '[[processes.phases]]\npattern = "uniform"\ntouches = 1\nthreads = 2\n'
    text += '[[processes.phases]]\npattern = "sleep"\nduration = "1s"\n'
    assert [each.threads for each in parsed(text).processes[0].phases] == [8, 2, 1]


def test_named_values_stand_wherever_a_value_does() -> None:
    text = '[values]\nbig = "2G"\nhow-many = 3\n' + SMALL.replace('"1G"', '"$big"')
    text = text.replace('name = "p"', 'name = "p"\ncount = "$how-many"')
    process = parsed(text).processes[0]
    assert (process.count, process.vmas[0].size) == (3, 2 << 30)


def test_a_byte_order_mark_and_windows_lines_are_no_mistakes() -> None:
    text = ("\N{ZERO WIDTH NO-BREAK SPACE}" + SMALL).replace("\n", "\r\n")
    assert parsed(text) == parsed(SMALL)
    bad = text.replace("passes = 1", "passes = true")
    assert complaints(bad)[0][0] == SMALL.splitlines().index("passes = 1") + 1


def test_files_are_read_by_name(tmp_path) -> None:
    path = tmp_path / "night-job.toml"
    path.write_text(SMALL)
    assert read_workload(path).name == "night-job"
    assert read_workload(str(path), ["seed=9"]).seed == 9
    with pytest.raises(FileNotFoundError):
        read_workload(tmp_path / "absent.toml")


def test_the_error_has_a_line_for_each_mistake() -> None:
    text = SMALL.replace('"16G"', '"16Q"').replace("cpus", "cpu")
    with pytest.raises(WorkloadError) as caught:
        parsed(text)
    lines = str(caught.value).splitlines()
    assert lines == [
        (
            "dir/example.toml:3: machine.nodes[0].memory: found '16Q', expected a size such as "
            '"64K" or "8G", or a number of bytes'
        ),
        (
            "dir/example.toml:4: machine.nodes[0].cpu: there is no such key in [[machine.nodes]]; "
            "did you mean 'cpus'?"
        ),
    ]
    assert len(caught.value.findings) == 2


# -- what is wrong with a value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('size = "1Q"', "found '1Q', expected a size"),
        ("size = -4096", "found -4096, expected a size such as"),
        ("size = 1.5", "found 1.5, expected a size"),
        ("size = 0", "found 0, expected a size such as"),
        ("size = true", "found true, expected a size"),
        ("size = [1]", "found an array, expected a size"),
        ("size = {}", "found a table, expected a size"),
        ("size = 2024-01-01", "found a date or time, expected a size"),
        ('size = "2P"', "1B to 1P"),
        ("size = 99999999999999999999999999999999999999999999", "a number beyond all bounds"),
        ('size = "1G"\nkind = "anno"', "expected anon or shmem; did you mean 'anon'?"),
        ('size = "1G"\nadvise = "none"', "no such key in [[processes.vmas]]; did you mean"),
        ('size = "1G"\nnode = 1', "found 1, expected a node of 0 to 0"),
        ('size = "1G"\nmisalign = "1K"', "expected whole pages of 4K, below 2M"),
        ('size = "1G"\nmisalign = "2M"', "expected whole pages of 4K, below 2M"),
        ('size = "1G"\nshare = "x"', "only shmem can be shared"),
        ('size = "1G"\nname = ""', None),
    ],
)
def test_values_of_a_vma(line: str, message: str | None) -> None:
    text = SMALL.replace('size = "1G"', line)
    if message is None:  # a key that is there twice
        assert "not TOML" in complaints(text)[0][1]
        return
    (found,) = complaints(text)
    assert message in found[1]
    assert found[1].startswith("processes[0].vmas[0]")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('pattern = "sequental"\npasses = 1', "did you mean 'sequential'?"),
        ("passes = 1", "pattern is missing"),
        ('pattern = "uniform"', "this phase has no end: give touches, passes or duration"),
        ('pattern = "uniform"\npasses = 1\ntouches = 3', "choose touches or passes"),
        ('pattern = "uniform"\npasses = 0', "found 0, expected more"),
        ('pattern = "uniform"\ntouches = 0', "1 to 1000000000000000"),
        ('pattern = "uniform"\npasses = nan', "expected a number"),
        ('pattern = "uniform"\npasses = inf', "expected a number"),
        ('pattern = "uniform"\npasses = 1\nrate = 0', "found 0, expected more"),
        ('pattern = "uniform"\npasses = 1\nrate = "5M/min"', 'a rate such as "1M/s"'),
        ('pattern = "uniform"\npasses = 1\nwrite = 1.5', "0% to 100%"),
        ('pattern = "uniform"\npasses = 1\nwrite = "150%"', "0% to 100%"),
        ('pattern = "uniform"\npasses = 1\nwrite = "half"', 'a share such as "20%" or 0.2'),
        ('pattern = "uniform"\nduration = 60', 'a duration such as "200ms"'),
        ('pattern = "uniform"\nduration = "60"', 'a duration such as "200ms"'),
        ('pattern = "uniform"\nduration = "60sec"', 'a duration such as "200ms"'),
        ('pattern = "uniform"\nduration = "400000h"', "1ns to 720h"),
        ('pattern = "uniform"\ntouches = 2.5', "a count such as"),
        ('pattern = "uniform"\ntouches = "1.5"', "a count such as"),
        ('pattern = "uniform"\npasses = 1\nthreads = "4"', "found '4', expected a whole number"),
        ('pattern = "uniform"\npasses = 1\nzero = 1', "found 1, expected true or false"),
        ('pattern = "uniform"\npasses = 1\nstride = 1', "has no stride; this is for stride"),
        ('pattern = "uniform"\npasses = 1\nexponent = 1', "has no exponent; this is for zipf"),
        ('pattern = "stride"\nstride = 0\npasses = 1', "found 0"),
        ('pattern = "hotset"\nhot_size = 0\npasses = 1', "found 0, expected more"),
        ('pattern = "sleep"', "a phase of pattern 'sleep' needs a duration"),
        ('pattern = "fork"\nchildren = 0\nduration = "1s"', "found 0"),
        ('pattern = "sleep"\nduration = "1s"\nvma = "heap"', "'sleep' has no vma"),
        ('pattern = "exit"\nduration = "1s"', "'exit' has no duration"),
        ('pattern = "free"\npasses = 1', "'free' has no passes"),
        ('pattern = "uniform"\npasses = 1\nvma = "heep"', "did you mean 'heap'?"),
        ('pattern = "uniform"\npasses = 1\nvma = "q"', "process 'p' has no VMA 'q'; it has heap"),
        ('pattern = "uniform"\npasses = 1\noffset = "1G"', "but VMA 'heap' has 1G"),
        (
            'pattern = "uniform"\npasses = 1\noffset = "1M"\nlength = "1G"',
            "the range ends at 1025M, but VMA 'heap' has 1G",
        ),
    ],
)
def test_what_is_wrong_with_a_phase(keys: str, message: str) -> None:
    errors = [text for _, text in complaints(phase(keys)) if "never touched" not in text]
    (found,) = errors
    assert message in found
    assert found.startswith("processes[0].phases[0]")


def test_a_range_may_end_where_the_vma_ends() -> None:
    text = phase('pattern = "free"\noffset = "1023M"\nlength = "1M"')
    assert parsed(text).processes[0].phases[0].length == 1 << 20


def test_a_phase_says_which_of_several_vmas() -> None:
    other = '[[processes.vmas]]\nname = "stack"\nsize = "8M"'
    (found, *_) = complaints(phase('pattern = "uniform"\npasses = 1', other))
    assert "say which vma: the process has heap, stack" in found[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('page_size = "8K"', "machine.page_size: found 8192 bytes, expected 4K, 16K or 64K"),
        ("pmd_order = 1", "found 1, expected a whole number, 2 to 20"),
        ("remote_latency = 0.5", "found 0.5, expected a number, 1 to 100"),
        ("fragmentation = 2", "expected a share"),
        ("nodez = 1", "machine.nodez: there is no such key in [machine]; did you mean 'nodes'?"),
        ('[machine.thp]\nenabled = "alway"', "did you mean 'always'?"),
        ('[machine.thp]\nenabled = "inherit"', "expected always, madvise or never"),
        ('[machine.thp.sizes]\n48K = "always"', "expected a power of two from 16K to 2M"),
        ('[machine.thp.sizes]\n8K = "always"', "expected a power of two from 16K to 2M"),
        ('[machine.thp.sizes]\n4M = "always"', "expected a power of two from 16K to 2M"),
        ('[machine.thp.sizes]\nbig = "always"', "found 'big', expected a page size of 16K to 2M"),
        ('[machine.thp.sizes]\n64K = "advise"', "expected always, inherit, madvise or never"),
        ('[machine.thp.sizes]\n64K = "never"\n65536 = "never"', "this size is there twice"),
        ('[machine.thp.shmem_sizes]\n4K = "always"', "expected a power of two from 8K to 2M"),
        ("[machine.khugepaged]\nmax_ptes_none = 512", "expected 0 to 511"),
        ("[machine.numa]\nbalancing = 4", "found 4, expected a whole number, 0 to 3"),
        ('[machine.numa]\nhierarchy = "root"', "expected walk, propagate or leaf"),
        ('[machine.numa]\nscan_period_min = "61s"', "longer than scan_period_max"),
        (
            "[machine.kmmscand]\nscan_enabled = true\ntarget_node = 1",
            "found 1, expected a node of tier 0: [0]",
        ),
    ],
)
def test_what_is_wrong_with_a_machine(line: str, message: str) -> None:
    text = (
        SMALL + line
        if line.startswith("[")
        else SMALL.replace("[machine]", f"[machine]\n{line}", 1)
    )
    (found,) = complaints(text)
    assert message in found[1]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("", "machine: nodes is missing: write [[machine.nodes]]"),
        ('[[machine.nodes]]\nmemory = "1G"', "no node has CPUs"),
        ('[[machine.nodes]]\nmemory = "1G"\ncpus = 1\ntier = 1', "no node is of tier 0"),
        ("[[machine.nodes]]\ncpus = 1", "machine.nodes[0]: memory is missing"),
        ("nodes = []", "machine.nodes: there is none: write [[machine.nodes]]"),
        ("nodes = 3", "machine.nodes: found 3, expected tables: write [[machine.nodes]]"),
        ("nodes = [3]", "machine.nodes[0]: found 3, expected a table"),
        ("nodes = [" + '{memory = "1G", cpus = 1},' * 65 + "]", "found 65 nodes"),
    ],
)
def test_what_is_wrong_with_nodes(nodes: str, message: str) -> None:
    text = SMALL.replace(MACHINE, f"[machine]\n{nodes}\n")
    assert message in complaints(text)[0][1]
    assert len(complaints(text)) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('cgroup = "kubepods"', 'a path such as "/kubepods/java"'),
        ('cgroup = "/a/../b"', 'a path such as "/kubepods/java"'),
        ('cgroup = "/a/"', 'a path such as "/kubepods/java"'),
        ('comm = "sixteen-letters!"', "a name of at most 15 bytes"),
        ("count = 0", "found 0"),
        ("node = 1", "found 1, expected a node of 0 to 0"),
        ("uid = -1", "0 to 4294967295"),
        ("oom_score_adj = -1001", "-1000 to 1000"),
        ("scan_scale = 11", "0 to 10"),
        ('thp_disable = "maybe"', "expected no, yes or except-advised"),
        ("repeat = 0", "all processes repeat until the workload ends: give it a duration"),
        ("phasez = []", "did you mean 'phases'?"),
    ],
)
def test_what_is_wrong_with_a_process(lines: str, message: str) -> None:
    text = SMALL.replace('name = "p"', f'name = "p"\n{lines}')
    (found,) = complaints(text)
    assert message in found[1]
    assert found[1].startswith("processes[0]")


def test_a_process_needs_a_node_with_cpus() -> None:
    text = SMALL.replace("cpus = 8", 'cpus = 8\n[[machine.nodes]]\nmemory = "1G"\ntier = 1')
    text = text.replace('name = "p"', 'name = "p"\nnode = 1')
    (found,) = complaints(text)
    assert found[1] == "processes[0].node: node 1 has no CPUs to run on"


@pytest.mark.parametrize("name", ['""', "3", '"a\\nb"', '" a"', f'"{"x" * 201}"'])
def test_names(name: str) -> None:
    found = complaints(SMALL.replace('name = "p"', f"name = {name}"))
    if name == '""':
        assert found == []
    else:
        assert "expected a name in quotes" in found[0][1]


def test_what_repeats_ends_with_the_others() -> None:
    helper = SMALL[SMALL.index("[[processes]]") :].replace('"p"', '"helper"\nrepeat = 0')
    assert complaints(SMALL + helper) == []


def test_names_are_there_once() -> None:
    again = SMALL[SMALL.index("[[processes]]") :]
    (found,) = complaints(SMALL + again)
    assert found[1] == "processes[1].name: there are two processes with the name 'p'"
    vma = '[[processes.vmas]]\nname = "heap"\nsize = "8M"'
    (found,) = complaints(phase('pattern = "sequential"\npasses = 1\nvma = "heap"', vma))
    assert found[1] == "processes[0].vmas[1].name: there are two vmas with the name 'heap'"


def test_shared_memory_has_one_size() -> None:
    def process(name: str, size: str) -> str:
        return (
            f'[[processes]]\nname = "{name}"\n[[processes.vmas]]\nname = "b"\nkind = "shmem"\n'
            f'share = "buffers"\nsize = "{size}"\n'
            '[[processes.phases]]\npattern = "uniform"\ntouches = 1\n'
        )

    assert complaints(MACHINE + process("a", "1G") + process("b", "1G")) == []
    (found,) = complaints(MACHINE + process("a", "1G") + process("b", "2G"))
    assert "processes[1].vmas[0].share: share 'buffers' has 1G" in found[1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[cgroups."kubepods"]', "the name of the table: found 'kubepods'"),
        ('[cgroups."/"]\nmemory_max = "1G"', "the root cgroup has no limits"),
        ('[cgroups."/a"]\nmemory_maxx = "1G"', "did you mean 'memory_max'?"),
        ('[cgroups."/a"]\nmemory_max = "none"', 'expected a size such as "8G", or "max"'),
        ('[cgroups]\n"/a" = 3', 'cgroups."/a": found 3, expected a table'),
    ],
)
def test_what_is_wrong_with_a_cgroup(table: str, message: str) -> None:
    (found,) = complaints(SMALL + table)
    assert message in found[1]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ('"detach"', "an action begins with its time"),
        ('"30 detach"', "an action begins with its time"),
        ('"30s detatch"', "did you mean 'detach'?"),
        ('"30s set add java"', "expected '30s set add NAME MEMBER'"),
        ('"30s param ceiling"', "expected '30s param NAME VALUE'"),
        ('"30s detach now"', "expected '30s detach'"),
        ('"30s"', "expected one of"),
        ("3", "found 3, expected a text such as '60s detach'"),
    ],
)
def test_what_is_wrong_with_an_action(action: str, message: str) -> None:
    (found,) = complaints(f'at = ["0 attach", {action}]\n{SMALL}')
    assert message in found[1]
    assert (found[0], found[1][:5]) == (1, "at[1]")


def test_a_value_that_nobody_knows_or_uses() -> None:
    text = '[values]\nsize = "1G"\nspare = 3\n' + SMALL.replace('"1G"', '"$siez"')
    assert [message for _, message in complaints(text)] == [
        "values.size: nothing uses this value",
        "values.spare: nothing uses this value",
        "processes[0].vmas[0].size: there is no 'siez' in [values]; did you mean 'size'?",
    ]
    for line in ("seed = 3", "a = []", '"1st" = 3', '"a b" = 3'):
        found = complaints(f"[values]\n{line}\n{SMALL}")
        assert any(
            message.startswith("values") and "nothing" not in message for _, message in found
        )


def test_a_wrong_named_value_says_where_it_is_from() -> None:
    text = '[values]\nhuge = "8Q"\n' + SMALL.replace('"1G"', '"$huge"')
    (found,) = complaints(text)
    assert found[1].endswith("or a number of bytes (from '$huge')")


def test_totals_have_bounds() -> None:
    many = SMALL.replace('name = "p"', 'name = "p"\ncount = 9000')
    (found,) = complaints(many)
    assert "the VMAs have 9000G together, expected at most 8T" in found[1]
    crowd = SMALL.replace('name = "p"', 'name = "p"\ncount = 60_000').replace('"1G"', '"4K"')
    crowd += (
        SMALL[SMALL.index("[[processes]]") :]
        .replace('name = "p"', 'name = "q"\ncount = 60_000')
        .replace('"1G"', '"4K"')
    )
    (found,) = complaints(crowd)
    assert "there are 120,000 processes, expected at most 100,000" in found[1]


# -- what is only odd


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('pattern = "sequential"\npasses = 1', 'pattern = "sleep"\nduration = "1s"'),
            "processes[0].vmas[0]: VMA 'heap' is never touched",
        ),
        (
            ('[[processes.phases]]\npattern = "sequential"\npasses = 1', ""),
            "processes[0]: process 'p' does nothing: it has no phases",
        ),
        (
            (
                "passes = 1",
                (
                    'passes = 1\n[[processes.phases]]\npattern = "exit"\n'
                    '[[processes.phases]]\npattern = "sleep"\nduration = "1s"'
                ),
            ),
            "processes[0].phases[2]: the process has ended: this phase is never reached",
        ),
        (
            ('name = "p"', 'name = "p"\ncgroup = "/kubepod/java"\n[cgroups."/kubepods/java"]\n'),
            None,
        ),
        (
            ("[machine]", 'at = ["9s detach"]\nduration = "5s"\n[machine]'),
            "at: detach is after the end of the workload",
        ),
        (
            ("[machine]", 'duration = "5s"\n[machine]', 'name = "p"', 'name = "p"\nstart = "5s"'),
            "processes[0].start: it starts when the workload has ended",
        ),
        (
            ('pattern = "sequential"', 'pattern = "stride"\nstride = "2G"'),
            "processes[0].phases[0].stride: the stride 2G is larger than VMA 'heap'",
        ),
    ],
)
def test_warnings_do_not_stop_anybody(change: tuple[str, ...], message: str | None) -> None:
    text = SMALL
    for old, new in zip(change[::2], change[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    if message is None:
        # The limits stand behind the process in the file, which ends its tables.
        text = text.replace('[cgroups."/kubepods/java"]\n', "")
        text += '[cgroups."/kubepods/java"]\nmemory_max = "1G"\n'
        message = "nothing of /kubepod/java is declared; did you mean '/kubepods/java'?"
    examined = examine_workload(text.encode(), "example.toml")
    assert examined.workload is not None
    (finding,) = examined.findings
    assert finding.warning
    assert message in str(finding)
    assert finding.line is not None


def test_memory_high_above_memory_max_is_odd() -> None:
    text = SMALL + '[cgroups."/a"]\nmemory_max = "1G"\nmemory_high = "2G"\n'
    (found,) = complaints(text)
    assert found == (
        text.splitlines().index('memory_high = "2G"') + 1,
        'cgroups."/a".memory_high: memory_high 2G is above memory_max 1G: no effect',
    )


def test_mistakes_do_not_hide_each_other() -> None:
    text = """
[machine]
[[machine.nodes]]
memory = "16G"
cpus = 8

[[processes]]
name = "first"
[[processes.vmas]]
name = "heap"
[[processes.phases]]
pattern = "uniform"
vma = "heap"

[[processes]]
name = "second"
node = 7
[[processes.vmas]]
name = "heap"
size = "1G"
[[processes.phases]]
pattern = "uniform"
vma = "heat"
passes = 1
"""
    found = [(line, message.partition(":")[0]) for line, message in complaints(text)]
    assert found == [
        (9, "processes[0].vmas[0]"),
        (11, "processes[0].phases[0]"),
        (17, "processes[1].node"),
        (23, "processes[1].phases[0].vma"),
    ]
