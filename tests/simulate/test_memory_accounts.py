"""Whatever happens to memory, areas, nodes and cgroups tell the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policyc.simulate.engine import Engine
from policyc.simulate.model import folios
from policyc.simulate.model.hook import Hook
from policyc.simulate.workload.specification import (
    KIB,
    MIB,
    SECOND,
    Cgroup,
    Khugepaged,
    Machine,
    Node,
    Pattern,
    Phase,
    Process,
    Thp,
    Vma,
    Workload,
)

_TOUCHES = st.sampled_from([Pattern.SEQUENTIAL, Pattern.STRIDE, Pattern.UNIFORM, Pattern.ZIPF])


@st.composite
def _phases(draw: st.DrawFn) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for _ in range(draw(st.integers(1, 4))):
        offset = draw(st.integers(0, 6)) * MIB // 2
        length = draw(st.integers(1, 8)) * MIB // 2
        if draw(st.integers(0, 3)) == 0:
            pattern = draw(st.sampled_from([Pattern.FREE, Pattern.COLLAPSE, Pattern.FORK]))
            phases.append(
                Phase(
                    pattern=pattern,
                    vma="heap",
                    offset=offset,
                    length=length,
                    duration=SECOND if pattern is Pattern.FORK else None,
                )
            )
            continue
        phases.append(
            Phase(
                pattern=draw(_TOUCHES),
                vma="heap",
                offset=offset,
                length=length,
                stride=draw(st.sampled_from([4, 20, 64])) * KIB,
                touches=draw(st.integers(1, 4000)),
                rate=2000.0,
                write=draw(st.sampled_from([0.0, 0.5, 1.0])),
                zero=draw(st.booleans()),
            )
        )
    return tuple(phases)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Little memory, small limits, and swap or none: reclaim and the OOM killer come often."""
    limit = st.one_of(st.none(), st.integers(1, 12).map(lambda n: n * MIB))
    tiers = draw(st.booleans())
    nodes = (Node(memory=24 * MIB, cpus=2), Node(memory=16 * MIB, cpus=0, tier=1))
    return Workload(
        name="random",
        seed=draw(st.integers(0, 100)),
        duration=5 * SECOND,
        machine=Machine(
            nodes=nodes if tiers else nodes[:1],
            swap=draw(st.sampled_from([0, 2, 64])) * MIB,
            fragmentation=draw(st.sampled_from([0.0, 0.5])),
            thp=Thp(
                enabled=draw(st.sampled_from(["always", "always", "madvise", "never"])),
                defrag=draw(st.sampled_from(["always", "madvise", "never"])),
                sizes=draw(st.sampled_from([{}, {4: "always"}, {2: "always", 6: "inherit"}])),
            ),
            khugepaged=Khugepaged(
                scan_sleep=SECOND,
                alloc_sleep=SECOND,
                max_ptes_none=draw(st.sampled_from([0, 200, 409, 511])),
                mthp=draw(st.booleans()),
            ),
        ),
        cgroups=(
            Cgroup(path="/a", memory_max=draw(limit), memory_high=draw(limit)),
            Cgroup(
                path="/a/b",
                memory_max=draw(limit),
                swap_max=draw(st.sampled_from([None, 0, MIB])),
            ),
        ),
        processes=tuple(
            Process(
                name=f"p{number}",
                cgroup=draw(st.sampled_from(["/a", "/a/b", "/c"])),
                count=draw(st.integers(1, 2)),
                repeat=0,
                vmas=(
                    Vma(
                        name="heap",
                        size=8 * MIB,
                        misalign=draw(st.sampled_from([0, 4 * KIB, 1020 * KIB])),
                        advice=draw(st.sampled_from(["none", "hugepage", "nohugepage"])),
                    ),
                ),
                phases=draw(_phases()),
            )
            for number in range(draw(st.integers(1, 3)))
        ),
    )


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(workloads())
def test_the_accounts_agree_at_every_moment(workload: Workload) -> None:
    engine = Engine.of(workload, Hook())
    host = engine.host
    for step in range(1, 41):
        engine.step(step * SECOND // 8)
        folios.check(host)
        for cgroup in host.cgroups.values():
            assert cgroup.usage <= cgroup.max
            assert 0 <= cgroup.swap <= max(cgroup.swap_max, 0)
            assert min(cgroup.counters.values(), default=0) >= 0
        assert host.swap_used <= host.machine.swap // host.page_size
        assert all(node.free.free_pages >= 0 for node in host.nodes)
