"""A native run beside a simulated one."""

from __future__ import annotations

from policyc.simulate.results import Figures, Run
from policyc.simulate.workload.runner.comparison import Row, compare, table
from policyc.simulate.workload.runner.outcome import run_document


def run_of(**cgroups: Figures) -> dict[str, object]:
    total = cgroups.pop("total")
    paths = {"/" + name: figures for name, figures in cgroups.items()}
    return run_document(Run(name="x", policy=False, total=total, cgroups=paths), 1)


def test_rows_of_zeros_are_left_out_and_counters_that_only_one_has_are_not() -> None:
    kernel = run_of(total=Figures(counters={"pgfault": 10, "oom_kill": 0}, touches=5))
    model = run_of(total=Figures(counters={"pgfault": 11, "oom_kill": 1}, touches=5))
    rows = compare(kernel, model)
    assert [(row.name, row.kernel, row.model) for row in rows] == [
        ("touches", 5, 5),
        ("pgfault", 10, 11),
        ("oom_kill", 0, 1),
    ]


def test_a_counter_that_the_kernel_does_not_have_for_cgroups_is_not_compared() -> None:
    figures = Figures(counters={"thp_fault_alloc": 2, "anon_fault_alloc": 3}, memory_bytes=1 << 30)
    without = Figures(counters={"thp_fault_alloc": 2}, memory_bytes=1 << 30)
    kernel = run_of(total=figures, a=without, b=without)
    model = run_of(total=figures, a=figures, b=figures)
    names = {(row.where, row.name) for row in compare(kernel, model)}
    assert ("total", "anon_fault_alloc") in names
    assert ("/a", "thp_fault_alloc") in names
    assert ("/a", "anon_fault_alloc") not in names


def test_sizes_that_only_the_model_has_are_compared() -> None:
    kernel = run_of(total=Figures())
    model = run_of(total=Figures(huge_bytes_by_order={4: 1 << 20}, faults_by_order={0: 9, 4: 16}))
    assert {(row.name, row.model) for row in compare(kernel, model)} == {
        ("huge 4", 1 << 20),
        ("faults 4", 16),
    }


def test_errors_are_shares_of_the_kernels_figure() -> None:
    row = Row("total", "pgfault", 1000, 970)
    assert row.error == -0.03
    assert row.within(0.03)
    assert not row.within(0.02)
    assert not Row("total", "pgfault", 0, 3).within(0.5)
    assert Row("total", "pgfault", 0, 2).within(0.0)  # a few pages are nothing
    assert not Row("total", "huge 9", 0, 2 << 20).within(0.5)
    # what two CPUs have charged in advance
    assert Row("/a", "memory", (8 << 20) + (512 << 10), 8 << 20).within(0.0)
    assert not Row("/a", "memory", (8 << 20) + (600 << 10), 8 << 20).within(0.0)


def test_the_table_says_what_is_nowhere_else() -> None:
    cells = table([Row("total", "oom_kill", 0, 1), Row("total", "pgfault", 2000, 1900)])
    assert cells == [
        ("total", "oom_kill", "0", "1", "only here"),
        ("total", "pgfault", "2,000", "1,900", "-5.0%"),
    ]
