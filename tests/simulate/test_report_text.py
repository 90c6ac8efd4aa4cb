"""The report as text: what it judges, shows and leaves out."""

from __future__ import annotations

import random

import pytest

from policyc.simulate.report.grid import Place, grid, headed
from policyc.simulate.report.plot import plot
from policyc.simulate.report.table import text_report
from policyc.simulate.report.verdict import verdict
from policyc.simulate.results import Figures
from policyc.simulate.spelling import spell, spell_bytes, spell_count, spell_order, spell_seconds
from policyc.simulate.workload.specification import GIB, MIB
from tests.simulate.made import RULES, column, figures, policy_run, report, run

TRADE = (
    "A trade-off: 26.7% less memory than stock always, but 9.1% slower; "
    "9.1% faster than stock never, but 10.0% more memory."
)


def first_line(ours: Figures, **baselines: Figures) -> str:
    """The judgement on a policy with these figures."""
    others = [column(name, run(name, each)) for name, each in baselines.items()]
    return verdict(report(policy_run(ours), *others))[0]


@pytest.mark.parametrize(
    ("memory", "seconds", "oom", "said"),
    [
        (4.0, 60, 0, "No difference: memory and speed are those of stock never."),
        (4.02, 60.3, 0, "No difference: memory and speed are those of stock never."),
        (3.0, 45, 0, "Good: no stock setting takes less memory or is faster."),
        (4.08, 60, 0, "No gain here: stock never has 2.0% less memory, as fast."),
        (5.0, 60, 0, "Not good here: stock never does better, with 20.0% less memory, as fast."),
        (6.5, 50, 0, "Not good here: stock always does better, with 7.7% less memory, as fast."),
        (
            4.4,
            55,
            0,
            TRADE,
        ),
        (3.0, 45, 1, "Bad: 1 OOM kill, but no OOM kill with always."),
    ],
)
def test_the_judgement(memory: float, seconds: float, oom: int, said: str) -> None:
    assert (
        first_line(
            figures(memory=int(memory * GIB), seconds=seconds, oom_kill=oom),
            never=figures(memory=4 * GIB, seconds=60),
            always=figures(memory=6 * GIB, seconds=50),
        )
        == said
    )


def test_a_baseline_that_kills_is_no_better() -> None:
    line = first_line(
        figures(memory=4 * GIB),
        never=figures(memory=5 * GIB, seconds=62),
        always=figures(memory=2 * GIB, seconds=30, oom_kill=3),
    )
    assert line == (
        "Good: no stock setting takes less memory or is faster. "
        "With stock always the OOM killer strikes."
    )


def test_given_rates_are_told_apart_by_busy_time() -> None:
    """The same touches a second, 40 s of CPU time instead of 50 s for them."""
    from dataclasses import replace

    ours = replace(figures(), cpu_seconds=40.0)
    theirs = replace(figures(), cpu_seconds=45.0, stall_seconds=5.0)
    made = report(policy_run(ours), column("never", run("never", theirs)))
    lines = verdict(made)
    assert lines[0].startswith("Good")
    assert "compared with never: the same memory, 20.0% less time for the same work" in lines[1]


def test_what_is_compared() -> None:
    made = report(
        policy_run(figures(memory=4 * GIB, fault=2e-6, pressure=3.0)),
        column("never", run("never", figures(memory=4 * GIB, fault=2.1e-6, pressure=3.5))),
        column("madvise", run("madvise")),
        column("always", run("always", figures(memory=5 * GIB, fault=4e-6, pressure=9))),
    )
    lines = verdict(made)
    assert len(lines) == 3
    assert lines[1] == (
        "compared with always: 20.0% less memory, as fast, p99 of page faults 2.00 us instead of "
        "4.00 us, pressure 3.0% instead of 9.0%, no OOM kill"
    )
    assert lines[2] == "compared with never: the same memory, as fast, no OOM kill"


