"""Properties that fail at one boundary only are found with every seed, and shown in small."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings

import policyc
import policyc.testing
from policyc.plan.evaluate import State, Values, evaluate
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.testing import Coverage, requests, situations, states
from tests.testing.policies import ROOT, SMALL, plan_of, ran

SEEDS = range(20)

#: A rule, a property that it breaks at one place only, and the request that shows it.
CASES = {
    "one size": (
        "allow pmd when vma.size == 8M; otherwise deny;",
        "result == none",
        ("orders = all", "vma.size = 8M"),
    ),
    "just below": (
        "allow pmd when vma.size < 8M; otherwise deny;",
        "vma.size >= 8M - 1B implies result == none",
        ("orders = all", "vma.size = 8388607B"),
    ),
    "look-alike path": (
        'allow pmd when cgroup under "/a/b" or cgroup == "/a/bc"; otherwise deny;',
        'pmd in result implies cgroup under "/a/b"',
        ("orders = all", "cgroup = /a/bc"),
    ),
    "saturation": (
        "allow pmd when vma.size + 4K < 8M or vma.size + 4K == vma.size + 8K; otherwise deny;",
        "vma.size >= 8M implies result == none",
        ("orders = all", "vma.size = 18446744073709547519B"),
    ),
    "several at once": (
        """allow pmd when vma.size == 8M and task.comm == "redis"
            and cgroup == "/a/b" and event is khugepaged; otherwise deny;""",
        "result == none",
        (
            "orders = all",
            "event = khugepaged",
            "vma.size = 8M",
            'task.comm = "redis"',
            "cgroup = /a/b",
        ),
    ),
    "one order": (
        "deny when orders == 16K..64K; otherwise allow all;",
        "result == orders",
        ("orders = 16K..64K",),
    ),
    "two attributes": (
        "allow pmd when mm.rss >= memory.max / 100; otherwise deny;",
        "mm.rss <= memory.max / 100 implies result == none",
        None,
    ),
}


def _policy(rules: str, condition: str) -> str:
    return f'policy edge; thp {{ {rules} }} property "p" for thp: {condition};'


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", CASES)
def test_found_with_every_seed(case: str, seed: int):
    rules, condition, smallest = CASES[case]
    (result,) = ran(_policy(rules, condition), seed=seed).results
    assert result.failures, f"{result.checked} requests, and none shows it"
    assert smallest is None or result.failures[0].given == smallest


def test_parameter_at_its_end():
    text = """policy p; param top : size = 8M in 1M..1G;
    thp { allow pmd when vma.size >= top; otherwise deny; }
    property "p" for thp: pmd in result implies vma.size > 1M;"""
    (failure,) = ran(text).results[0].failures
    assert failure.given == ("orders = all", "vma.size = 1M")
    assert failure.state == ("param top = 1M",)
    assert "--param top=1M" in failure.command


def test_members_of_a_set():
    text = """policy p; set java : cgroup = { "/java" };
    thp { allow pmd when cgroup under java; otherwise deny; }
    property "p" for thp: pmd in result implies cgroup under "/java";"""
    (failure,) = ran(text).results[0].failures
    assert failure.given == ("orders = all", "cgroup = /")
    assert failure.state == ('set java = { "/" }',)


def test_rollout():
    text = """policy p;
    thp for cgroup "/a" { rollout 25% by cgroup; otherwise deny; }
    property "p" for thp: cgroup under "/a" implies result == none;"""
    (failure,) = ran(text).results[0].failures
    assert [line.partition(" ")[0] for line in failure.given] == ["orders", "cgroup", "cgroup.id"]


def test_true_properties_stay_unbroken():
    assert not ran(SMALL, examples=1000).results[2].failures


@settings(max_examples=50)
@given(requests(plan_of(SMALL), "thp"))
def test_requests_are_for_the_runtime(request: ThpRequest):
    decision = policyc.loads(SMALL).decide(request)
    assert decision.orders & ~request.orders == 0
    assert request.cgroup_depth == (
        None if request.cgroup is None else len([p for p in request.cgroup.split("/") if p])
    )


NUMA = """policy p;
thp { deny when vma.stack; otherwise pass; }
numa for cgroup "/a" { rollout 50% by cgroup; balance when task.comm == "x"; otherwise off; }
"""


@settings(max_examples=50)
@given(requests(plan_of(NUMA), "numa"))
def test_numa_requests_are_for_the_runtime(request: NumaRequest):
    values = request.values()
    outcome = evaluate(plan_of(NUMA), plan_of(NUMA).hooks[1], values, State({}, {}))
    assert policyc.loads(NUMA).decide(request).on == outcome.on


def test_requests_stand_at_the_boundaries():
    seen: set[int] = set()
    paths: set[str | None] = set()

    @settings(max_examples=300, derandomize=True)
    @given(requests(plan_of(SMALL), "thp"))
    def collect(request: ThpRequest) -> None:
        seen.add(request.vma_size)
        paths.add(request.cgroup)

    collect()
    assert {(8 << 20) - 1, 8 << 20, (8 << 20) + 1, 0, (1 << 64) - 1} <= seen
    assert {None, "/", "/java", "/java/child", "/javac", "/jav"} <= paths


@settings(max_examples=50)
@given(
    states(
        plan_of("""policy p; param top : size = 8M in 1M..1G; param wanted : bool = true;
    set names : string = { "redis" };
    thp { allow pmd when vma.size >= top and wanted and task.comm in names; otherwise deny; }""")
    )
)
def test_states_are_within_their_ranges(state: State):
    assert 1 << 20 <= state.params["top"] <= 1 << 30
    assert state.params["wanted"] in (0, 1)
    assert all(isinstance(name, bytes) and len(name) <= 15 for name in state.sets["names"])


def test_every_rule_is_reached():
    plan = plan_of((ROOT / "examples" / "fleet.thp").read_text("utf-8"))
    assert plan.thp is not None
    reached = Coverage(plan)
    hook = plan.thp

    @settings(max_examples=600, derandomize=True)
    @given(situations(plan, "thp"))
    def count(situation: tuple[Values, State]) -> None:
        values, state = situation
        reached.add(hook, values, state, evaluate(plan, hook, values, state))

    count()
    thp = [rule.index for block in hook.blocks for rule in block.rules]
    assert all(reached.rules[index].yes for index in thp)


def test_missing_hypothesis_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "policyc.testing.strategies")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'policyc\[test\]'"):
        _ = policyc.testing.requests
