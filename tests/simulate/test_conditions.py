"""Conditions of `--fail-if`: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyc.simulate.baselines import BASELINES
from policyc.simulate.conditions import ConditionError, parse_condition
from policyc.simulate.figures import ALIASES, FIGURES
from policyc.simulate.results import Figures
from policyc.simulate.workload.specification import GIB
from tests.simulate.made import figures, run

TOTAL = figures(memory=4 * GIB, seconds=60.0, access=2e-3, pressure=12.5, oom_kill=2)
INNER = figures(memory=3 * GIB, seconds=50.0, access=1e-3, pressure=3.0, oom_kill=1)
RUN = run("fleet", TOTAL, cgroups={"/a": INNER, "/empty": Figures()})
BASE = {
    "always": run("always", figures(memory=5 * GIB, seconds=50.0)),
    "always+shrinker": run("always+shrinker", figures(memory=2 * GIB)),
    "never": run("never", figures(memory=2 * GIB), cgroups={"/a": figures(memory=4 * GIB)}),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("oom > 0", True),
        ("oom > 2", False),
        ("oom >= 2", True),
        ("oom == 2", True),
        ("oom != 2", False),
        ("oom < 3", True),
        ("oom <= 1", False),
        ("oom[/a] > 1", False),
        ("oom[/a]>0", True),
        ("oom [ /a/ ] > 0", True),
        ("oom[/empty] > 0", False),
        ("memory > 4G", False),
        ("memory >= 4GiB", True),
        ("memory >= 4096M", True),
        ("memory_bytes > 4294967295", True),
        ("memory > 3.9G", True),
        ("memory > always", False),
        ("memory < always * 0.8", False),
        ("memory < always * 0.81", True),
        ("memory < 0.81 * always", True),
        ("memory < 81% of always", True),
        ("memory > always+shrinker", True),
        ("memory > always+shrinker * 2", False),
        ("memory[/a] > never", False),
        ("run_seconds > 1min", False),
        ("run_seconds >= 1min", True),
        ("time > 59.5s", True),
        ("time > 110% of always", True),
        ("time > 120% of always", False),
        ("p99 > 1900us", True),
        ("p99 > 2ms", False),
        ("p99[/a] > 999_999ns", True),
        ("pressure > 12%", True),
        ("pressure > 12.5", False),
        ("throughput > 99K/s", True),
        ("pgfault >= 1K", True),
        ("thp_split_page > 0", False),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    assert (parse_condition(text).broken_by(RUN, BASE) is not None) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oom > 0", "2 > 0, 2 more"),
        ("memory < always", "4.00 GiB < 5.00 GiB (always: 5.00 GiB), 1.00 GiB, 20.0% less"),
        ("time > 110% of always", "60.0 s > 55.0 s (always: 50.0 s), 5.00 s, 9.1% more"),
        ("oom == 2", "2 == 2"),
    ],
)
def test_by_how_much(text: str, said: str) -> None:
    assert parse_condition(text).broken_by(RUN, BASE) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected FIGURE OPERATOR VALUE"),
        ("oom", "expected FIGURE OPERATOR VALUE"),
        ("oom = 0", "expected FIGURE OPERATOR VALUE"),
        ("oom > 0 and memory > 1", "oom_kill is compared with a number"),
        ("ooms > 0", "there is no figure 'ooms'; did you mean 'oom'?"),
        ("memory_byte > 0", "did you mean 'memory_bytes'?"),
        ("zzzzzz > 0", "short names are memory, "),
        ("memory > 5ms", "memory_bytes is compared with a size such as 64M"),
        ("run_seconds > 5M", "run_seconds is compared with a duration"),
        ("oom > 5%", "oom_kill is compared with a number"),
        ("memory > alwys", "did you mean 'always'?"),
        ("memory > -1", "got '-1'"),
        ("memory > always * never", "got 'always * never'"),
        ("memory > always * -1", "got 'always * -1'"),
        ("memory > 1e999", "got '1e999'"),
        ("oom[kubepods] > 0", "expected the path of a cgroup"),
        ("oom[] > 0", "expected the path of a cgroup"),
    ],
)
def test_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert said in str(caught.value)


def test_what_is_not_run_is_said_before_anything_runs() -> None:
    condition = parse_condition("memory > always * 2")
    condition.check(["always"], [])
    with pytest.raises(ConditionError, match="which is not run; add --baseline always"):
        condition.check(["never"], [])
    inner = parse_condition("memory[/kubepods/jav] > 1")
    inner.check([], ["/kubepods/jav"])
    with pytest.raises(ConditionError, match=r"did you mean '/kubepods/java'\?"):
        inner.check([], ["/kubepods", "/kubepods/java"])


@pytest.mark.parametrize("name", list(BASELINES))
def test_every_baseline_can_be_named(name: str) -> None:
    for text in (f"memory > {name}", f"memory > 2 * {name}", f"memory > 5% of {name}"):
        assert parse_condition(text).baseline == name


def test_every_short_name_is_one_of_a_figure() -> None:
    assert set(ALIASES.values()) <= set(FIGURES)
    assert not set(ALIASES) & set(FIGURES)
    for name, figure in FIGURES.items():
        assert figure.name == name
        assert figure.read(TOTAL) >= 0


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    with contextlib.suppress(ConditionError):
        assert parse_condition(text).text == text.strip()