def test_memory_and_speed_of_who_was_killed_are_not_compared() -> None:
    made = report(
        policy_run(figures(memory=4 * GIB)),
        column("always", run("always", figures(memory=GIB // 1024, oom_kill=2))),
        column("never", run("never", figures(memory=4 * GIB))),
    )
    assert "compared with always: no OOM kill instead of 2" in verdict(made)


def test_a_policy_that_only_balances_is_compared_with_numa_settings() -> None:
    from dataclasses import replace

    rules = (replace(RULES[0], hook="numa"),)
    names = ("never", "madvise", "always", "numab0", "numab1")
    made = report(
        column("n", run("n", policy=True, rules=rules), baseline=False),
        *(column(name, run(name)) for name in names),
    )
    lines = verdict(made)
    assert lines[0].endswith("those of stock numab0, numab1, always and 2 more.")
    assert lines[1].startswith("compared with numab0: ")
    assert lines[2].startswith("compared with numab1: ")


def test_a_sweep_of_the_workload_is_compared_with_its_like() -> None:
    small, large = (("size", "1G"),), (("size", "2G"),)
    made = report(
        column("fleet", run("fleet", figures(memory=GIB)), baseline=False, setting=small),
        column("fleet", run("fleet", figures(memory=2 * GIB)), baseline=False, setting=large),
        column("never", run("never", figures(memory=2 * GIB)), setting=large),
        column("never", run("never", figures(memory=GIB)), setting=small),
        sweeps=("size",),
    )
    assert verdict(made)[0].startswith("fleet size=1G: No difference")
    assert verdict(made)[-1] == (
        "of the swept values: 50.0% less memory with fleet size=1G than with fleet size=2G"
    )


def test_swept_values_that_do_nothing() -> None:
    made = report(
        column("fleet", run("fleet"), baseline=False, setting=(("ceiling", "5%"),)),
        column("fleet", run("fleet"), baseline=False, setting=(("ceiling", "9%"),)),
        column("never", run("never")),
        sweeps=("ceiling",),
    )
    assert verdict(made)[-1] == "the swept values make no difference to memory and speed"


def test_baselines_alone() -> None:
    made = report(
        column("never", run("never", figures(memory=3 * GIB, seconds=70))),
        column("always", run("always", figures(memory=5 * GIB, seconds=50, oom_kill=2))),
        policy="",
        file="",
    )
    lines = verdict(made)
    assert lines[0].startswith("least memory: never, 3.00 GiB")
    assert lines[1].startswith("fastest: always")
    assert lines[2] == "OOM kills: always (2)"
    assert "rules decided" not in text_report(made, Place())


def test_the_table_has_what_was_asked_for() -> None:
    made = report(
        policy_run(
            figures(memory=4 * GIB, bloat=100 * MIB, huge={9: 2 * GIB, 4: GIB}, thp_split_page=7)
        ),
        column("never", run("never", figures(memory=2 * GIB))),
    )
    text = text_report(made, Place())
    rows = {line[:24].strip(): line[24:].split() for line in text.splitlines() if line[:24].strip()}
    assert rows["memory, average"] == ["4.00", "GiB", "2.00", "GiB"]
    assert rows["never touched"] == ["100", "MiB", "0", "B"]
    assert rows["in huge pages"] == ["75.0%", "0%"]
    assert rows["of 2M"] == ["50.0%", "0%"]
    assert rows["of 64K"] == ["25.0%", "0%"]
    assert rows["splits"] == ["7", "0"]
    for label in (
        "run time",
        "access, median",
        "access, p99",
        "page fault, median",
        "page fault, p99",
        "page faults",
        "collapses",
        "pages moved",
        "hint faults",
        "pressure, some",
        "pressure, full",
        "OOM kills",
    ):
        assert label in rows
    assert "pages from swap" not in rows
    assert "never decided: line 8" in text
    assert "30   30.0%  line 7: deny when a > 1;" in text
    assert "what the rules decided, of 100 requests" in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_lines_fit_into_the_width(width: int) -> None:
    names = ("never", "madvise", "always", "always+shrinker", "numab0", "numab1", "kmmscand")
    made = report(policy_run(), *(column(name, run(name)) for name in names))
    text = text_report(made, Place(width))
    assert max(map(len, text.splitlines())) <= width
    # Columns that do not fit stand in a second table with the same labels.
    assert (text.count("memory, average") == 1) is (width == 200)


def test_all_cgroups_have_tables_of_their_own() -> None:
    cgroups = {f"/pod-{number}": figures(memory=number * GIB) for number in range(8)}
    made = report(policy_run(cgroups=cgroups), column("never", run("never", cgroups=cgroups)))
    short = text_report(made, Place(), cgroups=3)
    assert [line.split()[0] for line in short.splitlines() if line.startswith("/pod")] == [
        "/pod-7",
        "/pod-6",
        "/pod-5",
    ]
    assert "5 more cgroups: --cgroups all shows every figure of each" in short
    full = text_report(made, Place(), cgroups=None)
    assert full.count("memory, peak") == 9
    assert "/pod" not in text_report(made, Place(), cgroups=0)


def test_the_mean_of_seeds_and_their_spread() -> None:
    """1, 2 and 3 GiB: the mean is 2, the standard deviation 1, half of it."""
    runs = [run("fleet", figures(memory=size * GIB), policy=True) for size in (1, 2, 3)]
    same = [run("never") for _ in range(3)]
    made = report(column("fleet", *runs, baseline=False), column("never", *same))
    text = text_report(made, Place())
    assert "(seeds 1 to 3, averaged)" in text.replace("\n          ", " ")
    assert "standard deviation over 3 seeds" in text
    spread = text.partition("standard deviation")[2]
    assert ["memory,", "average", "50.00%", "0"] in [line.split() for line in spread.splitlines()]


def test_notes_name_the_runs_that_they_are_about() -> None:
    made = report(policy_run(notes=("only here",)), column("never", run("never")))
    assert "note: fleet: only here" in text_report(made, Place())
    every = report(policy_run(notes=("all",)), column("never", run("never", notes=("all",))))
    assert "note: all" in text_report(every, Place())


def test_failed_conditions_come_last() -> None:
    made = report(policy_run(), failed=("oom > 0: fleet has 1 > 0",))
    assert text_report(made, Place()).endswith("fails: oom > 0: fleet has 1 > 0")


def test_nothing_acts_on_the_terminal() -> None:
    evil = "\x1b[31mred\u202e"
    made = report(
        column(evil, run(evil, cgroups={f"/{evil}": figures()}, notes=(evil,)), baseline=False),
        workload=evil,
        description=evil,
        policy=evil,
        file=evil,
        failed=(evil,),
    )
    text = text_report(made, Place(), cgroups=None) + text_report(made, Place())
    assert all(character.isprintable() for character in text.replace("\n", ""))


def test_colour_is_for_places_that_have_it() -> None:
    assert "\x1b[1m" in text_report(report(policy_run()), Place(color=True))
    assert "\x1b" not in text_report(report(policy_run()), Place())


def test_any_figures_make_a_report() -> None:
    rng = random.Random(1)
    for _ in range(50):
        values = {
            name: rng.choice([0, 1e-9, 0.5, 7, 1e12])
            for name in ("seconds", "access", "fault", "pressure")
        }
        total = figures(memory=rng.choice([0, 1, 1 << 50]), touches=rng.choice([0, 5]), **values)  # pyright: ignore[reportArgumentType]
        made = report(policy_run(total), column("never", run("never")), sweeps=("x",))
        assert text_report(made, Place(40))


def test_a_plot_has_a_letter_for_each_run() -> None:
    """Left is less memory, up is faster: a bottom left, b top right."""
    made = report(
        column("never", run("never", figures(memory=GIB, seconds=60))),
        column("always", run("always", figures(memory=2 * GIB, seconds=30))),
    )
    lines = plot(made, Place())
    assert lines[1].startswith("200,000/s |")
    assert lines[1].endswith("b")
    assert lines[12].startswith("100,000/s |a")
    assert "1.00 GiB" in lines[14]
    assert lines[14].endswith("2.00 GiB")
    assert plot(report(column("never", run("never")), column("x", run("x"))), Place()) == []


def test_columns_that_do_not_fit_follow_below() -> None:
    lines = grid("", ["one", "two", "three"], [("row", ["1", "2", "3"])], Place(22))
    # A label has 12 cells at least, a column two blanks before it.
    assert [line.split() for line in lines] == [
        ["one", "two", "three"],
        ["row", "1", "2", "3"],
    ]
    lines = grid("", ["one", "two", "three"], [("row", ["1", "2", "3"])], Place(18))
    assert [line.split() for line in lines] == [
        ["one", "two"],
        ["row", "1", "2"],
        [],
        ["three"],
        ["row", "3"],
    ]


@pytest.mark.parametrize(
    ("title", "lines"),
    [
        ("never", ["never"]),
        ("always+shrinker", ["always+", "shrinker"]),
        ("fleet ceiling=10%", ["fleet", "ceiling=10%"]),
        ("abcdefghijklmnop", ["abcdefghijk", "lmnop"]),
        ("", [""]),
    ],
)
def test_headings_are_broken(title: str, lines: list[str]) -> None:
    assert headed(title) == lines


def test_how_figures_are_spelled() -> None:
    assert [spell_bytes(x) for x in (0, 1, 1023, 1024, 1536, 10 << 20, 1 << 30, 1 << 40)] == [
        "0 B",
        "1 B",
        "1023 B",
        "1.00 KiB",
        "1.50 KiB",
        "10.0 MiB",
        "1.00 GiB",
        "1.00 TiB",
    ]
    assert [spell_seconds(x) for x in (0, 5e-9, 1.5e-6, 0.0123, 0.9999, 61, 1234.5)] == [
        "0 s",
        "5.00 ns",
        "1.50 us",
        "12.3 ms",
        "1.00 s",
        "61.0 s",
        "1234 s",
    ]
    assert [spell_count(x) for x in (0, 1.5, 999_999, 1_234_567, 2.5e9)] == [
        "0",
        "1.50",
        "999,999",
        "1.23 M",
        "2.50 G",
    ]
    assert spell(12.345, "percent") == "12.3%"
    assert [spell_order(order, 4096) for order in (0, 4, 9)] == ["4K", "64K", "2M"]
    assert spell_order(13, 65536) == "512M"
